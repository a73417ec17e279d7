# SPDX-License-Identifier: Apache-2.0
r"""A disk does not carry the firmware's memory along: what a new machine needs to find the loader is told before it starts.

Touches nothing. A new machine's firmware knows no entry for Windows and takes \EFI\Boot\bootx64.efi of each disk; where a disk has
only Microsoft's own path, nothing starts (virt-v2v's fix_win_esp, which copies it; UEFI 2.10 section 3.5.1.1). unxen writes no FAT
volume (docs/decisions/023): the command is told instead.
"""

from collections.abc import Iterator

from unxen.model.facts import GuestFacts
from unxen.model.ids import Architecture, Firmware
from unxen.model.judgement import LinkState, Note, NoteKind
from unxen.plan.examined import Examined
from unxen.plan.links.firmware import fitting_firmware
from unxen.plan.names import fold

MICROSOFT = "\\efi\\microsoft\\boot\\bootmgfw.efi"
FALLBACK = "\\efi\\boot\\bootx64.efi"


def mismatch_notes(examined: Examined) -> tuple[Note, ...]:
    """That the machine's firmware finds nothing on these disks, for a Windows that is left alone otherwise."""
    link = examined.deciding.firmware
    if link.state is not LinkState.BROKEN:
        return ()
    return tuple(Note(NoteKind.FIRMWARE_MISMATCH, "", (("firmware", each.subject), *each.details)) for each in link.findings)


def fallback_notes(facts: GuestFacts, examined: Examined) -> tuple[Note, ...]:
    """The partitions on which the fallback loader is missing, where the guest starts by UEFI."""
    if fitting_firmware(facts, examined.installation) != {Firmware.UEFI} or examined.windows.architecture is Architecture.ARM64:
        return ()
    return tuple(_missing(facts))


def _missing(facts: GuestFacts) -> Iterator[Note]:
    files = {(each.disk, each.partition, fold(each.path)) for disk in facts.disks for each in disk.boot_files}
    for disk, partition, path in sorted(files):
        if path == MICROSOFT and (disk, partition, FALLBACK) not in files:
            yield Note(NoteKind.FALLBACK_LOADER, f"{disk}:{partition}", (("partition", str(partition)),))
