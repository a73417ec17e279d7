# SPDX-License-Identifier: Apache-2.0
"""A sound hive is found sound in a third of the audit's time: the same questions, asked without words for what is wrong.

Touches only the bytes it is given. Says nothing of a hive that has any flaw but leaked cells: whatever is odd ends it at once with
None, and the audit proper has to tell. Who owns each cell is noted, so that a difference of bytes becomes a set of keys.
"""

import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from unxen.model.record import dataclass
from unxen.registry.audit_cells import Ledger
from unxen.registry.audit_lists import Entry, check_order, name_hash
from unxen.registry.audit_security import check_security
from unxen.registry.base_block import BLOCK_SIZE, BaseBlock
from unxen.registry.cells import (
    BIN_HEADER,
    BIN_MAGIC,
    COMPRESSED_KEY,
    COMPRESSED_VALUE,
    ENTRY_SIZES,
    INLINE,
    KEY_LAYOUT,
    KEY_NAME_AT,
    NAME_MAXIMUM,
    NOTHING,
    SEGMENT,
    key_cell,
    key_name,
)

# What stands in `owners` where no cell begins or a free one, where an allocated cell is nobody's, and for security descriptors.
# Keys stand there by their own cells, none of which begins before a bin's header ends.
NOBODY, UNCLAIMED, SECURITY = 0, 1, 2
VALUE = struct.Struct("<iHHIIIH")
VALUE_BYTES, KEY_BYTES = 20, KEY_LAYOUT.size
BEHIND = (1 << 32, 1 << 32)
KeyFields = tuple[bytes, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int, int]


class Odd(Exception):
    """Something that a sound hive does not have."""


MET_IN_ODD_HIVES = (Odd, IndexError, struct.error, ValueError)


@dataclass(frozen=True)
class Walked:
    """A hive without a flaw but leaks: leaked cells with their sizes, and the keys (their cells) that own a byte of the ranges."""

    leaked: tuple[tuple[int, int], ...]
    owners: frozenset[int]


def quick_audit(data: bytes, block: BaseBlock, *, segmented: bool, ranges: Sequence[range] = ()) -> tuple[Walked, "Walk"] | None:
    """What was found, and the walk that can be followed; None for a hive with any flaw but leaks.

    `ranges` are offsets in the file, ascending.
    """
    walk = Walk(data, block, segmented=segmented)
    try:
        return walk.run(ranges), walk
    except MET_IN_ODD_HIVES:
        return None


class Walk:
    """One walk over one hive. The loops are long and flat on purpose: each line of them runs a hundred thousand times."""

    def __init__(self, data: bytes, block: BaseBlock, *, segmented: bool, marks: "array[int] | None" = None) -> None:
        bins = memoryview(data)[BLOCK_SIZE : BLOCK_SIZE + block.bins_size]
        self.data = data
        self.block = block
        self.segmented = segmented
        self.sizes = bins.cast("i")
        self._numbers = bins.cast("I")
        self.marks = array("I", (NOBODY,)) * (block.bins_size // 8) if marks is None else marks
        self.owners: array[int] | dict[int, int] = self.marks
        self.holders: Counter[int] = Counter()
        self.hashes: dict[bytes, int] = {}
        self.leaked: tuple[tuple[int, int], ...] = ()

    def run(self, ranges: Sequence[range]) -> Walked:
        """The whole hive."""
        touched = self._mark_cells([(each.start - BLOCK_SIZE, each.stop - BLOCK_SIZE) for each in ranges])
        self._keys(self.block.root)
        self._security(self.holders)
        self.leaked = tuple(self._leaks())
        owners = {self.owners[cell >> 3] for cell in touched}
        return Walked(self.leaked, frozenset(owners - {NOBODY, UNCLAIMED, SECURITY}))

    def _keys(self, root: int) -> None:
        """Every key from the root on."""
        waiting = [(root, self._key(root))]
        while waiting:
            cell, key = waiting.pop()
            self.holders[key[11]] += 1
            if key[9]:
                self._values(cell, key)
            elif key[10] != NOTHING:
                raise Odd
            if key[5]:
                waiting += self._children(cell, key)
            elif key[7] != NOTHING:
                raise Odd

    def _mark_cells(self, ranges: Iterable[tuple[int, int]]) -> list[int]:
        """Every bin and cell from the first to the last; gives the cells that share a byte with one of the ranges."""
        sizes, owners = self.sizes, self.owners
        touched: list[int] = []
        left = iter(ranges)
        begin, end = next(left, BEHIND)
        at = 0
        while at < self.block.bins_size:
            magic, own, size, *_ = BIN_HEADER.unpack_from(self.data, BLOCK_SIZE + at)
            if magic != BIN_MAGIC or own != at or size % BLOCK_SIZE or not 0 < size <= self.block.bins_size - at:
                raise Odd
            cell, stop = at + BIN_HEADER.size, at + size
            while cell < stop:
                length = sizes[cell >> 2]
                if length < 0:
                    owners[cell >> 3] = UNCLAIMED
                    length = -length
                if length < 8 or length & 7 or length > stop - cell:
                    raise Odd
                after = cell + length
                while begin < after:
                    if end > cell:
                        touched.append(cell)
                    if end > after:
                        break
                    begin, end = next(left, BEHIND)
                cell = after
            at = stop
        return touched

    def _claim(self, cell: int, least: int, owner: int) -> None:
        if cell & 7 or self.owners[cell >> 3] != UNCLAIMED or -4 - self.sizes[cell >> 2] < least:
            raise Odd
        self.owners[cell >> 3] = owner

    def _key(self, cell: int) -> KeyFields:
        """The fields of the key in that cell, itself and its class name claimed."""
        self._claim(cell, KEY_BYTES, cell)
        key: KeyFields = KEY_LAYOUT.unpack_from(self.data, BLOCK_SIZE + cell + 4)
        length = key[18]
        if key[0] != b"nk" or not length or -4 - self.sizes[cell >> 2] < KEY_BYTES + length:
            raise Odd
        if length & 1 and not key[1] & COMPRESSED_KEY:
            raise Odd
        if key[19] and key[12] != NOTHING:
            self._claim(key[12], key[19], cell)
        return key

    def _values(self, cell: int, key: KeyFields) -> None:
        """All values of a key: list, names, data, and the two maxima."""
        data, sizes, owners, unpack = self.data, self.sizes, self.owners, VALUE.unpack_from
        count, list_at = key[9], key[10]
        self._claim(list_at, 4 * count, cell)
        longest_name = longest_data = 0
        begin = (list_at >> 2) + 1
        for value in self._numbers[begin : begin + count].tolist():
            if value & 7 or owners[value >> 3] != UNCLAIMED:
                raise Odd
            owners[value >> 3] = cell
            size, mark, name, length, place, _, flags = unpack(data, BLOCK_SIZE + value)
            if mark != 0x6B76 or -4 - size < VALUE_BYTES + name:
                raise Odd
            if not flags & COMPRESSED_VALUE:
                if name & 1:
                    raise Odd
            else:
                name *= 2
            if length & INLINE:
                length &= ~INLINE
                if length > 4:
                    raise Odd
            elif length > SEGMENT and self.segmented:
                self._big_data(place, length, cell)
            elif length:
                if place & 7 or owners[place >> 3] != UNCLAIMED or -4 - sizes[place >> 2] < length:
                    raise Odd
                owners[place >> 3] = cell
            if name > longest_name:
                longest_name = name
            if length > longest_data:
                longest_data = length
        if longest_name > key[15] or longest_data > key[16]:
            raise Odd

    def _big_data(self, cell: int, length: int, owner: int) -> None:
        self._claim(cell, 8, owner)
        mark, list_at = self._numbers[(cell >> 2) + 1], self._numbers[(cell >> 2) + 2]
        count = mark >> 16
        if mark & 0xFFFF != 0x6264 or count != -(-length // SEGMENT):
            raise Odd
        self._claim(list_at, 4 * count, owner)
        begin = (list_at >> 2) + 1
        for index, segment in enumerate(self._numbers[begin : begin + count].tolist()):
            self._claim(segment, min(SEGMENT, length - index * SEGMENT), owner)

    def _children(self, cell: int, key: KeyFields) -> list[tuple[int, KeyFields]]:
        """The subkeys of a key, in order, each with what parent and child say of each other."""
        entries = list(self._entries(key[7], cell, nested=False))
        if len(entries) != key[5]:
            raise Odd
        found = [(entry[0], self._key(entry[0])) for entry in entries]
        longest_class = 0
        for _, child in found:
            if child[4] != cell:
                raise Odd
            if child[19] > longest_class:
                longest_class = child[19]
        longest_name = self._names(cell, entries, found)
        if longest_name > key[13] & NAME_MAXIMUM or longest_class > key[14]:
            raise Odd
        return found

    def _entries(self, at: int, owner: int, *, nested: bool) -> Iterator[Entry]:
        """The entries of a list or of the lists that it names."""
        self._claim(at, 4, owner)
        begin = (at >> 2) + 1
        head = self._numbers[begin]
        signature, count = (head & 0xFFFF).to_bytes(2, "little"), head >> 16
        width = ENTRY_SIZES.get(signature)
        if width is None or not count or -4 - self.sizes[at >> 2] < 4 + width * count or (signature == b"ri" and nested):
            raise Odd
        rest = self._numbers[begin + 1 : begin + 1 + count * width // 4].tolist()
        if signature == b"ri":
            for each in rest:
                yield from self._entries(each, owner, nested=True)
        elif signature == b"li":
            yield from ((each, None, signature) for each in rest)
        else:
            yield from zip(rest[::2], rest[1::2], (signature,) * count, strict=True)

    def _names(self, cell: int, entries: list[Entry], children: list[tuple[int, KeyFields]]) -> int:
        """Names in order, with what stands beside them; gives the longest in bytes of UTF-16."""
        data, hashes = self.data, self.hashes
        longest, last = 0, b""
        for (at, beside, signature), (_, child) in zip(entries, children, strict=True):
            begin = BLOCK_SIZE + at + KEY_NAME_AT
            name = data[begin : begin + child[18]]
            if not child[1] & COMPRESSED_KEY or not name.isascii():
                return self._odd_names(cell, entries)
            folded = name.upper()
            if folded <= last:
                raise Odd
            last = folded
            if len(name) > longest:
                longest = len(name)
            if signature == b"lh":
                if folded not in hashes:
                    hashes[folded] = name_hash(folded.decode("ascii"))
                if hashes[folded] != beside:
                    raise Odd
            elif signature == b"lf" and beside != int.from_bytes(name[:4], "little"):
                raise Odd
        return 2 * longest

    def _odd_names(self, cell: int, entries: list[Entry]) -> int:
        """The same by the audit's own rules, where a name among them is not plain ASCII."""
        named = [(entry, key_name(self.data, entry[0], key_cell(self.data, entry[0]))) for entry in entries]
        ledger = Ledger(self.data)
        check_order(ledger, cell, named)
        if ledger.flaws:
            raise Odd
        return max(2 * len(name) for _, name in named)

    def _security(self, holders: Counter[int]) -> None:
        ledger = Ledger(self.data)
        for cell in holders:
            self._claim(cell, 0, SECURITY)
            ledger.capacities[cell] = -4 - self.sizes[cell >> 2]
        check_security(ledger, holders)
        if ledger.flaws:
            raise Odd

    def _leaks(self) -> Iterator[tuple[int, int]]:
        at = -1
        for _ in range(self.marks.count(UNCLAIMED)):
            at = self.marks.index(UNCLAIMED, at + 1)
            yield at << 3, -self.sizes[at << 1]
