# SPDX-License-Identifier: Apache-2.0
"""qcow2's header names other files and carries the bits that forbid writing; both must be known before QEMU opens it.

Reads through a Source. Fields: docs/interop/qcow2.txt of QEMU. A file that ends before its own tables or its highest used
cluster is Refused(IMAGE_DAMAGED): QEMU would read zeros there.
"""

import struct
from dataclasses import dataclass

from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.probe.headers.source import Source, damaged, sane_size, unsupported

MAGIC = b"QFI\xfb"
V2 = struct.Struct(">4sIQIIQIIQQIIQ")
V3 = struct.Struct(">QQQII")
EXTENSION = struct.Struct(">II")
BACKING_FORMAT, DATA_FILE, BITMAPS = 0xE2792ACA, 0x44415441, 0x23852875
DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, EXTENDED_L2 = (1 << bit for bit in range(5))
KNOWN = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION | EXTENDED_L2
MOST_NAME = 1023
MOST_L1_BYTES = 32 << 20
MOST_REFCOUNT_TABLE_BYTES = 8 << 20
OFFSET_MASK = 0x00FFFFFFFFFFFE00


@dataclass(frozen=True)
class _Fields:
    """The header's numbers, checked against each other."""

    version: int
    backing_offset: int
    backing_length: int
    cluster_bits: int
    size: int
    crypt: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshots: int
    incompatible: int = 0
    refcount_order: int = 4
    header_length: int = V2.size

    @property
    def cluster(self) -> int:
        return 1 << self.cluster_bits


def read_qcow2(source: Source) -> ImageHeader:
    """The header of a qcow2 file."""
    fields = _fields(source)
    extensions = _extensions(source, fields)
    _check_tables(source, fields)
    return ImageHeader(
        format=ImageFormat.QCOW2,
        virtual_size=sane_size(fields.size),
        backing_file=_backing_name(source, fields),
        backing_format=_text(extensions.get(BACKING_FORMAT, b"")),
        data_file=_text(extensions.get(DATA_FILE, b"?")) if fields.incompatible & EXTERNAL_DATA else "",
        encrypted=fields.crypt != 0,
        dirty=bool(fields.incompatible & DIRTY),
        corrupt=bool(fields.incompatible & CORRUPT),
        has_snapshots=fields.snapshots > 0,
        has_bitmaps=BITMAPS in extensions,
        unknown_features=tuple(f"incompatible bit {bit}" for bit in range(64) if fields.incompatible & ~KNOWN & 1 << bit),
    )


def _fields(source: Source) -> _Fields:
    raw = V2.unpack(source.read(0, V2.size))
    version = raw[1]
    numbers = (version, raw[2], raw[3], raw[4], raw[5], raw[6], raw[7], raw[8], raw[9], raw[10], raw[11])
    if version not in (2, 3):
        raise unsupported(f"qcow2 version {version}")
    if not 9 <= raw[4] <= 21:
        raise damaged(f"cluster bits {raw[4]}")
    if version == 2:
        return _Fields(*numbers)
    incompatible, _, _, order, length = V3.unpack(source.read(V2.size, V3.size))
    if order > 6 or not V2.size + V3.size <= length <= 1 << raw[4]:
        raise damaged("header length or refcount order")
    return _Fields(*numbers, incompatible, order, length)


def _backing_name(source: Source, fields: _Fields) -> str:
    if not fields.backing_offset:
        return ""
    if fields.backing_length > MOST_NAME or fields.backing_offset + fields.backing_length > fields.cluster:
        raise damaged("backing file name outside the header")
    return _text(source.read(fields.backing_offset, fields.backing_length))


def _extensions(source: Source, fields: _Fields) -> dict[int, bytes]:
    """Header extensions by type, those of the first cluster."""
    found: dict[int, bytes] = {}
    at, end = fields.header_length, fields.backing_offset or fields.cluster
    while at + EXTENSION.size <= min(end, source.size):
        kind, length = EXTENSION.unpack(source.read(at, EXTENSION.size))
        if kind == 0:
            break
        if at + EXTENSION.size + length > end:
            raise damaged("header extension outside the header")
        found[kind] = source.read(at + EXTENSION.size, length)
        at += EXTENSION.size + (length + 7 & ~7)
    return found


def _check_tables(source: Source, fields: _Fields) -> None:
    """The mapping tables lie inside the file and are as large as the disk needs."""
    entry_bytes = 16 if fields.incompatible & EXTENDED_L2 else 8
    per_l2 = fields.cluster // entry_bytes * fields.cluster
    needed = -(-fields.size // per_l2)
    if fields.l1_entries < needed or fields.l1_entries * 8 > MOST_L1_BYTES:
        raise damaged(f"{fields.l1_entries} entries of the first table for {fields.size} bytes")
    table = source.read(fields.l1_offset, fields.l1_entries * 8)
    for (entry,) in struct.iter_unpack(">Q", table):
        if entry & OFFSET_MASK and (entry & OFFSET_MASK) + fields.cluster > source.size:
            raise damaged(f"a mapping table at {entry & OFFSET_MASK} lies outside the file of {source.size} bytes")
    _check_end(source, fields)


def _check_end(source: Source, fields: _Fields) -> None:
    """The highest cluster in use begins inside the file; a copy that was cut off fails here."""
    length = fields.refcount_clusters * fields.cluster
    if length > MOST_REFCOUNT_TABLE_BYTES:
        raise damaged("reference count table without end")
    table = [entry & OFFSET_MASK for (entry,) in struct.iter_unpack(">Q", source.read(fields.refcount_offset, length))]
    last = max((index for index, entry in enumerate(table) if entry), default=None)
    if last is None:
        raise damaged("no reference counts")
    block = source.read(table[last], fields.cluster)
    bits = 1 << fields.refcount_order
    used = int.from_bytes(block.rstrip(b"\0")[-1:], "big") and (len(block.rstrip(b"\0")) * 8 - 1) // bits
    highest = last * (fields.cluster * 8 // bits) + used
    if highest * fields.cluster >= source.size:
        raise damaged(f"cluster {highest} is in use and lies outside the file of {source.size} bytes")


def _text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("utf-8", "backslashreplace")
