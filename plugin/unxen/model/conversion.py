# SPDX-License-Identifier: Apache-2.0
"""What came of turning a machine of Xen into one of KVM: the machine as it will be, where its drives hang, and what it loses.

Touches nothing.
"""

from unxen.model.ids import Bus, MachineType
from unxen.model.machine import Drive, Loss, MachineDefinition
from unxen.model.outcome import Outcome
from unxen.model.reason import Reason
from unxen.model.record import dataclass

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Placed:
    """A drive on a bus; `index` counts the places of that bus from 0."""

    drive: Drive
    bus: Bus
    index: int


@dataclass(frozen=True)
class Conversion:
    """A machine for KVM.

    `bus` is the one of its system disk. `windows` is the version that was seen, None when none was. `look` is what the look at the
    disks (or their repair) told; `unlooked` why there was none. `losses` are the definition's own and those of the new machine.
    """

    source: str
    machine: MachineDefinition
    bus: Bus
    board: MachineType
    placed: tuple[Placed, ...]
    windows: Version | None = None
    server: bool = False
    look: Outcome | None = None
    unlooked: Reason | None = None
    losses: tuple[Loss, ...] = ()
