# SPDX-License-Identifier: Apache-2.0
r"""A group policy can forbid Windows to install devices; then a controller that it has not met stays without a driver (0x7B).

Touches nothing. The policies are values below `DeviceInstall\Restrictions`, given as `KEY\NAME=DATA` (Microsoft's article on
stop error 7b names them as a cause). A rule that cannot be understood forbids nothing here; it is always in the notes.
"""

from unxen.plan.names import fold
from unxen.plan.view import View

# Switches that forbid every device that no other rule allows.
FORBID_ALL = ("denyunspecified", "denyall")
# Lists of ids that are forbidden, each switched on by a value of the list's name.
FORBIDDEN_IDS = "denydeviceids"


def forbids_installation(view: View, device: str) -> str:
    """The policy that forbids a device of this id, empty when none is known to."""
    policies = [_parts(each) for each in view.control_set.restrictions]
    for key, name, data in policies:
        if name in FORBID_ALL and data == "1":
            return f"{key}\\{name}"
        if key.endswith(FORBIDDEN_IDS) and data and fold(device).startswith(data):
            return f"{key}={data}"
    return ""


def _parts(policy: str) -> tuple[str, str, str]:
    """Key, name and data of one policy, folded."""
    place, _, data = fold(policy).partition("=")
    key, _, name = place.rpartition("\\")
    return key, name, data
