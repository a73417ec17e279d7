# SPDX-License-Identifier: Apache-2.0
"""The audit of security descriptors: one ring through all of them, and reference counts that are true.

Touches only the ledger.
"""

from collections import Counter

from unxen.registry.audit_cells import Ledger
from unxen.registry.cells import SECURITY_LAYOUT, SecurityCell, security_cell
from unxen.registry.flaws import FlawKind


def check_security(ledger: Ledger, holders: Counter[int]) -> None:
    """Every security cell that a key holds, and the ring that they form; `holders` counts the keys of each."""
    cells = {cell: found for cell in holders if (found := _read(ledger, cell))}
    for cell, found in cells.items():
        if found.references != holders[cell]:
            ledger.flaw(FlawKind.SECURITY_COUNT, cell, f"{found.references} said, {holders[cell]} keys")
        if found.next not in cells or cells[found.next].previous != cell:
            ledger.flaw(FlawKind.SECURITY_RING, cell, f"next {found.next:#x}")
    if cells and _ring_length(cells) != len(cells):
        ledger.flaw(FlawKind.SECURITY_RING, min(cells), "more than one ring")


def _read(ledger: Ledger, cell: int) -> SecurityCell | None:
    if not ledger.claim(cell, SECURITY_LAYOUT.size, "security") or not ledger.signed(cell, b"sk"):
        return None
    found = security_cell(ledger.data, cell)
    if ledger.capacities[cell] < SECURITY_LAYOUT.size + found.length:
        ledger.flaw(FlawKind.CELL_TOO_SMALL, cell, "security descriptor")
    return found


def _ring_length(cells: dict[int, SecurityCell]) -> int:
    """How many cells one meets before one is met again."""
    seen: set[int] = set()
    cell = min(cells)
    while cell in cells and cell not in seen:
        seen.add(cell)
        cell = cells[cell].next
    return len(seen)
