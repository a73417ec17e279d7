# SPDX-License-Identifier: Apache-2.0
"""The old partition table still divides most disks that come from Xen, logical partitions included.

Reads one sector per table. Numbers are those that Linux gives: 1 to 4 by slot, logical ones from 5 in the chain's order. A chain
that loops or never ends is cut, not followed.
"""

import struct
from collections.abc import Iterator

from unxen.model.record import dataclass
from unxen.probe.device import Readable

SECTOR = 512
EXTENDED = frozenset((0x05, 0x0F, 0x85))
PROTECTIVE = 0xEE
# Linux stops at 256 partitions of a disk, and after 100 extended tables without one (block/partitions/msdos.c).
MOST_LOGICAL = 252
MOST_TABLES = 256


@dataclass(frozen=True)
class Row:
    """One used row of a table, in bytes from the disk's start; `type_id` as it is spelled in `Partition`."""

    number: int
    type_id: str
    start: int
    length: int
    active: bool


@dataclass(frozen=True)
class _Entry:
    status: int
    type: int
    first: int
    count: int


def looks_like_table(sector: bytes) -> bool:
    """Signature there, and every status byte 0x00 or 0x80, as Linux asks before it believes one."""
    return sector[510:512] == b"\x55\xaa" and all(entry.status & 0x7F == 0 for entry in _entries(sector))


def is_protective(sector: bytes) -> bool:
    """Whether a row says that the real table is GPT (protective, or hybrid with others beside it)."""
    return any(entry.type == PROTECTIVE for entry in _entries(sector))


def rows(disk: Readable, sector: bytes, unit: int = SECTOR) -> list[Row]:
    """Every partition of the table in `sector`: primary ones, then logical ones; it counts in units of so many bytes."""
    used = [(number, entry) for number, entry in enumerate(_entries(sector), 1) if entry.type and entry.count]
    found = [_row(number, entry, 0, unit) for number, entry in used]
    logical = [each for _, entry in used if entry.type in EXTENDED for each in _logical(disk, entry, unit)]
    return found + [_row(number, entry, base, unit) for number, (entry, base) in enumerate(logical[:MOST_LOGICAL], 5)]


def _entries(sector: bytes) -> list[_Entry]:
    packed = struct.iter_unpack("<B3xB3xII", sector[446:510].ljust(64, b"\0"))
    return [_Entry(*each) for each in packed]


def _row(number: int, entry: _Entry, base: int, unit: int) -> Row:
    start, active = (base + entry.first) * unit, entry.status == 0x80
    return Row(number, f"{entry.type:02x}", start, entry.count * unit, active)


def _logical(disk: Readable, extended: _Entry, unit: int) -> Iterator[tuple[_Entry, int]]:
    """(entry, the sector that its first sector counts from) along the chain of one extended partition."""
    at, seen = extended.first, set[int]()
    while at not in seen and len(seen) < MOST_TABLES:
        seen.add(at)
        sector = disk.read_through(at * unit, SECTOR)
        if sector[510:512] != b"\x55\xaa":
            return
        entries = _entries(sector)
        for index, entry in enumerate(entries):
            if entry.count and entry.type and entry.type not in EXTENDED and _inside(index, entry, at, extended):
                yield entry, at
        links = [entry for entry in entries if entry.type in EXTENDED and entry.count]
        if not links:
            return
        at = extended.first + links[0].first


def _inside(index: int, entry: _Entry, at: int, extended: _Entry) -> bool:
    """The third and fourth rows of a logical table may hold garbage; Linux believes them only inside the extended partition."""
    return index < 2 or at + entry.first + entry.count <= extended.first + extended.count
