# SPDX-License-Identifier: Apache-2.0
"""What people or policy asked for decides together with the disks whether a definition may be touched.

Touches nothing.
"""

from unxen.model.fix import NO_FIXES, Fixes
from unxen.model.ids import Bus
from unxen.model.record import dataclass


@dataclass(frozen=True)
class Asked:
    """What decides whether a definition may be touched beside what the disks say."""

    bus: Bus | None
    repair_kvm_guests: bool
    fixes: Fixes = NO_FIXES
