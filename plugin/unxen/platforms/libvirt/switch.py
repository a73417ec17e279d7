# SPDX-License-Identifier: Apache-2.0
"""From a domain as it is to the domain that this Windows starts in: disks on the bus, leftovers of Xen gone, nothing else touched.

Touches nothing outside. Refused(PLATFORM_REFUSED) where a disk that Windows needs cannot be moved; another disk that cannot be
moved stays where it is, for Windows starts without it.
"""

from unxen.errors import Refused, refused
from unxen.model.definition import DefinitionChange, DefinitionPart, Switch, Wish
from unxen.model.ids import Bus, DiskNumber, Firmware
from unxen.model.reason import ReasonKind
from unxen.platforms.libvirt.boot_order import first_hard_disk, keep_first
from unxen.platforms.libvirt.clock import set_clock
from unxen.platforms.libvirt.disk_options import drop_options, forbidding
from unxen.platforms.libvirt.domain_xml import (
    Element,
    bus_word,
    device_of,
    disks,
    hard_disks,
    parse_domain,
    target_of,
    text_of,
)
from unxen.platforms.libvirt.leftovers import SAFE_NIC, FormatOf, mend, set_bios, set_uefi
from unxen.platforms.libvirt.machine import bus_of, firmware_of
from unxen.platforms.libvirt.places import WORDS, drop_idle_controllers, move, scsi_in_use


def switched(text: str, wish: Wish, format_of: FormatOf) -> Switch:
    """The whole change; without changes when the definition is right as it is."""
    root = parse_domain(text)
    changes = [] if wish.clock_only else _hardware(root, wish, format_of)
    changes += set_clock(root, wish.clock)
    return Switch(text, text_of(root) if changes else text, tuple(changes))


def _hardware(root: Element, wish: Wish, format_of: FormatOf) -> list[DefinitionChange]:
    """Everything that Windows needs before it starts."""
    busy, first = scsi_in_use(root), first_hard_disk(root)
    changes = [*_disks(root, wish), *_optical_drives(root, wish)]
    changes += keep_first(root, first)
    changes += drop_idle_controllers(root, busy)
    changes += mend(root, wish.card or SAFE_NIC, format_of)
    return [*changes, *_firmware(root, wish)]


def _disks(root: Element, wish: Wish) -> list[DefinitionChange]:
    changes: list[DefinitionChange] = []
    for number, disk in enumerate(hard_disks(root), 1):
        present = bus_of(root, disk)
        needed = DiskNumber(number) in wish.disks
        if present is wish.bus or (not needed and present in wish.drivers):
            continue
        try:
            changes += _move(root, disk, wish.bus)
        except Refused:
            # What lies on a bus of Xen cannot stay: no start gets past it.
            if needed or present is Bus.XEN:
                raise
    return changes


def _move(root: Element, disk: Element, bus: Bus) -> list[DefinitionChange]:
    word = WORDS.get(bus)
    if word is None:
        raise refused(ReasonKind.PLATFORM_REFUSED, target_of(disk), problem=f"unxen moves no disk to {bus.value}")
    if device_of(disk) == "lun":
        cause = "it is passed through as a SCSI device, which no other bus can be"
        raise refused(ReasonKind.PLATFORM_REFUSED, target_of(disk), problem="its bus cannot be changed", cause=cause)
    if row := forbidding(disk, word):
        raise refused(ReasonKind.PLATFORM_REFUSED, target_of(disk), problem=f"it cannot be moved to {word}", cause=row.why)
    dropped = drop_options(disk, word)
    return [*move(root, disk, bus), *dropped]


def _optical_drives(root: Element, wish: Wish) -> list[DefinitionChange]:
    """Drives on Xen's bus go where an optical drive can be: with the disk on IDE, else on SATA."""
    bus = Bus.IDE if wish.bus is Bus.IDE else Bus.SATA
    found = [each for each in disks(root) if device_of(each) == "cdrom" and bus_word(each) == Bus.XEN.value]
    return [change for each in found for change in (*drop_options(each, WORDS[bus]), *move(root, each, bus))]


def _firmware(root: Element, wish: Wish) -> list[DefinitionChange]:
    """The kind that the boot files are for, where that is certain; libvirt takes BIOS where nothing is said."""
    present = firmware_of(root)
    if Firmware.UNKNOWN in (wish.firmware, present) or present is wish.firmware:
        return []
    if wish.firmware is Firmware.BIOS:
        set_bios(root)
        return [DefinitionChange(DefinitionPart.FIRMWARE, "machine", "efi", "bios")]
    set_uefi(root)
    return [DefinitionChange(DefinitionPart.FIRMWARE, "machine", "bios", "efi")]
