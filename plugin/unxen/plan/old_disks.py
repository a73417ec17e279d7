# SPDX-License-Identifier: Apache-2.0
"""XP and 2003 read their disk with the geometry in the boot sector: a wrong number of heads is 'A disk read error occurred'.

Touches nothing. Source: old virt-v2v (Windows.pm), which corrects the field; unxen tells it, the boot sector is not its
business.
"""

from unxen.knowledge.tables import NtVersion
from unxen.model.facts import GuestFacts
from unxen.model.judgement import Note, NoteKind
from unxen.plan.examined import Examined

VISTA: NtVersion = (6, 0, 0)
# Heads that a BIOS gives a disk below a size in bytes.
HEADS = ((2114445312, 0x40), (4228374780, 0x80))
MOST_HEADS = 0xFF


def old_disk_notes(facts: GuestFacts, examined: Examined) -> tuple[Note, ...]:
    """A note for the volume of an old Windows whose boot sector has other heads than the disk's size asks for."""
    if examined.windows.version >= VISTA or examined.windows.version[0] == 0:
        return ()
    place = (examined.installation.disk, examined.installation.partition)
    return tuple(
        Note(
            NoteKind.BOOT_SECTOR_HEADS,
            examined.installation.id,
            (("found", str(volume.heads)), ("expected", str(expected_heads(disk.size)))),
        )
        for disk in facts.disks
        for volume in disk.volumes
        if (volume.disk, volume.partition) == place and volume.heads != expected_heads(disk.size)
    )


def expected_heads(size: int) -> int:
    """The heads that a BIOS gives a disk of that size."""
    return next((heads for limit, heads in HEADS if size < limit), MOST_HEADS)
