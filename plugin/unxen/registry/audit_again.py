# SPDX-License-Identifier: Apache-2.0
"""A hive that differs in a few cells from one that was walked is audited by those cells, and as much is known of it as by a walk.

Touches only the bytes it is given. Says nothing of a hive that is laid out otherwise or has any flaw but leaked cells: None, and it
has to be walked whole. Why this proves as much: decision 024.
"""

from array import array
from collections.abc import Iterator, Sequence

from unxen.model.record import dataclass, field
from unxen.registry.audit_quick import MET_IN_ODD_HIVES, NOBODY, SECURITY, UNCLAIMED, KeyFields, Odd, Walk, Walked
from unxen.registry.base_block import BLOCK_SIZE, BaseBlock
from unxen.registry.cells import BIN_HEADER, KEY_LAYOUT, key_cell


def audit_again(walk: Walk, data: bytes, block: BaseBlock, ranges: Sequence[range]) -> Walked | None:
    """The audit of a hive that differs from the walked one in these ranges alone (offsets in the file, ascending).

    `owners` are keys of this hive: all that own a byte of the ranges in it, and those that did before.
    """
    old = walk.block
    if (old.file_size, old.bins_size, old.root, old.minor) != (block.file_size, block.bins_size, block.root, block.minor):
        return None
    try:
        return _audit_again(walk, data, block, ranges)
    except MET_IN_ODD_HIVES:
        return None


def _audit_again(walk: Walk, data: bytes, block: BaseBlock, ranges: Sequence[range]) -> Walked:
    differences = _compare_bins(walk, data, [range(each.start - BLOCK_SIZE, each.stop - BLOCK_SIZE) for each in ranges])
    keys = _with_ancestors(walk, {walk.marks[cell >> 3] for cell in differences.touched})
    before = _Part(walk, walk.data, walk.block, keys, _Whatever())
    before.walk()
    released = frozenset(index << 3 for index in before.owners)
    after = _Part(walk, data, block, keys, _Overlay(walk.marks, released, differences.turned))
    after.walk()
    if after.untouched != before.untouched:
        # What is reached no more would have to be looked at; what is reached anew cannot be.
        raise Odd
    after.check_security(before)
    candidates = {*released, *walk.holders, *(cell for cell, _ in walk.leaked), *(each << 3 for each in differences.turned)}
    leaked = [cell for cell in sorted(candidates) if after.owners[cell >> 3] == UNCLAIMED]
    owners = {after.owners[cell >> 3] for cell in differences.touched} | after.met
    return Walked(tuple((cell, -after.sizes[cell >> 2]) for cell in leaked), frozenset(owners - {NOBODY, UNCLAIMED, SECURITY}))


@dataclass
class _Differences:
    """Cells that share a byte with a difference, and those of them that were given out or back, by index, as what they are now."""

    touched: list[int] = field(default_factory=list)
    turned: dict[int, int] = field(default_factory=dict)


def _compare_bins(walk: Walk, data: bytes, ranges: Sequence[range]) -> _Differences:
    """Bins without a difference are as they were; in the others every cell has to begin and end where it did."""
    found = _Differences()
    left = [each for each in ranges if each.start < walk.block.bins_size]
    for start, end in _bins(walk):
        inside = []
        while left and left[0].start < end:
            inside.append(left.pop(0))
        if inside:
            if BIN_HEADER.unpack_from(walk.data, BLOCK_SIZE + start)[:3] != BIN_HEADER.unpack_from(data, BLOCK_SIZE + start)[:3]:
                raise Odd
            _compare_cells(walk, data, range(start + BIN_HEADER.size, end), inside, found)
    return found


def _bins(walk: Walk) -> Iterator[tuple[int, int]]:
    at = 0
    while at < walk.block.bins_size:
        size = BIN_HEADER.unpack_from(walk.data, BLOCK_SIZE + at)[2]
        yield at, at + size
        at += size


def _compare_cells(walk: Walk, data: bytes, cells: range, differences: list[range], found: _Differences) -> None:
    sizes = memoryview(data)[BLOCK_SIZE : BLOCK_SIZE + walk.block.bins_size].cast("i")
    cell = cells.start
    while cell < cells.stop:
        was, is_now = walk.sizes[cell >> 2], sizes[cell >> 2]
        if abs(was) != abs(is_now):
            raise Odd
        end = cell + abs(was)
        if any(each.start < end and each.stop > cell for each in differences):
            found.touched.append(cell)
        if was != is_now:
            found.turned[cell >> 3] = UNCLAIMED if is_now < 0 else NOBODY
        cell = end


def _with_ancestors(walk: Walk, owners: set[int]) -> frozenset[int]:
    """The keys among the owners, all above them, and the root; in a sound hive every key names its parent."""
    found = {walk.block.root}
    for cell in owners - {NOBODY, UNCLAIMED, SECURITY}:
        while cell not in found:
            found.add(cell)
            cell = key_cell(walk.data, cell).parent
    return frozenset(found)


class _Whatever(dict[int, int]):
    """For the hive that is known to be sound: everything can be claimed, and what was claimed is kept."""

    def __missing__(self, _index: int) -> int:
        return UNCLAIMED


class _Overlay(dict[int, int]):
    """Owners in the hive that differs: as in the walked one, but for what the keys to be walked again had, and what has turned."""

    def __init__(self, marks: "array[int]", released: frozenset[int], turned: dict[int, int]) -> None:
        super().__init__(turned)
        self._marks, self._released = marks, released

    def __missing__(self, index: int) -> int:
        owner = self._marks[index]
        return UNCLAIMED if owner == SECURITY or (owner != NOBODY and index << 3 in self._released) else owner


class _Part(Walk):
    """A walk over the keys given alone, and over those that were none before."""

    def __init__(self, walk: Walk, data: bytes, block: BaseBlock, keys: frozenset[int], owners: dict[int, int]) -> None:
        super().__init__(data, block, segmented=walk.segmented, marks=walk.marks)
        self._before, self._wanted = walk, keys
        self.owners = owners
        self.hashes = walk.hashes
        self.met: set[int] = set()
        self.untouched: set[int] = set()
        """Children of the keys walked, which are as they were with all that is below them."""

    def walk(self) -> None:
        """From the root down."""
        self._keys(self.block.root)

    def check_security(self, before: "_Part") -> None:
        """The descriptors of all keys: those of the walked hive, with the keys of this part as they are now."""
        holders = self._before.holders.copy()
        holders.subtract(before.holders)
        holders.update(self.holders)
        self._security(+holders)

    def _key(self, cell: int) -> KeyFields:
        if self._is_untouched(cell):
            self.untouched.add(cell)
            found: KeyFields = KEY_LAYOUT.unpack_from(self.data, BLOCK_SIZE + cell + 4)
            return found
        self.met.add(cell)
        return super()._key(cell)

    def _children(self, cell: int, key: KeyFields) -> list[tuple[int, KeyFields]]:
        return [each for each in super()._children(cell, key) if not self._is_untouched(each[0])]

    def _is_untouched(self, cell: int) -> bool:
        return cell not in self._wanted and self._before.marks[cell >> 3] == cell
