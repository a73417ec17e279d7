# SPDX-License-Identifier: Apache-2.0
"""Before anything else it must be known where on a disk a volume begins and whether it is one that unxen reads.

Reads the table and the first sector of each partition, nothing more: a Linux or an empty disk costs no more than that. What lies
past the disk's end or cannot be read is a fact (`Content.UNREADABLE`), never an error.
"""

from unxen.model.ids import DiskNumber, Offset, PartitionNumber
from unxen.model.volume_facts import Content, Partition, Scheme
from unxen.probe import gpt, mbr
from unxen.probe.device import Readable

SECTOR, LARGE_SECTOR = 512, 4096
KNOWN = (Content.NTFS, Content.FAT, Content.BITLOCKER, Content.LDM, Content.STORAGE_SPACE)
# What the type alone says; the sectors of such partitions say nothing more. Sources: Microsoft, PARTITION_INFORMATION_GPT;
# libldm src/ldm.c; types 0x42 and 0xE7 as Windows writes them on MBR disks.
BY_TYPE = {
    "42": Content.LDM,
    "e7": Content.STORAGE_SPACE,
    "05": Content.OTHER,
    "0f": Content.OTHER,
    "85": Content.OTHER,
    "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3": Content.LDM,
    "AF9B60A0-1431-4F62-BC68-3311714A69AD": Content.LDM,
    "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D": Content.STORAGE_SPACE,
}
# 4967d63b-2e29-4ad8-8399-f6a339e3d001 and 92a84d3b-dd80-4d0e-9e4e-b1e3284eaed8, as they stand on a disk.
BITLOCKER_TO_GO = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
USED_SPACE_ONLY = bytes.fromhex("3b4da89280dd0e4d9e4eb1e3284eaed8")


def read_partitions(disk: Readable, number: DiskNumber) -> tuple[Scheme, tuple[Partition, ...]]:
    """How the disk is divided, and into what."""
    try:
        sector = disk.read_through(0, SECTOR)
    except OSError:
        return Scheme.UNREADABLE, ()
    bare = content_of(sector)
    if bare in (Content.NTFS, Content.FAT, Content.BITLOCKER):
        whole = Partition(number, PartitionNumber(0), "", Offset(0), disk.size, active=False, content=bare)
        return Scheme.NONE, (whole,)
    scheme, rows = _read_table(disk, sector)
    found = tuple(_partition(disk, number, row) for row in rows)
    if scheme is Scheme.MBR and not any(each.content in KNOWN for each in found):
        return scheme, _of_large_sectors(disk, number, sector) or found
    return scheme, found


def _of_large_sectors(disk: Readable, number: DiskNumber, sector: bytes) -> tuple[Partition, ...]:
    """The partitions as a disk with sectors of 4096 bytes counts them, if an NTFS volume there says that it had such; else none."""
    try:
        rows = mbr.rows(disk, sector, LARGE_SECTOR)
    except OSError:
        return ()
    found = tuple(_partition(disk, number, row) for row in rows)
    return found if any(each.content is Content.NTFS and _sector_size(disk, each) == LARGE_SECTOR for each in found) else ()


def _sector_size(disk: Readable, partition: Partition) -> int:
    return int.from_bytes(disk.read_through(partition.start, SECTOR)[11:13], "little")


def content_of(sector: bytes) -> Content:
    """What a volume's first sector says it is."""
    name = sector[3:11]
    if name == b"-FVE-FS-" or (name == b"MSWIN4.1" and sector[424:440] in (BITLOCKER_TO_GO, USED_SPACE_ONLY)):
        return Content.BITLOCKER
    if sector[510:512] != b"\x55\xaa":
        return Content.OTHER
    if name == b"NTFS    ":
        return Content.NTFS
    return Content.FAT if _is_fat(sector) else Content.OTHER


def _is_fat(sector: bytes) -> bool:
    """A FAT boot sector: its name where FAT12/16 or FAT32 has it, a jump, and a plausible sector size and cluster size."""
    named = sector[54:57] == b"FAT" or sector[82:87] == b"FAT32"
    sector_size, cluster = int.from_bytes(sector[11:13], "little"), sector[13]
    return named and sector[0] in (0xEB, 0xE9) and sector_size in (512, 1024, 2048, 4096) and cluster.bit_count() == 1


def _read_table(disk: Readable, sector: bytes) -> tuple[Scheme, list[mbr.Row]]:
    if not mbr.looks_like_table(sector):
        return Scheme.EMPTY, []
    try:
        if not mbr.is_protective(sector):
            return Scheme.MBR, mbr.rows(disk, sector)
        rows = gpt.rows(disk)
    except OSError:
        return Scheme.UNREADABLE, []
    return (Scheme.UNREADABLE, []) if rows is None else (Scheme.GPT, rows)


def _partition(disk: Readable, disk_number: DiskNumber, row: mbr.Row) -> Partition:
    content = _content(disk, row)
    return Partition(disk_number, PartitionNumber(row.number), row.type_id, Offset(row.start), row.length, row.active, content)


def _content(disk: Readable, row: mbr.Row) -> Content:
    if row.type_id in BY_TYPE:
        return BY_TYPE[row.type_id]
    if row.start + row.length > disk.size:
        return Content.UNREADABLE
    try:
        return content_of(disk.read_through(row.start, SECTOR))
    except OSError:
        return Content.UNREADABLE
