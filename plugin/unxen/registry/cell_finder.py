# SPDX-License-Identifier: Apache-2.0
"""The editor must know in which list and slot a thing stands: its own way to keys and values, through audited cells.

Touches only the bytes it is given. Raises Refused(ROLLED_BACK) for what is sound and still not for editing: values in segments,
and two values of one name.
"""

from collections.abc import Iterator
from typing import NamedTuple

from unxen.errors import Refused, refused
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import KeyTree, NamedValue, RegistryValue
from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.cells import (
    ENTRY_SIZES,
    INLINE,
    SEGMENT,
    ValueCell,
    key_cell,
    key_name,
    list_head,
    numbers,
    value_cell,
    value_name,
)
from unxen.registry.names import fold, split_path


class Slot(NamedTuple):
    """Where a subkey stands: its cell, the list and the position in it, and the list of lists around that, if there is one."""

    cell: int
    leaf: int
    position: int
    outer: int | None
    outer_position: int


def not_possible(path: str, cause: str) -> Refused:
    """The refusal of one edit, with nothing written."""
    return refused(ReasonKind.ROLLED_BACK, path, cause=cause)


def slots(data: bytearray, cell: int) -> Iterator[Slot]:
    """All subkeys of a key, in the order of its list."""
    key = key_cell(data, cell)
    if not key.subkeys:
        return
    signature, count = list_head(data, key.subkey_list)
    if signature != b"ri":
        yield from _leaf_slots(data, key.subkey_list, None, 0)
        return
    for index, leaf in enumerate(numbers(data, key.subkey_list, count, 8)):
        yield from _leaf_slots(data, leaf, key.subkey_list, index)


def _leaf_slots(data: bytearray, leaf: int, outer: int | None, outer_position: int) -> Iterator[Slot]:
    signature, count = list_head(data, leaf)
    step = ENTRY_SIZES[signature] // 4
    for index, cell in enumerate(numbers(data, leaf, count * step, 8)[::step]):
        yield Slot(cell, leaf, index, outer, outer_position)


def find_key(data: bytearray, root: int, path: str) -> tuple[int, tuple[int, Slot] | None] | None:
    """The key's cell, with its parent's cell and its slot there (None for the root); None when there is no such key."""
    cell, above = root, None
    for name in split_path(path):
        wanted = fold(name)
        slot = next((each for each in slots(data, cell) if fold(spelled_key(data, each.cell)) == wanted), None)
        if slot is None:
            return None
        cell, above = slot.cell, (cell, slot)
    return cell, above


def spelled_key(data: bytearray, cell: int) -> str:
    """Name of the key in that cell."""
    return key_name(data, cell, key_cell(data, cell))


def value_slots(data: bytearray, cell: int) -> tuple[int, ...]:
    """The cells of a key's values, in order."""
    key = key_cell(data, cell)
    return numbers(data, key.value_list, key.values) if key.values else ()


def find_value(data: bytearray, cell: int, name: str, path: str) -> tuple[int, int] | None:
    """Index and cell of the value of that name; refuses when two have it."""
    wanted = fold(name)
    named = enumerate(value_slots(data, cell))
    found = [(index, at) for index, at in named if fold(value_name(data, at, value_cell(data, at))) == wanted]
    if len(found) > 1:
        raise not_possible(path, "two values of one name")
    return found[0] if found else None


def read_value(data: bytearray, at: int, path: str) -> RegistryValue:
    """Type and bytes of a value; refuses one in segments."""
    value = value_cell(data, at)
    return RegistryValue(value.type, _value_bytes(data, at, value, path))


def _value_bytes(data: bytearray, at: int, value: ValueCell, path: str) -> bytes:
    if value.size & INLINE:
        start = BLOCK_SIZE + at + 12
        return bytes(data[start : start + (value.size & ~INLINE)])
    if value.size > SEGMENT:
        raise not_possible(path, "value in segments")
    start = BLOCK_SIZE + value.data + 4
    return bytes(data[start : start + value.size]) if value.size else b""


def read_tree(data: bytearray, cell: int, path: str) -> KeyTree:
    """Everything below a key, paths relative to it."""
    keys: list[str] = []
    values: list[NamedValue] = []
    waiting = [(cell, "")]
    while waiting:
        here, place = waiting.pop()
        for at in value_slots(data, here):
            values.append(NamedValue(place, value_name(data, at, value_cell(data, at)), read_value(data, at, path)))
        below = [(each.cell, f"{place}\\{spelled_key(data, each.cell)}".lstrip("\\")) for each in slots(data, here)]
        keys += [name for _, name in below]
        waiting += below
    return KeyTree(tuple(keys), tuple(values))
