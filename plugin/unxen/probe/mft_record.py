# SPDX-License-Identifier: Apache-2.0
"""Where a file's bytes lie, and what forbids writing them, stands in its $MFT record, which is decoded here and nowhere else.

Touches nothing: takes the bytes of one record, gives its attributes, or raises Malformed. Offsets follow the layout that
ntfs-3g's layout.h and the documents of libfsntfs agree on; every length is held against the record before it is used.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum

from unxen.model.record import dataclass
from unxen.probe.malformed import Malformed

STRIDE = 512
IN_USE, DIRECTORY = 0x0001, 0x0002
COMPRESSED, ENCRYPTED, SPARSE = 0x00FF, 0x4000, 0x8000
END = 0xFFFFFFFF
MOST_RUNS = 100_000
REFERENCE = struct.Struct("<Q")


class Type(IntEnum):
    """Attribute types that unxen looks at."""

    ATTRIBUTE_LIST = 0x20
    VOLUME_INFORMATION = 0x70
    DATA = 0x80
    INDEX_ROOT = 0x90
    INDEX_ALLOCATION = 0xA0
    BITMAP = 0xB0
    REPARSE_POINT = 0xC0


@dataclass(frozen=True)
class Extent:
    """A piece of an attribute: `cluster` None is a hole."""

    cluster: int | None
    count: int


@dataclass(frozen=True)
class Attribute:
    """One attribute: `value` of a resident one, else `extents`, and the sizes where lowest_vcn is 0."""

    type: int
    name: str
    flags: int
    instance: int
    value: bytes | None
    extents: tuple[Extent, ...] = ()
    lowest_vcn: int = 0
    allocated: int = 0
    size: int = 0
    initialised: int = 0
    unit: int = 0


@dataclass(frozen=True)
class Record:
    """One decoded record; `base` is the number of the record that this one continues, 0 for a base record itself."""

    sequence: int
    in_use: bool
    directory: bool
    base: int
    base_sequence: int
    attributes: tuple[Attribute, ...]


def decode_record(data: bytes, place: str) -> Record:
    """The attributes of the record in `data`, its fixups checked and undone."""
    whole = undo_fixups(data, b"FILE", place)
    sequence, _, first, flags, used = struct.unpack_from("<HHHHI", whole, 16)
    base = REFERENCE.unpack_from(whole, 32)[0]
    if not 42 <= first <= used <= len(whole):
        raise Malformed(place, f"attributes from {first} to {used}")
    attributes = tuple(_attributes(whole[:used], first, place))
    return Record(sequence, bool(flags & IN_USE), bool(flags & DIRECTORY), base & (1 << 48) - 1, base >> 48, attributes)


def undo_fixups(data: bytes, magic: bytes, place: str) -> bytes:
    """A multi-sector structure as it was before its last two bytes per sector were set aside; torn writes are found so."""
    if len(data) < STRIDE or len(data) % STRIDE or data[:4] != magic:
        raise Malformed(place, "no signature")
    at, count = struct.unpack_from("<HH", data, 4)
    if count != len(data) // STRIDE + 1 or at % 2 or at + 2 * count > STRIDE - 2:
        raise Malformed(place, f"{count} fixups at {at}")
    whole, mark = bytearray(data), data[at : at + 2]
    for index in range(1, count):
        end = index * STRIDE
        if data[end - 2 : end] != mark:
            raise Malformed(place, f"torn at {end}")
        whole[end - 2 : end] = data[at + 2 * index : at + 2 * index + 2]
    return bytes(whole)


def _attributes(data: bytes, at: int, place: str) -> Iterator[Attribute]:
    while at + 4 <= len(data):
        if int.from_bytes(data[at : at + 4], "little") == END:
            return
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if length < 24 or length % 8 or at + length > len(data):
            raise Malformed(place, f"attribute of {length} bytes at {at}")
        yield _attribute(data[at : at + length], f"{place}, attribute at {at}")
        at += length
    raise Malformed(place, "no end of attributes")


def _attribute(data: bytes, place: str) -> Attribute:
    kind, _, non_resident, name_length, name_at, flags, instance = struct.unpack_from("<IIBBHHH", data)
    if name_at + 2 * name_length > len(data):
        raise Malformed(place, "name past the end")
    name = data[name_at : name_at + 2 * name_length].decode("utf-16-le", "replace")
    if not non_resident:
        return Attribute(kind, name, flags, instance, _resident_value(data, place))
    return _non_resident(data, kind, name, flags, instance, place)


def _resident_value(data: bytes, place: str) -> bytes:
    size, at = struct.unpack_from("<IH", data, 16)
    if at + size > len(data):
        raise Malformed(place, "value past the end")
    return data[at : at + size]


def _non_resident(data: bytes, kind: int, name: str, flags: int, instance: int, place: str) -> Attribute:
    if len(data) < 64:
        raise Malformed(place, "too short")
    lowest, highest, runs_at, unit, _, allocated, size, initialised = struct.unpack_from("<qqHHIqqq", data, 16)
    if not 64 <= runs_at <= len(data) or lowest < 0:
        raise Malformed(place, f"runs at {runs_at}")
    extents = tuple(decode_runs(data[runs_at:], place))
    if sum(each.count for each in extents) != highest - lowest + 1:
        raise Malformed(place, f"runs do not cover clusters {lowest} to {highest}")
    if lowest == 0 and not 0 <= initialised <= size <= allocated:
        raise Malformed(place, f"sizes {initialised}, {size}, {allocated}")
    return Attribute(kind, name, flags, instance, None, extents, lowest, allocated, size, initialised, unit)


def decode_runs(data: bytes, place: str) -> Iterator[Extent]:
    """The mapping pairs: each begins with the widths of its two numbers; the second is relative to the extent before."""
    at, cluster = 0, 0
    for _ in range(MOST_RUNS):
        if at >= len(data) or data[at] == 0:
            return
        count_width, offset_width = data[at] & 0x0F, data[at] >> 4
        end = at + 1 + count_width + offset_width
        if not 1 <= count_width <= 8 or offset_width > 8 or end > len(data):
            raise Malformed(place, f"run {data[at]:02x} at {at}")
        count = int.from_bytes(data[at + 1 : at + 1 + count_width], "little")
        cluster += int.from_bytes(data[at + 1 + count_width : end], "little", signed=True)
        if not 0 < count < 1 << 48 or not 0 <= cluster < 1 << 48:
            raise Malformed(place, f"run of {count} clusters at {cluster}")
        yield Extent(cluster if offset_width else None, count)
        at = end
