# SPDX-License-Identifier: Apache-2.0
"""A disk made for UEFI is black under BIOS and the other way round, whatever its drivers: that is looked at before all else.

Touches nothing. Unknown never blocks: a bare file has no firmware, and a disk's boot files may lie where nobody looked.
"""

from collections.abc import Sequence

from unxen.model.facts import GuestFacts, Installation
from unxen.model.guest import Machine
from unxen.model.ids import Firmware
from unxen.model.judgement import Finding, FindingKind, Link, LinkName, LinkState
from unxen.model.volume_facts import BootFile, Scheme
from unxen.plan.links.state import link

# A disk converted by mbr2gpt keeps the old boot files; then its partition table decides.
EFI_SYSTEM = ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "EF")
"""Types of the partition from which UEFI starts, in a GPT and in an MBR."""
BY_SCHEME = {Scheme.GPT: Firmware.UEFI, Scheme.MBR: Firmware.BIOS}


def firmware_link(facts: GuestFacts, installation: Installation, machine: Machine) -> Link:
    """Whether the guest's boot files fit the machine's firmware."""
    return link(LinkName.FIRMWARE, [_finding(_boot_files(facts), fitting_firmware(facts, installation), machine.firmware)])


def fitting_firmware(facts: GuestFacts, installation: Installation) -> frozenset[Firmware]:
    """The kinds of firmware that this guest's boot files are for."""
    found = frozenset(file.firmware for file in _boot_files(facts)) - {Firmware.UNKNOWN}
    scheme = next((disk.scheme for disk in facts.disks if disk.number == installation.disk), Scheme.NONE)
    return frozenset({BY_SCHEME[scheme]}) if len(found) > 1 and scheme in BY_SCHEME else found


def certain_firmware(facts: GuestFacts, seen: Sequence[Installation]) -> Firmware:
    """The one kind of firmware under which all of these can start at all; UNKNOWN where a doubt is left.

    Boot files and partition tables must say the same, and no EFI system partition may be there whose loader nobody saw.
    """
    kinds = {kind for each in seen for kind in fitting_firmware(facts, each)}
    if len(kinds) != 1:
        return Firmware.UNKNOWN
    (kind,) = kinds
    schemes = {disk.scheme for disk in facts.disks for file in disk.boot_files if file.firmware is kind}
    certain = all(BY_SCHEME.get(each) is kind for each in schemes) and (kind is Firmware.UEFI or not _unseen_loaders(facts))
    return kind if certain else Firmware.UNKNOWN


def _unseen_loaders(facts: GuestFacts) -> bool:
    """Whether UEFI might start something from here although no loader for it was seen."""
    return any(partition.type_id in EFI_SYSTEM for disk in facts.disks for partition in disk.partitions)


def _boot_files(facts: GuestFacts) -> tuple[BootFile, ...]:
    return tuple(file for disk in facts.disks for file in disk.boot_files)


def _finding(files: tuple[BootFile, ...], fitting: frozenset[Firmware], firmware: Firmware) -> Finding:
    found = ", ".join(sorted(each.value for each in fitting))
    if firmware is Firmware.UNKNOWN or not fitting:
        details = (("found", found),) if found else ()
        return Finding(FindingKind.FIRMWARE_UNKNOWN, LinkState.UNKNOWN, firmware.value, details=details)
    if firmware in fitting:
        file = next(each.path for each in files if each.firmware is firmware)
        return Finding(FindingKind.FIRMWARE_FITS, LinkState.HOLDS, firmware.value, details=(("file", file),))
    return Finding(FindingKind.FIRMWARE_DIFFERS, LinkState.BROKEN, firmware.value, details=(("found", found),))
