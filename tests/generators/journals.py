# SPDX-License-Identifier: Apache-2.0
"""Makes a $LogFile of version 2 as a running Windows 8 or later has it: open, its newest pages not yet where they belong.

Touches nothing. Laid out from the same description as the reader, which is tried on a journal of a real Windows as well.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

PAGE, FIRST, DATA_AT, HEAD = 4096, 34, 64, 48
OFFSET_BITS, CYCLE = 19, 5
SIZE = 2 << 20


@dataclass(frozen=True)
class Action:
    """One record: its operations, the clusters of its page, and the data of both operations."""

    redo: int
    undo: int = 0
    clusters: Sequence[int] = ()
    data: bytes = b""
    vcn: int = 0
    type: int = 1

    def packed(self) -> bytes:
        """As NTFS writes it."""
        at = 40 + 8 * max(1, len(self.clusters)) - 8 if self.clusters else 40
        numbers = (self.redo, self.undo, at, len(self.data), at, len(self.data), 24, len(self.clusters), 0, 0, 0, 0, self.vcn)
        head = struct.pack("<12HQ", *numbers) + struct.pack(f"<{len(self.clusters)}Q", *self.clusters)
        return head.ljust(at, b"\0") + self.data


def journal(actions: Sequence[Action], *, buffered: bool = False, page: int = FIRST, cut: int = 0) -> bytes:
    """The journal with these records from a page on; `buffered` leaves the last page in a buffer; `cut` drops so many pages."""
    pages, numbers = _pages(actions, page)
    log = bytearray(b"\xff" * SIZE)
    kept = pages[: len(pages) - cut]
    for index, (home, data) in enumerate(kept):
        place = 2 if buffered and index == len(kept) - 1 else home
        log[place * PAGE : (place + 1) * PAGE] = data
    for at in (0, PAGE):
        log[at : at + PAGE] = _restart(numbers[0], numbers[-1])
    return bytes(log)


def _pages(actions: Sequence[Action], page: int) -> tuple[list[tuple[int, bytes]], list[int]]:
    """Pages with their homes, and the records' numbers; the log goes round at its end."""
    stream, homes, numbers = bytearray(), [page], list[int]()
    cycle, room = CYCLE, PAGE - DATA_AT
    last: dict[int, int] = {}

    def place(position: int) -> int:
        index = position // room
        while len(homes) <= index:
            homes.append(homes[-1] + 1 if (homes[-1] + 1) * PAGE < SIZE else FIRST)
        return homes[index] * PAGE + DATA_AT + position % room

    for action in actions:
        if room - len(stream) % room < HEAD:
            stream += bytes(room - len(stream) % room)
        at = place(len(stream))
        cycle += bool(numbers and at >> 3 < numbers[-1] & (1 << OFFSET_BITS) - 1)
        numbers.append(cycle << OFFSET_BITS | at >> 3)
        last[len(stream) // room] = numbers[-1]
        data = action.packed()
        multi = len(stream) % room + HEAD + len(data) > room
        stream += struct.pack("<QQQIHHIIHHHH", numbers[-1], 0, 0, len(data), 0, 0, action.type, 24, multi, 0, 0, 0) + data
        stream += bytes(-len(stream) % 8)
        place(len(stream) - 1)
    pages = [stream[at : at + room] for at in range(0, len(stream), room)]
    found, newest = [], 0
    for index, data in enumerate(pages):
        newest = last.get(index, newest)
        found.append((homes[index], _page(data, newest)))
    return found, numbers


def _page(data: bytes, newest: int) -> bytes:
    head = struct.pack("<4sHHQIHHHHIQ", b"RCRD", 40, 9, newest, 1, 1, 1, DATA_AT + len(data), 0, 0, newest)
    return _fixed(bytearray((head.ljust(DATA_AT, b"\0") + data).ljust(PAGE, b"\0")), 40)


def _restart(oldest: int, current: int, version: int = 2) -> bytes:
    page = bytearray(PAGE)
    struct.pack_into("<4sHHQIIHhh", page, 0, b"RSTR", 30, 9, 0, PAGE, PAGE, 48, 0, version)
    numbers = (current, 1, 0xFFFF, 0, 0, 64 - OFFSET_BITS, 224, 64, SIZE, 0, HEAD, DATA_AT, 1)
    struct.pack_into("<QHHHHIHHQIHHI", page, 48, *numbers)
    struct.pack_into("<QQHHHHHHI8s", page, 48 + 64, oldest, current, 0xFFFF, 0xFFFF, 0, 0, 0, 0, 8, "NTFS".encode("utf-16-le"))
    return _fixed(page, 30)


def _fixed(page: bytearray, at: int) -> bytes:
    for index in range(1, 9):
        page[at + 2 * index : at + 2 * index + 2] = page[512 * index - 2 : 512 * index]
        page[512 * index - 2 : 512 * index] = b"\x05\x00"
    page[at : at + 2] = b"\x05\x00"
    return bytes(page)
