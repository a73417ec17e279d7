# SPDX-License-Identifier: Apache-2.0
"""A VMDK can be a text that names other files; only the kind that holds its own data is read.

Reads through a Source. Fields are those of VMware's "Virtual Disk Format 5.0". A descriptor that names extents elsewhere is
Refused(EXTENT_OUTSIDE).
"""

import re
import struct
from array import array

from unxen.errors import Refused, refused
from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.model.reason import ReasonKind
from unxen.probe.headers.source import Source, damaged, sane_size, unsupported

MAGIC = b"KDMV"
TEXT_MAGIC = b"# Disk Desc"
OLD_MAGIC = b"COWD"
SPARSE = struct.Struct("<4sIIQQQQIQQQB")
SECTOR = 512
MOST_DESCRIPTOR = 20 << 10
# QEMU reads it there, whatever the header says.
DESCRIPTOR_SECTOR = 1
COMPRESSED = 1 << 16
STREAM = "streamOptimized"
AT_END = (1 << 64) - 1
TABLE_ENTRIES = 512
MOST_GRAIN = 1 << 21
NO_PARENT = "ffffffff"
EXTENT = re.compile(r'^(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)(?:\s+"([^"]*)")?', re.MULTILINE)
FIELD = re.compile(r'^\s*(\w+)\s*=\s*"?([^"\r\n]*)"?', re.MULTILINE)


def read_vmdk(source: Source) -> ImageHeader:
    """The header and embedded descriptor of a sparse VMDK."""
    if source.peek(0, 4) == OLD_MAGIC:
        raise unsupported("VMDK of the ESX server's sparse kind")
    if source.peek(0, len(TEXT_MAGIC)) == TEXT_MAGIC:
        raise _extents(_text(source.read(0, min(source.size, MOST_DESCRIPTOR))))
    fields = SPARSE.unpack(source.read(0, SPARSE.size))
    flags, capacity, place, sectors, directory, unclean = fields[2], fields[3], fields[5], fields[6], fields[9], fields[11]
    if place not in (0, DESCRIPTOR_SECTOR):
        raise unsupported(f"descriptor at sector {place}")
    text = _text(source.read(place * SECTOR, min(sectors * SECTOR, MOST_DESCRIPTOR))) if place else ""
    # With capacity 0 the file is only a wrapper around a descriptor, and QEMU follows the names in it.
    if capacity == 0 or len(EXTENT.findall(text)) > 1:
        raise _extents(text)
    if directory == AT_END:
        _check_footer(source)
    else:
        _check_grains(source, fields)
    settings = {name.lower(): value for name, value in FIELD.findall(text)}
    return ImageHeader(
        format=ImageFormat.VMDK,
        virtual_size=sane_size(capacity * SECTOR),
        kind=STREAM if flags & COMPRESSED else settings.get("createtype", ""),
        backing_file="" if settings.get("parentcid", NO_PARENT).lower() == NO_PARENT else _parent(settings),
        dirty=bool(unclean),
    )


def _check_footer(source: Source) -> None:
    """A stream ends in a copy of its header and an empty sector; one that was cut off does not."""
    if source.read(source.size - 2 * SECTOR, len(MAGIC)) != MAGIC:
        raise damaged("no footer at the end of the stream")


def _check_grains(source: Source, fields: tuple[int, ...]) -> None:
    """Every grain begins inside the file: past its end QEMU reads zeros."""
    capacity, grain, per_table, directory = fields[3], fields[4], fields[7], fields[9]
    if not 8 <= grain <= MOST_GRAIN or per_table != TABLE_ENTRIES:
        raise damaged(f"grains of {grain} sectors, {per_table} to a table")
    tables = array("I", source.read(directory * SECTOR, -(-capacity // (grain * per_table)) * 4))
    for table in (each for each in tables if each):
        last = max(array("I", source.read(table * SECTOR, per_table * 4)))
        if last * SECTOR >= source.size:
            raise damaged(f"data at {last * SECTOR} lies outside the file of {source.size} bytes")


def _parent(settings: dict[str, str]) -> str:
    name = settings.get("parentfilenamehint")
    if not name:
        raise damaged("a parent without a name")
    return name


def _extents(text: str) -> Refused:
    names = [name for _, name in EXTENT.findall(text)]
    return refused(ReasonKind.EXTENT_OUTSIDE, extents=", ".join(names[:8]))


def _text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("utf-8", "backslashreplace")
