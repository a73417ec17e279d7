# SPDX-License-Identifier: Apache-2.0
"""What becomes of a guest's definition beside its disks: what Windows needs there, and the change as a platform makes it.

Touches nothing. Definitions are text of their platform and mean nothing to anybody else.
"""

from enum import Enum

from unxen.model.ids import Bus, DiskNumber, Firmware
from unxen.model.machine import Clock
from unxen.model.record import dataclass


class DefinitionPart(Enum):
    """What of a definition is changed."""

    DISK_BUS = "disk-bus"
    DISK_FORMAT = "disk-format"
    DISK_OPTION = "disk-option"
    CONTROLLER = "controller"
    NIC_MODEL = "nic-model"
    FIRMWARE = "firmware"
    BOOT_ORDER = "boot-order"
    CLOCK = "clock"
    XEN_SETTING = "xen-setting"


@dataclass(frozen=True)
class DefinitionChange:
    """One change: what of which device, from what to what; an empty `after` is a removal, an empty `before` an addition."""

    part: DefinitionPart
    subject: str
    before: str
    after: str


@dataclass(frozen=True)
class Wish:
    """What Windows needs of its machine.

    `bus` is for the disks named by `disks` (the ones that Windows starts from); `drivers` are the buses that its other disks may
    stay on. `card` is the model of a network card that all of them have a driver for, empty when it is not known. `firmware` is
    what the boot files are for, UNKNOWN when that is not certain. `clock` is what the hardware clock shall show, None when it shall
    stay. `clock_only`: nothing else of the definition is to be touched.
    """

    bus: Bus
    disks: tuple[DiskNumber, ...]
    drivers: frozenset[Bus]
    card: str
    firmware: Firmware
    clock: Clock | None = None
    clock_only: bool = False


@dataclass(frozen=True)
class Switch:
    """A definition as it stands and as it shall be; with no changes there is nothing to do."""

    before: str
    after: str
    changes: tuple[DefinitionChange, ...] = ()
