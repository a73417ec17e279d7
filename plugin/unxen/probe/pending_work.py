# SPDX-License-Identifier: Apache-2.0
"""An open journal says by clusters which pages Windows will still change; a hive that lies in none of them is where it seems to be.

Reads $LogFile of one volume. Judged by physical place alone: every record that Windows may still apply or take back names the
clusters of its page, so no table of open files has to be understood. What is not understood completely is UNKNOWN.
"""

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum

from unxen.model.record import dataclass
from unxen.model.volume_facts import PendingWork
from unxen.probe.directory_index import INDEX
from unxen.probe.journal_pages import LARGEST_LOG, LogRecord, records
from unxen.probe.malformed import VOLUME_ERRORS, Malformed
from unxen.probe.mft_record import Type
from unxen.probe.ntfs import NtfsVolume

MFT_RECORD, LOG_RECORD, BITMAP_RECORD = 0, 2, 6
ACTION = struct.Struct("<12HQ")
ACTION_RECORD, CHECKPOINT = 1, 2


class Op(IntEnum):
    """The operations that are looked at for more than their clusters."""

    DELETE_DIRTY_CLUSTERS = 0x0A
    SET_BITS = 0x15
    CLEAR_BITS = 0x16


# Operations on a page, which has to be named by its clusters: on file records and index blocks, on bytes of a stream, on bits.
ON_PAGES = frozenset((*range(0x02, 0x0A), *range(0x0B, 0x17), 0x21, 0x22, 0x23, 0x24, 0x25))
# Operations on NTFS' own tables, and marks of transactions: nothing, compensation, end, prepare, commit, forget, open, four dumps.
ON_TABLES = frozenset((0x00, 0x01, 0x0A, *range(0x18, 0x21)))


@dataclass(frozen=True)
class Ground:
    """The clusters that must not be at work, and the bits of bitmaps that stand for them: (clusters of the bitmap, bit numbers)."""

    clusters: frozenset[int]
    bits: tuple[tuple[tuple[int, ...], frozenset[int]], ...]
    cluster_size: int


def pending_work(volume: NtfsVolume, files: Sequence[int], directory: int) -> PendingWork:
    """What the journal still has to do to the files with these records, in the directory with that record."""
    try:
        ground = _ground(volume, files, directory)
        stream = volume.mft.stream(volume.mft.file(LOG_RECORD), Type.DATA)
        log = volume.mft.read(stream, 0, min(stream.size, LARGEST_LOG), cached=False)
        return PendingWork.HERE if touches(records(log), ground) else PendingWork.ELSEWHERE
    except VOLUME_ERRORS:
        return PendingWork.UNKNOWN


def touches(pending: Iterable[LogRecord], ground: Ground) -> bool:
    """Whether any record may change the ground; all of them are read, so that none stays unread that is not understood."""
    found = [_touches(each, ground) for each in pending]
    return any(found)


def _touches(record: LogRecord, ground: Ground) -> bool:
    if record.type == CHECKPOINT:
        return False
    if record.type != ACTION_RECORD:
        raise Malformed(f"journal record {record.number}", f"type {record.type}")
    redo, undo, redo_at, redo_size, undo_at, undo_size, _, count, _, _, block, _, vcn = ACTION.unpack_from(record.data)
    if not {redo, undo} <= ON_PAGES | ON_TABLES or (not count and {redo, undo} & ON_PAGES):
        raise Malformed(f"journal record {record.number}", f"operations {redo:#x} and {undo:#x} on {count} clusters")
    clusters = struct.unpack_from(f"<{count}Q", record.data, ACTION.size)
    if ground.clusters.intersection(clusters):
        return True
    parts = ((redo, redo_at, redo_size), (undo, undo_at, undo_size))
    page = (vcn * ground.cluster_size + block * 512) * 8
    # Data are read only where they mean something: a record that is never redone has none.
    spoken = [(op, _part(record, at, size)) for op, at, size in parts if op in set(Op)]
    return any(_means(op, data, clusters, page, ground) for op, data in spoken)


def _part(record: LogRecord, at: int, size: int) -> bytes:
    if at + size > len(record.data):
        raise Malformed(f"journal record {record.number}", f"{size} bytes at {at}")
    return record.data[at : at + size]


def _means(op: int, data: bytes, clusters: tuple[int, ...], page: int, ground: Ground) -> bool:
    """Whether the operation's own data name the ground: clusters that were freed, or bits of a bitmap."""
    if op == Op.DELETE_DIRTY_CLUSTERS:
        ranges = struct.iter_unpack("<QQ", data[: len(data) // 16 * 16])
        return any(first <= each < first + count for first, count in ranges for each in ground.clusters)
    first, count = struct.unpack_from("<II", data)
    # The number counts from the page; that it does not count from the bitmap's start is only read, so both are held against it.
    starts = (page + first, first)
    own = (bits for places, bits in ground.bits if set(places).intersection(clusters))
    return any(start <= bit < start + count for bits in own for bit in bits for start in starts)


def _ground(volume: NtfsVolume, files: Sequence[int], directory: int) -> Ground:
    """The files' clusters and records, their directory's record and index, the $MFT's own record, and the bits of them all."""
    for record in (*files, directory, MFT_RECORD):
        if volume.mft.file(record).listed:
            raise Malformed(f"record {record}", "continued elsewhere")
    data = [each for number in files for each in _clusters(volume, number, Type.DATA)]
    books = [each for record in (*files, directory, MFT_RECORD) for each in _record_clusters(volume, record)]
    index = _clusters(volume, directory, Type.INDEX_ALLOCATION, INDEX) + _clusters(volume, directory, Type.BITMAP, INDEX)
    bits = (
        (tuple(_clusters(volume, BITMAP_RECORD, Type.DATA)), frozenset((*data, *books, *index))),
        (tuple(_clusters(volume, MFT_RECORD, Type.BITMAP)), frozenset((*files, directory))),
    )
    return Ground(frozenset((*data, *books, *index)), bits, volume.boot.cluster_size)


def _record_clusters(volume: NtfsVolume, record: int) -> list[int]:
    """All clusters of a record; its neighbours in the same cluster count as it."""
    first = (volume.mft.place(record) - volume.source.start) // volume.boot.cluster_size
    last = (volume.mft.place(record) - volume.source.start + volume.boot.record_size - 1) // volume.boot.cluster_size
    return list(range(first, last + 1))


def _clusters(volume: NtfsVolume, number: int, kind: Type, name: str = "") -> list[int]:
    file = volume.mft.file(number)
    if not file.named(kind, name):
        return []
    stream = volume.mft.stream(file, kind, name)
    if not stream.complete:
        raise Malformed(f"record {number}", "not all clusters known")
    return [each.cluster + index for each in stream.extents if each.cluster is not None for index in range(each.count)]
