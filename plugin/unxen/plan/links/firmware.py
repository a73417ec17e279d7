# SPDX-License-Identifier: Apache-2.0
"""A disk made for UEFI is black under BIOS and the other way round, whatever its drivers: that is looked at before all else.

Touches nothing. Unknown never blocks: a bare file has no firmware, and a disk's boot files may lie where nobody looked.
"""

from unxen.model.facts import GuestFacts, Installation
from unxen.model.guest import Machine
from unxen.model.ids import Firmware
from unxen.model.judgement import Finding, FindingKind, Link, LinkName, LinkState
from unxen.model.volume_facts import BootFile, Scheme
from unxen.plan.links.state import link

# A disk converted by mbr2gpt keeps the old boot files; then its partition table decides.
BY_SCHEME = {Scheme.GPT: Firmware.UEFI, Scheme.MBR: Firmware.BIOS}


def firmware_link(facts: GuestFacts, installation: Installation, machine: Machine) -> Link:
    """Whether the guest's boot files fit the machine's firmware."""
    return link(LinkName.FIRMWARE, [_finding(_boot_files(facts), fitting_firmware(facts, installation), machine.firmware)])


def fitting_firmware(facts: GuestFacts, installation: Installation) -> frozenset[Firmware]:
    """The kinds of firmware that this guest's boot files are for."""
    found = frozenset(file.firmware for file in _boot_files(facts)) - {Firmware.UNKNOWN}
    scheme = next((disk.scheme for disk in facts.disks if disk.number == installation.disk), Scheme.NONE)
    return frozenset({BY_SCHEME[scheme]}) if len(found) > 1 and scheme in BY_SCHEME else found


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
