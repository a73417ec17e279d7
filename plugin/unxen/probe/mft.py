# SPDX-License-Identifier: Apache-2.0
"""A record is found by its number through the $MFT, which is itself a file; and what goes on in other records is followed here.

Reads through the volume it is given. Raises Malformed for a record that breaks its rules. The number of records followed for
one file is bounded, and a chain of them is checked against the record that it claims to continue.
"""

import struct
from collections.abc import Iterator, Sequence

from unxen.model.ids import Offset
from unxen.model.record import dataclass
from unxen.model.volume_facts import FileRecord, Run
from unxen.probe.boot_sector import BootSector
from unxen.probe.device import Slice
from unxen.probe.malformed import Malformed
from unxen.probe.mft_record import COMPRESSED, ENCRYPTED, SPARSE, Attribute, Extent, Record, Type, decode_record

# A hive of 64 MiB in single 4 KiB clusters needs about 70 records more; the $MFT of a full volume about as many.
MOST_RECORDS = 1024
LARGEST_LIST = 1 << 20
ENTRY = struct.Struct("<IHBBQQH")
WOF_STREAM = "WofCompressedData"


@dataclass(frozen=True)
class File:
    """A base record with the attributes of all records that continue it; `whole` is false when one of those was not readable."""

    number: int
    record: Record
    attributes: tuple[Attribute, ...]
    listed: bool
    whole: bool

    def named(self, kind: Type, name: str = "") -> list[Attribute]:
        """Its pieces of one attribute, in the order of their clusters."""
        pieces = [each for each in self.attributes if each.type == kind and each.name == name]
        return sorted(pieces, key=lambda each: each.lowest_vcn)

    @property
    def elsewhere(self) -> bool:
        """A reparse point (WOF, deduplication) or WOF's own stream: what $DATA holds is not what Windows reads."""
        return any(each.type == Type.REPARSE_POINT or each.name == WOF_STREAM for each in self.attributes)


@dataclass(frozen=True)
class Stream:
    """The content of one attribute: resident bytes, or extents with sizes in bytes; `complete` when they cover all of it."""

    value: bytes | None
    extents: tuple[Extent, ...]
    size: int
    allocated: int
    initialised: int
    flags: int
    unit: int
    complete: bool

    @property
    def plain(self) -> bool:
        """Whether the bytes are those in the clusters."""
        return self.complete and self.unit == 0 and not self.flags & (COMPRESSED | ENCRYPTED)


class Mft:
    """The $MFT of one volume, opened through record 0 at the cluster that the boot sector names."""

    def __init__(self, volume: Slice, boot: BootSector) -> None:
        self._volume = volume
        self._boot = boot
        self._extents: tuple[Extent, ...] = (Extent(boot.mft_cluster, -(-boot.record_size * 16 // boot.cluster_size)),)
        self._open()

    def _open(self) -> None:
        """Record 0 maps the $MFT; where that goes on in other records, they lie in what is mapped already."""
        for _ in range(MOST_RECORDS):
            stream = self.stream(self.file(0), Type.DATA)
            if stream.value is not None or not stream.extents:
                raise Malformed("record 0", "$MFT without clusters")
            known, self._extents = self._extents, stream.extents
            if stream.complete or len(stream.extents) <= len(known):
                return

    def place(self, number: int) -> Offset:
        """Where a record lies on the disk."""
        at = _find(self._extents, number * self._boot.record_size, self._boot.cluster_size)
        return Offset(self._volume.start + at)

    def record(self, number: int) -> Record:
        """One record, decoded."""
        data = b"".join(self._pieces(self._extents, number * self._boot.record_size, self._boot.record_size, cached=True))
        return decode_record(data, f"record {number}")

    def file(self, number: int) -> File:
        """A base record in use, with all that continues it."""
        record = self.record(number)
        if not record.in_use or record.base:
            raise Malformed(f"record {number}", "not a file's own record")
        lists = [each for each in record.attributes if each.type == Type.ATTRIBUTE_LIST]
        if not lists:
            return File(number, record, record.attributes, listed=False, whole=True)
        more, whole = self._continued(number, record, lists[0])
        return File(number, record, record.attributes + more, listed=True, whole=whole)

    def _continued(self, number: int, record: Record, listing: Attribute) -> tuple[tuple[Attribute, ...], bool]:
        """The attributes of all other records in the attribute list, and whether every one could be had."""
        entries = _entries(self._list_bytes(number, listing))
        others = dict.fromkeys(reference for reference in entries if reference & (1 << 48) - 1 != number)
        found: list[Attribute] = []
        for reference in list(others)[:MOST_RECORDS]:
            try:
                found += self._continuation(number, record.sequence, reference).attributes
            except (Malformed, OSError):
                return tuple(found), False
        return tuple(found), len(others) <= MOST_RECORDS

    def _continuation(self, number: int, sequence: int, reference: int) -> Record:
        other = self.record(reference & (1 << 48) - 1)
        right = other.in_use and other.base == number and other.base_sequence == sequence and other.sequence == reference >> 48
        if not right:
            raise Malformed(f"record {reference & (1 << 48) - 1}", f"does not continue record {number}")
        return other

    def _list_bytes(self, number: int, listing: Attribute) -> bytes:
        if listing.value is not None:
            return listing.value
        if listing.size > LARGEST_LIST:
            raise Malformed(f"record {number}", f"attribute list of {listing.size} bytes")
        return b"".join(self._pieces(listing.extents, 0, listing.size, cached=True))

    def stream(self, file: File, kind: Type, name: str = "") -> Stream:
        """One attribute of a file as its content; raises Malformed when there is none, or pieces overlap or leave the volume."""
        pieces = file.named(kind, name)
        if not pieces:
            raise Malformed(f"record {file.number}", f"no attribute {kind.name} {name}".rstrip())
        first = pieces[0]
        if first.value is not None:
            return Stream(first.value, (), len(first.value), 0, len(first.value), first.flags, 0, complete=True)
        if first.lowest_vcn != 0:
            raise Malformed(f"record {file.number}", "first clusters are missing")
        extents, mapped = self._joined(file.number, pieces)
        complete = file.whole and mapped * self._boot.cluster_size == first.allocated
        sizes = (first.size, first.allocated, first.initialised)
        return Stream(None, extents, *sizes, first.flags, first.unit, complete)

    def _joined(self, number: int, pieces: Sequence[Attribute]) -> tuple[tuple[Extent, ...], int]:
        """All extents in order and how many clusters they map; what follows a gap is left out."""
        extents: list[Extent] = []
        mapped = 0
        for piece in pieces:
            if piece.lowest_vcn > mapped:
                break
            if piece.lowest_vcn < mapped:
                raise Malformed(f"record {number}", f"cluster {piece.lowest_vcn} of the file is mapped twice")
            extents += piece.extents
            mapped += sum(each.count for each in piece.extents)
        self._check_inside(number, extents)
        return tuple(extents), mapped

    def _check_inside(self, number: int, extents: Sequence[Extent]) -> None:
        for each in extents:
            if each.cluster is not None and each.cluster + each.count > self._boot.clusters:
                raise Malformed(f"record {number}", f"cluster {each.cluster + each.count - 1} of {self._boot.clusters}")

    def read(self, stream: Stream, offset: int, length: int, *, cached: bool = True) -> bytes:
        """Bytes of a plain stream; what was never initialised reads as zeros, whatever its clusters hold."""
        length = max(0, min(length, stream.size - offset))
        if stream.value is not None:
            return stream.value[offset : offset + length]
        if not stream.plain:
            raise Malformed("stream", "not readable by its clusters")
        written = max(0, min(length, stream.initialised - offset))
        return b"".join(self._pieces(stream.extents, offset, written, cached=cached)) + bytes(length - written)

    def _pieces(self, extents: Sequence[Extent], offset: int, length: int, *, cached: bool) -> Iterator[bytes]:
        size, end, begins = self._boot.cluster_size, offset + length, 0
        fetch = self._volume.read if cached else self._volume.read_through
        for each in extents:
            ends = begins + each.count * size
            low, high = max(offset, begins), min(end, ends)
            if low < high:
                at = None if each.cluster is None else each.cluster * size + low - begins
                yield bytes(high - low) if at is None else _exactly(fetch(at, high - low), high - low)
            begins = ends
        if begins < end:
            raise Malformed("stream", f"ends at {begins}, wanted up to {end}")

    def file_record(self, number: int) -> FileRecord:
        """The facts of one file's unnamed data: where it lies and what forbids writing it."""
        file = self.file(number)
        stream = self.stream(file, Type.DATA)
        holes = any(each.cluster is None for each in stream.extents)
        runs = () if holes else tuple(Run(each.cluster or 0, each.count) for each in stream.extents)
        return FileRecord(
            number=number,
            sequence=file.record.sequence,
            record_offset=self.place(number),
            size=stream.size,
            allocated=stream.allocated,
            initialised=stream.initialised,
            runs=runs,
            resident=stream.value is not None,
            compressed=bool(stream.flags & COMPRESSED),
            encrypted=bool(stream.flags & ENCRYPTED),
            sparse=bool(stream.flags & SPARSE) or holes,
            wof=file.elsewhere,
            attribute_list=file.listed,
            complete=stream.complete and not holes,
        )


def _entries(data: bytes) -> list[int]:
    """The record references of an attribute list, in its order."""
    found, at = [], 0
    while at + ENTRY.size <= len(data):
        _, length, _, _, _, reference, _ = ENTRY.unpack_from(data, at)
        if length < ENTRY.size:
            raise Malformed("attribute list", f"entry of {length} bytes at {at}")
        found.append(reference)
        at += length
    return found


def _find(extents: Sequence[Extent], offset: int, cluster_size: int) -> int:
    for each in extents:
        length = each.count * cluster_size
        if offset < length:
            if each.cluster is None:
                break
            return each.cluster * cluster_size + offset
        offset -= length
    raise Malformed("$MFT", "record past its end")


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise Malformed("volume", "clusters past its end")
    return data
