# SPDX-License-Identifier: Apache-2.0
"""The audit of one key's values: list, names, data, big data, and the two maxima that may never be too small.

Touches only the ledger.
"""

from unxen.registry.audit_cells import Ledger
from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.cells import (
    COMPRESSED_VALUE,
    DATA_LIST,
    INLINE,
    SEGMENT,
    VALUE_LAYOUT,
    KeyCell,
    ValueCell,
    numbers,
    value_cell,
)
from unxen.registry.flaws import FlawKind


def check_values(ledger: Ledger, cell: int, key: KeyCell, *, segmented: bool) -> None:
    """All values of a key; `segmented` says that this version of the format splits big data."""
    if key.values == 0:
        ledger.unused_list(cell, key.value_list, "values")
        return
    # A list may have spare entries at its end: up to half of all lists of real hives do.
    if not ledger.claim(key.value_list, 4 * key.values, "value list"):
        return
    longest_name = longest_data = 0
    for value_at in numbers(ledger.data, key.value_list, key.values):
        name, size = _check_value(ledger, value_at, segmented=segmented)
        longest_name, longest_data = max(longest_name, name), max(longest_data, size)
    if longest_name > key.largest_value_name or longest_data > key.largest_value_data:
        ledger.flaw(FlawKind.VALUE_MAXIMUM, cell, f"{longest_name}/{longest_data}")


def _check_value(ledger: Ledger, cell: int, *, segmented: bool) -> tuple[int, int]:
    """Length of the name in UTF-16 and of the data; zeros when the cell is no value."""
    if not ledger.claim(cell, VALUE_LAYOUT.size, "value") or not ledger.signed(cell, b"vk"):
        return 0, 0
    value = value_cell(ledger.data, cell)
    if ledger.capacities[cell] < VALUE_LAYOUT.size + value.name_length:
        ledger.flaw(FlawKind.NAME, cell, "value name longer than its cell")
    compressed = value.flags & COMPRESSED_VALUE
    if not compressed and value.name_length % 2:
        ledger.flaw(FlawKind.NAME, cell, "odd length")
    return value.name_length * (2 if compressed else 1), _check_data(ledger, cell, value, segmented=segmented)


def _check_data(ledger: Ledger, cell: int, value: ValueCell, *, segmented: bool) -> int:
    """Length of a value's data, its cells claimed."""
    if value.size & INLINE:
        length = value.size & ~INLINE
        if length > 4:
            ledger.flaw(FlawKind.DATA_SIZE, cell, f"{length} bytes inline")
    elif segmented and value.size > SEGMENT:
        length = value.size
        _check_big_data(ledger, value.data, length)
    else:
        length = value.size
        if length:
            ledger.claim(value.data, length, "data")
    return length


def _check_big_data(ledger: Ledger, cell: int, length: int) -> None:
    """A `db` cell, its list and its segments: as many as the length asks for, each full but for the last."""
    if not ledger.claim(cell, DATA_LIST.size, "big data") or not ledger.signed(cell, b"db"):
        return
    _, count, list_at = DATA_LIST.unpack_from(ledger.data, BLOCK_SIZE + cell + 4)
    if count != -(-length // SEGMENT):
        ledger.flaw(FlawKind.BIG_DATA, cell, f"{count} segments for {length} bytes")
        return
    if not ledger.claim(list_at, 4 * count, "segment list"):
        return
    for index, segment in enumerate(numbers(ledger.data, list_at, count)):
        ledger.claim(segment, min(SEGMENT, length - index * SEGMENT), "segment")
