# SPDX-License-Identifier: Apache-2.0
"""The edited hive goes into the clusters that the file already owns: no mount, no metadata touched, no journal cleared.

Writes only sectors that differ from what the export shows there. It may be used when the file's record tells all its clusters and
the hive, with what its logs held and the edits made, is as long as the file; `obstacle` names what forbids it.
"""

from collections.abc import Iterator

from unxen.host.nbd_client import NbdClient, Range
from unxen.model.volume_facts import FileRecord, Volume

SECTOR = 512
PIECE = 1 << 20


def obstacle(record: FileRecord | None, volume: Volume, edited: bytes) -> str:
    """What keeps the hive from being written in place, as a word; empty when nothing does."""
    if record is None:
        return "no-record"
    checks = (
        ("resident", record.resident),
        ("compressed", record.compressed),
        ("encrypted", record.encrypted),
        ("sparse", record.sparse),
        ("wof", record.wof),
        ("attribute-list", not record.complete),
        ("growth", len(edited) != record.size or len(edited) > record.initialised),
        ("outside-volume", any(_outside(start, length, volume) for start, length in _pieces(record, volume))),
    )
    return next((word for word, found in checks if found), "")


def deliver_in_place(client: NbdClient, record: FileRecord, volume: Volume, edited: bytes) -> tuple[Range, ...]:
    """Writes where the disk does not show the edited hive; gives the ranges of the disk that were written."""
    written = tuple(_differing(client, record, volume, edited))
    for place, data in written:
        client.write(place.start, data)
    client.flush()
    return tuple(place for place, _ in written)


def hive_ranges(record: FileRecord, volume: Volume) -> tuple[Range, ...]:
    """Where on the disk the file's clusters lie."""
    return tuple(Range(start, length) for start, length in _pieces(record, volume))


def _pieces(record: FileRecord, volume: Volume) -> Iterator[tuple[int, int]]:
    for run in record.runs:
        yield volume.start + run.cluster * volume.cluster_size, run.count * volume.cluster_size


def _outside(start: int, length: int, volume: Volume) -> bool:
    return start < volume.start or start + length > volume.start + volume.length


def _differing(client: NbdClient, record: FileRecord, volume: Volume, edited: bytes) -> Iterator[tuple[Range, bytes]]:
    """Sectors of the edited hive that the disk does not have, with their place on it."""
    at = 0
    for start, length in _pieces(record, volume):
        end = min(at + length, len(edited))
        for inside in range(at, end, PIECE):
            ours, place = edited[inside : min(inside + PIECE, end)], start + inside - at
            yield from _sectors(place, client.read(place, len(ours)), ours)
        at += length


def _sectors(start: int, there: bytes, ours: bytes) -> Iterator[tuple[Range, bytes]]:
    if there == ours:
        return
    for at in range(0, len(there), SECTOR):
        new = ours[at : at + SECTOR]
        if new != there[at : at + SECTOR]:
            yield Range(start + at, len(new)), new
