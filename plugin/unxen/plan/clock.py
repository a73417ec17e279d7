# SPDX-License-Identifier: Apache-2.0
"""What the hardware clock must show so that this Windows shows the right time.

Touches nothing. Windows takes it for local time unless `RealTimeIsUniversal` says otherwise (absent in all real hives).
"""

from collections.abc import Sequence

from unxen.model.facts import Installation
from unxen.model.ids import Missing
from unxen.model.machine import Clock
from unxen.model.registry_facts import SystemFacts

LOCAL = (0, Missing.ABSENT)


def clock_of(system: SystemFacts) -> Clock | None:
    """What this Windows takes the clock for; None where that could not be read."""
    if system.deciding is None:
        return None
    said = system.deciding.first_start.universal_clock
    if said in LOCAL:
        return Clock.LOCALTIME
    return Clock.UTC if isinstance(said, int) else None


def common_clock(installations: Sequence[Installation]) -> Clock | None:
    """The same for all Windows of a guest, which has one clock; None where they do not agree."""
    found = {clock_of(each.system) if each.system else None for each in installations}
    return found.pop() if len(found) == 1 else None
