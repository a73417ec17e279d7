# SPDX-License-Identifier: Apache-2.0
"""A GPT stands on the disk twice, with check sums, so that one damaged copy does not hide a Windows.

Reads both headers where it must, for sectors of 512 and of 4096 bytes. A table counts only when header and rows have the right
check sums; else the backup at the disk's end is asked, and without that there is no table.
"""

import struct
import zlib
from collections.abc import Iterator

from unxen.probe.device import Readable
from unxen.probe.mbr import Row

SECTOR_SIZES = (512, 4096)
HEADER = struct.Struct("<8s4sIII Q Q Q Q 16s Q III")
UNUSED = bytes(16)
MOST_ROWS_BYTES = 1 << 20
FARTHEST = (1 << 63) - 1


def rows(disk: Readable) -> list[Row] | None:
    """The partitions of the first copy that is whole; None when no copy is."""
    for sector_size, at in _places(disk):
        found = _table(disk, sector_size, at)
        if found is not None:
            return found
    return None


def _places(disk: Readable) -> Iterator[tuple[int, int]]:
    """(sector size, byte offset of a header): primaries first, then backups in the last sector."""
    yield from ((size, size) for size in SECTOR_SIZES)
    yield from ((size, disk.size // size * size - size) for size in SECTOR_SIZES)


def _table(disk: Readable, sector_size: int, at: int) -> list[Row] | None:
    sector = disk.read_through(at, sector_size)
    if len(sector) < sector_size or not sector.startswith(b"EFI PART"):
        return None
    _, _, size, crc, _, own, _, _, _, _, first, count, row_size, rows_crc = HEADER.unpack_from(sector)
    if not HEADER.size <= size <= sector_size or own != at // sector_size:
        return None
    if zlib.crc32(sector[:16] + bytes(4) + sector[20:size]) != crc:
        return None
    packed = _packed_rows(disk, first * sector_size, count, row_size)
    if packed is None or zlib.crc32(packed) != rows_crc:
        return None
    return list(_rows(packed, row_size, sector_size))


def _packed_rows(disk: Readable, start: int, count: int, row_size: int) -> bytes | None:
    if row_size < 128 or row_size % 8 or count * row_size > MOST_ROWS_BYTES or start >= disk.size:
        return None
    return disk.read_through(start, count * row_size)


def _rows(packed: bytes, row_size: int, sector_size: int) -> Iterator[Row]:
    import uuid  # lazily: it is slow to load, and most disks have the older table

    for index in range(len(packed) // row_size):
        kind, _, first, last = struct.unpack_from("<16s16sQQ", packed, index * row_size)
        if kind != UNUSED and last >= first:
            start, length = min(first * sector_size, FARTHEST), min((last - first + 1) * sector_size, FARTHEST)
            yield Row(index + 1, str(uuid.UUID(bytes_le=kind)).upper(), start, length, active=False)
