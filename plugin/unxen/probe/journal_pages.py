# SPDX-License-Identifier: Apache-2.0
"""Before NTFS can be asked what its journal still has to do, the records have to be read as Windows would read them.

Touches nothing: takes the bytes of a whole $LogFile. Anything that is not exactly as expected raises Malformed. Layout: the
documents of linux-ntfs and libfsntfs on $LogFile; version 2 as found in a journal that Windows 10 left open, every record of which
is read here. A page is written first into one of 32 places behind the restart pages, and only later where it belongs.
"""

import struct
from collections.abc import Iterator

from unxen.model.record import dataclass
from unxen.probe.malformed import Malformed
from unxen.probe.mft_record import undo_fixups

PAGE = 4096
RESTART_PAGES, FIRST_PAGE = 2, 34
VERSION = 2
NAME = "NTFS"
AREA = struct.Struct("<QHHHHIHHQIHHI")
CLIENT = struct.Struct("<QQHHHHHHI")
PAGE_HEAD = struct.Struct("<4sHHQIHHHHIQ")
RECORD = struct.Struct("<QQQIHHIIHHHH")
NO_CLIENT = 0xFFFF
# Windows makes 64 MiB at most by itself; more than this would not fit into the parser's box beside everything else.
LARGEST_LOG = 128 << 20
MOST_RECORDS = 1 << 20


@dataclass(frozen=True)
class Restart:
    """What the newest restart page says: where to begin, the bytes of the journal, and how its numbers count."""

    current: int
    oldest: int
    size: int
    offset_bits: int
    record_head: int
    data_at: int


@dataclass(frozen=True)
class LogRecord:
    """One record of the journal: its number, its type (1 is an action, 2 a checkpoint), and what NTFS wrote into it."""

    number: int
    type: int
    data: bytes


def records(log: bytes) -> Iterator[LogRecord]:
    """Every record that Windows may still need, oldest first, to the newest one that is anywhere in the journal."""
    restart = _restart(log)
    walk = _Walk(log[: restart.size], restart)
    last = 0
    for record in walk.records():
        last = record.number
        yield record
    if last < restart.current or last < walk.newest:
        raise Malformed("$LogFile", f"read up to {last}, but there is {max(restart.current, walk.newest)}")


def _restart(log: bytes) -> Restart:
    found = []
    for at in (0, PAGE):
        try:
            found.append(_read_restart(undo_fixups(log[at : at + PAGE], b"RSTR", "restart page"), len(log)))
        except (Malformed, struct.error):
            continue
    if not found:
        raise Malformed("$LogFile", "no restart page")
    return max(found, key=lambda each: each.current)


def _read_restart(page: bytes, size: int) -> Restart:
    system_page, log_page, area, _, major = struct.unpack_from("<IIHhh", page, 16)
    if (system_page, log_page, major) != (PAGE, PAGE, VERSION) or area > PAGE // 2:
        raise Malformed("restart page", f"version {major}, pages of {system_page} and {log_page} bytes")
    current, _, _, in_use, _, bits, _, clients, log_size, _, record_head, data_at, _ = AREA.unpack_from(page, area)
    possible = FIRST_PAGE * PAGE < log_size <= size and log_size % PAGE == 0
    if in_use == NO_CLIENT or not possible or not 40 <= bits < 64 or clients > PAGE // 4:
        raise Malformed("restart page", "no client, or absurd numbers")
    oldest, _, _, _, _, _, _, _, name_size = CLIENT.unpack_from(page, area + clients + in_use * 160)
    name = page[area + clients + in_use * 160 + CLIENT.size :][:name_size].decode("utf-16-le", "replace")
    if name != NAME or record_head != RECORD.size or not PAGE_HEAD.size <= data_at < PAGE or data_at % 8:
        raise Malformed("restart page", f"client {name}")
    return Restart(current, oldest, log_size, 64 - bits, record_head, data_at)


class _Walk:
    """The pages of a journal as they would be once every one is where it belongs, and the records in them."""

    def __init__(self, log: bytes, restart: Restart) -> None:
        self._log, self._restart = log, restart
        self._count = len(log) // PAGE
        self._places: dict[int, int] = {}
        self._opened: dict[int, bytes] = {}
        self.newest = 0
        for place in (*range(FIRST_PAGE, self._count), *range(RESTART_PAGES, FIRST_PAGE)):
            self._note(place)

    def _note(self, place: int) -> None:
        """Remembers the newest whole page for each place, and the newest record that any page speaks of."""
        head = self._head(place)
        if head is None:
            return
        number = head[3]
        self.newest = max(self.newest, number)
        home = place
        if place < FIRST_PAGE:
            offset = self._offset(number)
            if not self._holds(offset):
                # Left from a journal of version 1, which begins here.
                return
            home = offset // PAGE
        held = self._places.get(home)
        if held is None or self._number(held) < number:
            self._places[home] = place

    def _number(self, place: int) -> int:
        head = self._head(place)
        return head[3] if head else 0

    def _head(self, place: int) -> tuple[bytes, int, int, int] | None:
        head = PAGE_HEAD.unpack_from(self._log, place * PAGE)
        return head[:4] if head[0] == b"RCRD" else None

    def _offset(self, number: int) -> int:
        """Where in the file a record begins."""
        return (number & (1 << self._restart.offset_bits) - 1) << 3

    def _holds(self, offset: int) -> bool:
        return FIRST_PAGE * PAGE <= offset < len(self._log)

    def records(self) -> Iterator[LogRecord]:
        """From the oldest that is needed to the first place where none follows."""
        number = self._restart.oldest
        for _ in range(MOST_RECORDS):
            at = self._offset(number)
            if not self._holds(at):
                raise Malformed("$LogFile", f"record {number} at {at}")
            try:
                head = self._bytes(at, RECORD.size)[0]
            except Malformed:
                return
            own, _, _, size, _, _, kind, *_ = RECORD.unpack(head)
            if own != number:
                return
            data, end = self._bytes(at + RECORD.size, size)
            yield LogRecord(number, kind, data)
            number = self._following(number, at, end)
        raise Malformed("$LogFile", "records without end")

    def _following(self, number: int, at: int, end: int) -> int:
        """The number of the record behind one that ends there; a page's last bytes, too few for a record's head, stay empty."""
        end = -(-end // 8) * 8
        if -end % PAGE < self._restart.record_head:
            end = self._next(-(-end // PAGE) - 1) * PAGE + self._restart.data_at
        cycle = (number >> self._restart.offset_bits) + (end <= at)
        return cycle << self._restart.offset_bits | end >> 3

    def _next(self, page: int) -> int:
        return page + 1 if page + 1 < self._count else FIRST_PAGE

    def _bytes(self, at: int, size: int) -> tuple[bytes, int]:
        """Bytes of records from an offset on, page heads left out, and the offset behind them."""
        if size > len(self._log):
            raise Malformed("$LogFile", f"record of {size} bytes")
        pieces: list[bytes] = []
        while size:
            if at % PAGE == 0:
                at = self._next(at // PAGE - 1) * PAGE + self._restart.data_at
            piece = self._page(at // PAGE)[at % PAGE :][:size]
            pieces.append(piece)
            size -= len(piece)
            at += len(piece)
        return b"".join(pieces), at

    def _page(self, number: int) -> bytes:
        if number not in self._opened:
            place = self._places.get(number)
            if place is None:
                raise Malformed("$LogFile", f"no page {number}")
            self._opened[number] = undo_fixups(self._log[place * PAGE :][:PAGE], b"RCRD", f"page {place}")
        return self._opened[number]
