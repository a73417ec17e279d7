# SPDX-License-Identifier: Apache-2.0
"""Partition tables byte by byte, for sectors of any size and for tables that no tool would write.

Touches nothing.
"""

import struct
import uuid
import zlib
from collections.abc import Sequence

from generators.disks import BASIC, ESP, MIB

__all__ = ["BASIC", "ESP", "MIB", "gpt_disk", "put", "row", "table"]


def row(kind: int, first: int, count: int, status: int = 0) -> bytes:
    """One row of an MBR, in sectors."""
    return struct.pack("<B3xB3xII", status, kind, first, count)


def table(*rows: bytes) -> bytes:
    """The first sector of an MBR disk."""
    return bytes(446) + b"".join(rows).ljust(64, b"\0") + b"\x55\xaa"


def put(data: bytearray, at: int, what: bytes) -> None:
    """Overwrites bytes."""
    data[at : at + len(what)] = what


def gpt_disk(rows: Sequence[tuple[int, str, int, int]], sector: int = 512, size: int = 2 * MIB) -> bytearray:
    """A disk with both copies of a GPT; rows are (slot, type, first sector, last sector)."""
    data = bytearray(size)
    put(data, 0, table(row(0xEE, 1, 0xFFFFFFFF)))
    packed = bytearray(128 * 128)
    for slot, kind, first, last in rows:
        put(packed, 128 * slot, struct.pack("<16s16sQQ", uuid.UUID(kind).bytes_le, bytes(16), first, last))
    last_sector = size // sector - 1
    rows_sectors = len(packed) // sector
    for own, other, rows_at in ((1, last_sector, 2), (last_sector, 1, last_sector - rows_sectors)):
        usable = (2 + rows_sectors, last_sector - rows_sectors - 1)
        numbers = (0x10000, 92, 0, 0, own, other, *usable, bytes(16), rows_at, 128, 128, zlib.crc32(packed))
        header = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", *numbers)
        header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
        put(data, own * sector, header)
        put(data, rows_at * sector, packed)
    return data
