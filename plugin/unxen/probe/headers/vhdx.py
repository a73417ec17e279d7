# SPDX-License-Identifier: Apache-2.0
"""A VHDX has a log that must be empty, and may be only a difference; both stand in its first megabyte.

Reads through a Source. Fields are those of Microsoft's [MS-VHDX].
"""

import struct
import uuid

from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.probe.headers.source import Source, damaged, sane_size

MAGIC = b"vhdxfile"
HEADERS = (64 << 10, 128 << 10)
REGIONS = (192 << 10, 256 << 10)
HEADER = struct.Struct("<4sIQ16s16s16s")
ENTRY = struct.Struct("<16sQII")
ITEM = struct.Struct("<16sIIII")
METADATA = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le
PARAMETERS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B").bytes_le
DISK_SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8").bytes_le
MOST_ENTRIES = 2047
HAS_PARENT = 2
LEAVE_ALLOCATED = 1


def read_vhdx(source: Source) -> ImageHeader:
    """The current header, the size and the parent flag of a VHDX file."""
    headers = [HEADER.unpack(source.read(at, HEADER.size)) for at in HEADERS]
    valid = [each for each in headers if each[0] == b"head"]
    if not valid:
        raise damaged("no header")
    log = max(valid, key=lambda each: each[2])[5]
    items = _metadata(source, _metadata_region(source))
    flags = int.from_bytes(items.get(PARAMETERS, b"")[4:8], "little")
    kind = "differencing" if flags & HAS_PARENT else "fixed" if flags & LEAVE_ALLOCATED else "dynamic"
    size = sane_size(int.from_bytes(items.get(DISK_SIZE, b"")[:8], "little"))
    return ImageHeader(format=ImageFormat.VHDX, virtual_size=size, kind=kind, dirty=log != bytes(16))


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
    """The two items that matter, by their id."""
    magic, _, count = struct.unpack("<8sHH", source.read(region, 12))
    if magic != b"metadata" or count > MOST_ENTRIES:
        raise damaged("metadata table")
    rows = ITEM.iter_unpack(source.read(region + 32, count * ITEM.size))
    return {kind: source.read(region + offset, 8) for kind, offset, _, _, _ in rows if kind in (PARAMETERS, DISK_SIZE)}
