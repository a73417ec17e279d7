# SPDX-License-Identifier: Apache-2.0
"""Makes any hive dirty as Windows leaves it: an old state on the disk, the newer ones in transaction logs of both formats.

    made = dirty_hive([before, between, after], numbers=7)      # two entries, the last one in LOG2
    made.primary, made.logs, made.after

Touches nothing. Written from the format's description alone, its Marvin32 included, so that nothing of what it tests is used; every
rule can be broken on purpose (`Entry` fields, `old_log` arguments).
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from operator import xor

PAGE, SECTOR = 4096, 512
ROUND = 1 << 32
SEED = 0x82EF4D887A4E55C5


def marvin(data: bytes, seed: int = SEED) -> int:
    """Marvin32 of any bytes, as its authors describe it, the tail included."""

    def left(number: int, places: int) -> int:
        return ((number << places) | (number >> (32 - places))) % ROUND

    low, high = seed % ROUND, seed >> 32
    padded = data + b"\x80" + bytes(-(len(data) + 1) % 4)
    for word in [*struct.unpack(f"<{len(padded) // 4}I", padded), 0]:
        low = (low + word) % ROUND
        high ^= low
        low = (left(low, 20) + high) % ROUND
        high = left(high, 9) ^ low
        low = (left(low, 27) + high) % ROUND
        high = left(high, 19)
    return high << 32 | low


def with_checksum(block: bytes) -> bytes:
    """The bytes with the checksum of their first sector made right."""
    value = reduce(xor, struct.unpack_from("<127I", block))
    return block[:508] + struct.pack("<I", {0xFFFFFFFF: 0xFFFFFFFE, 0: 1}.get(value, value)) + block[512:]


def stamped(data: bytes, primary: int, secondary: int, *, kind: int = 0) -> bytes:
    """A hive or the beginning of a log with these numbers and this file type."""
    numbers = struct.pack("<II", primary % ROUND, secondary % ROUND)
    return with_checksum(data[:4] + numbers + data[12:28] + struct.pack("<I", kind) + data[32:])


def bins_size(hive: bytes) -> int:
    """What the base block says of it."""
    return int(struct.unpack_from("<I", hive, 40)[0])


def differing(before: bytes, after: bytes, unit: int = PAGE) -> dict[int, bytes]:
    """Pieces of the bins that are not as before, by their place behind the base block."""
    places = range(0, bins_size(after), unit)
    pairs = ((at, before[PAGE + at : PAGE + at + unit], after[PAGE + at : PAGE + at + unit]) for at in places)
    return {at: new for at, old, new in pairs if old != new}


@dataclass(frozen=True)
class Entry:
    """One flush in a log of Windows 8.1 and later. Fields that are None are made right; `torn` flips a byte of the data."""

    number: int
    pages: Mapping[int, bytes]
    bins_size: int
    flags: int = 1
    magic: bytes = b"HvLE"
    size: int | None = None
    count: int | None = None
    data_hash: int | None = None
    head_hash: int | None = None
    torn: bool = False

    def written(self) -> bytes:
        """Its bytes, a multiple of 512 long."""
        references = b"".join(struct.pack("<II", at, len(page)) for at, page in self.pages.items())
        body = references + b"".join(self.pages.values())
        body += bytes(-(len(body) + 40) % SECTOR)
        size = 40 + len(body) if self.size is None else self.size
        count = len(self.pages) if self.count is None else self.count
        head = struct.pack("<4s5I", self.magic, size, self.flags, self.number % ROUND, self.bins_size, count)
        head += struct.pack("<Q", marvin(body) if self.data_hash is None else self.data_hash)
        head += struct.pack("<Q", marvin(head) if self.head_hash is None else self.head_hash)
        whole = bytearray(head + body)
        if self.torn:
            whole[-1] ^= 0x5A
        return bytes(whole)


def new_log(hive: bytes, entries: Sequence[Entry], *, first: int | None = None, remnants: bytes = b"") -> bytes:
    """A log of these entries, its base block a copy of the hive's; `remnants` is what an earlier round left behind them."""
    start = entries[0].number if first is None else first
    return stamped(hive[:SECTOR], start, start, kind=6) + b"".join(each.written() for each in entries) + remnants


def old_log(
    hive: bytes, after: bytes, *, number: int, time: int | None = None, kind: int = 1, remnants: bytes = b"", cut: int = 0
) -> bytes:
    """A log of the format until Windows 8.0: what makes `hive` become `after`, in sectors behind a bitmap."""
    sectors = differing(hive, after, SECTOR)
    size = bins_size(after)
    bitmap = bytearray(size // PAGE)
    for at in sectors:
        bitmap[at // SECTOR // 8] |= 1 << at // SECTOR % 8
    block = hive[:40] + struct.pack("<I", size) + hive[44:SECTOR]
    block = block if time is None else block[:12] + struct.pack("<Q", time) + block[20:]
    head = stamped(block, number, number, kind=kind) + b"DIRT" + bitmap
    made = head + bytes(-len(head) % SECTOR) + b"".join(sectors.values()) + remnants
    return made[: len(made) - cut]


@dataclass(frozen=True)
class DirtyHive:
    """What lies on the disk, and what the hive is when its logs were replayed (base block aside)."""

    primary: bytes
    logs: dict[str, bytes] = field(default_factory=dict)
    after: bytes = b""


def dirty_hive(states: Sequence[bytes], *, number: int = 7, split: int = 1, name: str = "SYSTEM") -> DirtyHive:
    """The first state on the disk, every further one an entry; the last `split` entries are in LOG2, the others in LOG1."""
    entries = [Entry(number + index, differing(old, new), bins_size(new)) for index, (old, new) in enumerate(pairwise(states))]
    parts = {f"{name}.LOG1": entries[: len(entries) - split], f"{name}.LOG2": entries[len(entries) - split :]}
    logs = {each: new_log(states[0], part) if part else b"" for each, part in parts.items()}
    return DirtyHive(stamped(states[0], number, number - 1), logs, states[-1])


def old_dirty_hive(before: bytes, after: bytes, *, number: int = 7, name: str = "SYSTEM") -> DirtyHive:
    """The same with one log of the old format, as Windows XP and 2003 leave it."""
    return DirtyHive(stamped(before, number, number - 1), {f"{name}.LOG": old_log(before, after, number=number)}, after)
