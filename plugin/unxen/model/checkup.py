# SPDX-License-Identifier: Apache-2.0
"""What `doctor` found out about this host, one value a check; nothing phrased.

Touches nothing.
"""

from enum import Enum

from unxen.model.reason import Reason
from unxen.model.record import dataclass


class CheckState(Enum):
    """How a check came out. ABSENT: something that is not needed for everything is not here, which is no failure."""

    FINE = "fine"
    ABSENT = "absent"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `found` is what was seen, `why` says what is wrong and how to mend it when something is."""

    name: str
    state: CheckState
    found: str = ""
    why: Reason | None = None
