# SPDX-License-Identifier: Apache-2.0
"""qcow2's header names other files and carries the bits that forbid writing; both must be known before QEMU opens it.

Reads through a Source. Fields: docs/interop/qcow2.txt of QEMU. Numbers that contradict each other or the file are
Refused(IMAGE_DAMAGED).
"""

import struct

from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.probe.headers.qcow2_fields import COMPRESSION, CORRUPT, DIRTY, EXTENDED_L2, EXTERNAL_DATA, Fields, read_fields
from unxen.probe.headers.qcow2_tables import check_tables
from unxen.probe.headers.source import Source, damaged, sane_size

EXTENSION = struct.Struct(">II")
BACKING_FORMAT, DATA_FILE, BITMAPS = 0xE2792ACA, 0x44415441, 0x23852875
KNOWN = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION | EXTENDED_L2
MOST_NAME = 1023
COMPRESSION_AT = 104
COMPRESSIONS = (0, 1)
SECTOR = 512


def read_qcow2(source: Source) -> ImageHeader:
    """The header of a qcow2 file."""
    fields = read_fields(source)
    extensions = _extensions(source, fields)
    unknown = _unknown(source, fields)
    # Tables that mean something else are not held against the file: the image is refused for that.
    if not unknown and not fields.incompatible & EXTERNAL_DATA:
        check_tables(source, fields)
    return ImageHeader(
        format=ImageFormat.QCOW2,
        virtual_size=sane_size(fields.size // SECTOR * SECTOR),
        backing_file=_backing_name(source, fields),
        backing_format=_text(extensions.get(BACKING_FORMAT, b"")),
        data_file=(_text(extensions.get(DATA_FILE, b"")) or "?") if fields.incompatible & EXTERNAL_DATA else "",
        encrypted=fields.crypt != 0,
        dirty=bool(fields.incompatible & DIRTY),
        corrupt=bool(fields.incompatible & CORRUPT),
        has_snapshots=fields.snapshots > 0,
        has_bitmaps=BITMAPS in extensions,
        unknown_features=unknown,
    )


def _unknown(source: Source, fields: Fields) -> tuple[str, ...]:
    """What a reader must understand and this one does not."""
    bits = tuple(f"incompatible bit {bit}" for bit in range(64) if fields.incompatible & ~KNOWN & 1 << bit)
    if fields.incompatible & COMPRESSION and source.read(COMPRESSION_AT, 1)[0] not in COMPRESSIONS:
        return (*bits, "compression type")
    return bits


def _backing_name(source: Source, fields: Fields) -> str:
    if not fields.backing_offset:
        return ""
    if fields.backing_length > MOST_NAME or fields.backing_offset + fields.backing_length > fields.cluster:
        raise damaged("backing file name outside the header")
    return _text(source.read(fields.backing_offset, fields.backing_length))


def _extensions(source: Source, fields: Fields) -> dict[int, bytes]:
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


def _text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("utf-8", "backslashreplace")
