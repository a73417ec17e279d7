# SPDX-License-Identifier: Apache-2.0
"""Under which policy Windows meets a disk that it does not know, and on which buses such a disk stays offline.

Touches nothing. XP and 2003 have no such policy.
"""

from unxen.knowledge.tables import NtVersion, SanPolicy
from unxen.model.ids import Bus, Missing
from unxen.plan.names import in_range
from unxen.plan.view import View

VISTA: NtVersion = (6, 0, 0)
ONLINE_ALL = 1


def has_policy(view: View) -> bool:
    """Whether this Windows knows of such a policy."""
    return view.windows.version >= VISTA


def policy_of(view: View) -> SanPolicy | None:
    """The policy that holds: the registry's, else the default of this Windows; None where neither is known."""
    number = view.control_set.first_start.san_policy
    if number is Missing.ABSENT:
        number = next(
            (row.policy for row in view.knowledge.san_defaults if _fits(view, row.server, row.nt_from, row.nt_to)), number
        )
    return next((row for row in view.knowledge.san_policies if row.number == number), None)


def stays_offline(policy: SanPolicy, bus: Bus) -> bool:
    """Whether a disk that is new on this bus stays offline; a bus that is not known may be one of them."""
    return bus.value in policy.offline or (bus is Bus.UNKNOWN and bool(policy.offline))


def _fits(view: View, server: bool, lowest: NtVersion, highest: NtVersion) -> bool:
    windows = view.windows
    return windows.server is server and windows.version[0] != 0 and in_range(windows.version, lowest, highest)
