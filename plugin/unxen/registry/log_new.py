# SPDX-License-Identifier: Apache-2.0
"""Logs since Windows 8.1 hold entries, each with a number and two hashes; here they are read and laid over the hive.

Touches only the bytes it is given; raises nothing for what a log holds. An entry is applied whole or not at all. Source: "Windows
registry file format specification", M. Suhanov, section on transaction log files.
"""

import struct
from collections.abc import Callable, Iterator

from unxen.model.hive_facts import LogEnd
from unxen.model.record import dataclass
from unxen.registry.base_block import BLOCK_SIZE, LARGEST_BINS, NUMBERS
from unxen.registry.log_block import SECTOR
from unxen.registry.marvin32 import marvin32

Read = Callable[[int, int], bytes]
"""Bytes of a log at an offset, fewer at its end."""
ENTRY_MAGIC = b"HvLE"
HEAD = struct.Struct("<4s5IQQ")
PAGE = struct.Struct("<II")
HEAD_HASHED = 32


@dataclass(frozen=True)
class Entry:
    """One verified entry: `pages` are places in the bins and lengths, their bytes follow each other from `data_at` in the log."""

    size: int
    flags: int
    number: int
    bins_size: int
    pages: tuple[tuple[int, int], ...]
    data_at: int


@dataclass(frozen=True)
class _Head:
    """The fixed part of an entry, its own hash right."""

    size: int
    flags: int
    number: int
    bins_size: int
    pages: int
    data_hash: int


def _read_head(data: bytes) -> _Head | LogEnd:
    if len(data) < HEAD.size or data[:4] != ENTRY_MAGIC:
        return LogEnd.NO_MORE
    _, size, flags, number, bins_size, pages, data_hash, head_hash = HEAD.unpack(data)
    if marvin32(data[:HEAD_HASHED]) != head_hash:
        return LogEnd.DAMAGED_HEADER
    return _Head(size, flags, number, bins_size, pages, data_hash)


def read_entry(data: bytes, at: int, expected: int) -> Entry | LogEnd:
    """The entry at that place, if it verifies and has the expected number; else why not."""
    head = _read_head(data[at : at + HEAD.size])
    if isinstance(head, LogEnd):
        return head
    if head.number != expected:
        return LogEnd.OTHER_ROUND
    if head.size > len(data) - at:
        return LogEnd.CUT_OFF
    if not _is_possible(head):
        return LogEnd.IMPOSSIBLE
    if marvin32(data[at + HEAD.size : at + head.size]) != head.data_hash:
        return LogEnd.DAMAGED_DATA
    return _with_pages(data, at, head)


def _is_possible(head: _Head) -> bool:
    room = HEAD.size + PAGE.size * head.pages <= head.size and head.size % SECTOR == 0
    return room and head.pages > 0 and head.bins_size % BLOCK_SIZE == 0 and 0 < head.bins_size <= LARGEST_BINS


def _with_pages(data: bytes, at: int, head: _Head) -> Entry | LogEnd:
    """The entry, if every page lies inside the bins and all their bytes inside the entry."""
    first, behind = at + HEAD.size, at + HEAD.size + PAGE.size * head.pages
    pages = tuple(PAGE.iter_unpack(data[first:behind]))
    inside = all(place % SECTOR == length % SECTOR == 0 and place + length <= head.bins_size for place, length in pages)
    if not inside or sum(length for _, length in pages) > at + head.size - behind:
        return LogEnd.IMPOSSIBLE
    return Entry(head.size, head.flags, head.number, head.bins_size, pages, behind)


def apply_entry(hive: bytearray, data: bytes, entry: Entry) -> None:
    """Its pages over the hive, which grows when the bins do."""
    hive.extend(bytes(max(0, BLOCK_SIZE + entry.bins_size - len(hive))))
    at = entry.data_at
    for place, length in entry.pages:
        hive[BLOCK_SIZE + place : BLOCK_SIZE + place + length] = data[at : at + length]
        at += length


def count_entries(data: bytes, first: int) -> int:
    """Entries that begin with the number and follow each other, whether or not their data is whole."""
    expected = first
    for number in walk_numbers(lambda at, length: data[at : at + length]):
        if number != expected:
            break
        expected = (expected + 1) % NUMBERS
    return (expected - first) % NUMBERS


def walk_numbers(read: Read) -> Iterator[int]:
    """The numbers of all entries that lie back to back from the log's beginning, those of earlier rounds too."""
    at = SECTOR
    while isinstance(head := _read_head(read(at, HEAD.size)), _Head) and head.size >= SECTOR and head.size % SECTOR == 0:
        yield head.number
        at += head.size
