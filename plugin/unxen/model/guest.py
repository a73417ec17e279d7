# SPDX-License-Identifier: Apache-2.0
"""A guest: disks that belong together, and what is known of the machine they are for.

Touches nothing. A bare file has no machine: bus, board and firmware are unknown then, which never blocks.
"""

from unxen.model.disk import Disk
from unxen.model.ids import Bus, Firmware, MachineType, Missing
from unxen.model.judgement import Note
from unxen.model.machine import Clock
from unxen.model.record import dataclass


@dataclass(frozen=True)
class Machine:
    """What a platform's definition says of the hardware; `offered` are the buses it could give the disk.

    `clock` is what the hardware clock shows: NOT_LOOKED_AT without a definition, UNREADABLE where it goes as the guest set it. Not
    `attached`: the machine has its disks in store, and none of them in a slot.
    """

    bus: Bus = Bus.UNKNOWN
    board: MachineType = MachineType.UNKNOWN
    firmware: Firmware = Firmware.UNKNOWN
    offered: tuple[Bus, ...] = (Bus.SATA, Bus.IDE, Bus.VIRTIO_SCSI, Bus.VIRTIO_BLK)
    xen_leftovers: tuple[str, ...] = ()
    attached: bool = True
    clock: Clock | Missing = Missing.NOT_LOOKED_AT


@dataclass(frozen=True)
class Guest:
    """A VM of a platform, or the disks given by hand; `target` is what the user typed.

    `id` is the platform's own, with its scheme: it survives a change of the name. Empty for files. `notes` are what the platform
    wants people to know, whatever Windows is on the disks. `backing_dirs` are directories of the platform's own storages in which
    backing files of these disks may lie. `macs` are the MAC addresses of the network cards that its definition has, with colons.
    """

    target: tuple[str, ...]
    disks: tuple[Disk, ...]
    machine: Machine = Machine()
    id: str = ""
    notes: tuple[Note, ...] = ()
    backing_dirs: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
