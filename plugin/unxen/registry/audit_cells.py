# SPDX-License-Identifier: Apache-2.0
"""The ground of the audit: which cells there are, which are allocated, and who has claimed which.

Touches only the bytes it is given and never raises for what a hive holds: every deviation becomes a flaw in the ledger.
"""

from unxen.model.record import dataclass, field
from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.cells import BIN_HEADER, BIN_MAGIC, CELL_SIZE, NOTHING
from unxen.registry.flaws import MAX_FLAWS, Flaw, FlawKind, leak


@dataclass
class Ledger:
    """Allocated cells with what each can hold, the claims on them, and the flaws met so far."""

    data: bytes
    capacities: dict[int, int] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)
    flaws: list[Flaw] = field(default_factory=list)

    def flaw(self, kind: FlawKind, cell: int, detail: str) -> None:
        """Note a deviation, as long as there is room."""
        if len(self.flaws) < MAX_FLAWS:
            self.flaws.append(Flaw(kind, cell, detail))
        elif len(self.flaws) == MAX_FLAWS:
            self.flaws.append(Flaw(FlawKind.TOO_MANY, cell, ""))

    def claim(self, cell: int, least: int, what: str) -> bool:
        """Whether the cell is allocated, large enough and used for the first time; else a flaw is noted."""
        room = self.capacities.get(cell)
        if room is None:
            self.flaw(FlawKind.REFERENCE, cell, what)
        elif cell in self.claimed:
            self.flaw(FlawKind.SHARED, cell, what)
        elif room < least:
            self.flaw(FlawKind.CELL_TOO_SMALL, cell, what)
        else:
            self.claimed.add(cell)
            return True
        return False

    def signed(self, cell: int, signature: bytes) -> bool:
        """Whether the cell begins with these two letters; else a flaw is noted."""
        start = BLOCK_SIZE + cell + 4
        if self.data[start : start + 2] == signature:
            return True
        self.flaw(FlawKind.SIGNATURE, cell, f"no {signature.decode()}")
        return False

    def unused_list(self, key: int, cell: int, what: str) -> None:
        """A key with a count of 0 has no list; when it has one, that is noted, and the list counts as used."""
        if cell != NOTHING:
            self.flaw(FlawKind.EMPTY_LIST, key, what)
            self.claimed.add(cell)

    def leaks(self) -> None:
        """Note every allocated cell that nothing refers to; all of them, so that an edit that leaks one more is found out."""
        for cell in self.capacities.keys() - self.claimed:
            self.flaws.append(leak(cell, self.capacities[cell] + 4))


def read_bins(data: bytes, bins_size: int) -> Ledger:
    """The ledger of a hive, its bins and cells walked from the first to the last."""
    ledger = Ledger(data)
    bin_at = 0
    while bin_at < bins_size:
        magic, own, size, *_ = BIN_HEADER.unpack_from(data, BLOCK_SIZE + bin_at)
        if magic != BIN_MAGIC or own != bin_at or size % BLOCK_SIZE or not 0 < size <= bins_size - bin_at:
            ledger.flaw(FlawKind.BIN, bin_at, f"{size} bytes")
            break
        _read_bin(ledger, bin_at + BIN_HEADER.size, bin_at + size)
        bin_at += size
    return ledger


def _read_bin(ledger: Ledger, cell: int, end: int) -> None:
    unpack, data, capacities = CELL_SIZE.unpack_from, ledger.data, ledger.capacities
    while cell < end:
        (size,) = unpack(data, BLOCK_SIZE + cell)
        length = abs(size)
        if length < 8 or length % 8 or length > end - cell:
            ledger.flaw(FlawKind.CELL_SIZE, cell, str(size))
            return
        if size < 0:
            capacities[cell] = length - 4
        cell += length
