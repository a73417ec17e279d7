# SPDX-License-Identifier: Apache-2.0
"""A VHDX has a log that must be empty, and may be only a difference; both stand in its first megabyte.

Reads through a Source. Fields are those of Microsoft's [MS-VHDX]. A log that is not empty is the header's `dirty`.
"""

import struct
import uuid
from functools import cache
from typing import Any

from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.probe.headers.source import Source, damaged, sane_size, unsupported

MAGIC = b"vhdxfile"
HEADERS = (64 << 10, 128 << 10)
REGIONS = (192 << 10, 256 << 10)
HEADER = struct.Struct("<4sIQ16s16s16s")
ENTRY = struct.Struct("<16sQII")
ITEM = struct.Struct("<16sIIII")
METADATA = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le
PARAMETERS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B").bytes_le
DISK_SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8").bytes_le
SECTOR_SIZE = uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F").bytes_le
WANTED = (PARAMETERS, DISK_SIZE, SECTOR_SIZE)
HEADER_BYTES = 4096
CHECKSUM = slice(4, 8)
POLYNOMIAL = 0x82F63B78
MOST_ENTRIES = 2047
HAS_PARENT = 2
LEAVE_ALLOCATED = 1


def read_vhdx(source: Source) -> ImageHeader:
    """The current header, the size and the parent flag of a VHDX file."""
    log = _current_header(source)[5]
    items = _metadata(source, _metadata_region(source))
    flags = int.from_bytes(items.get(PARAMETERS, b"")[4:8], "little")
    kind = "differencing" if flags & HAS_PARENT else "fixed" if flags & LEAVE_ALLOCATED else "dynamic"
    size = sane_size(int.from_bytes(items.get(DISK_SIZE, b"")[:8], "little"))
    sector = int.from_bytes(items.get(SECTOR_SIZE, b"")[:4], "little")
    if sector != 512:
        raise unsupported(f"sectors of {sector} bytes")
    return ImageHeader(format=ImageFormat.VHDX, virtual_size=size, kind=kind, dirty=log != bytes(16))


def _current_header(source: Source) -> tuple[Any, ...]:
    """Of the two headers the valid one with the higher number; a torn write leaves the other."""
    blocks = [source.read(at, HEADER_BYTES) for at in HEADERS]
    valid = [HEADER.unpack_from(block) for block in blocks if block.startswith(b"head") and _sound(block)]
    if not valid:
        raise damaged("no valid header")
    return max(valid, key=lambda each: each[2])


def _sound(block: bytes) -> bool:
    zeroed = bytearray(block)
    zeroed[CHECKSUM] = bytes(4)
    return crc32c(zeroed) == int.from_bytes(block[CHECKSUM], "little")


def crc32c(data: bytes | bytearray) -> int:
    """The checksum of RFC 3720, appendix B.4."""
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ table[value & 0xFF ^ byte]
    return value ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ POLYNOMIAL * (value & 1)
        return value

    return tuple(map(entry, range(256)))


def _metadata_region(source: Source) -> int:
    """Where the metadata table lies."""
    for at in REGIONS:
        magic, _, count, _ = struct.unpack("<4sIII", source.read(at, 16))
        if magic != b"regi" or count > MOST_ENTRIES:
            continue
        for kind, offset, _, _ in ENTRY.iter_unpack(source.read(at + 16, count * ENTRY.size)):
            if kind == METADATA:
                return int(offset)
    raise damaged("no metadata region")


def _metadata(source: Source, region: int) -> dict[bytes, bytes]:
    """The items that matter, by their id."""
    magic, _, count = struct.unpack("<8sHH", source.read(region, 12))
    if magic != b"metadata" or count > MOST_ENTRIES:
        raise damaged("metadata table")
    rows = ITEM.iter_unpack(source.read(region + 32, count * ITEM.size))
    return {kind: source.read(region + offset, 8) for kind, offset, _, _, _ in rows if kind in WANTED}
