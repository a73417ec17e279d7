# SPDX-License-Identifier: Apache-2.0
"""Values changed and deleted inside the cells that are there, so that a hive never grows and nothing else in it moves.

Touches only the bytes it is given, which the audit has passed. Works as Windows leaves things: data of up to four bytes inline,
spare list slots at the end, both maxima 0 when no value is left; maxima are otherwise upper bounds and only ever raised (113 of
80,600 real keys hold more than they need).
"""

import struct

from unxen.model.registry_facts import RegistryValue
from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.cells import AT, CELL_SIZE, INLINE, NOTHING, SEGMENT, capacity, key_cell, numbers, value_cell


def put(data: bytearray, cell: int, field: str, number: int) -> None:
    """Write one 32-bit field of a cell."""
    struct.pack_into("<I", data, BLOCK_SIZE + cell + AT[field], number)


def free(data: bytearray, cell: int) -> None:
    """Give a cell back; neighbours are not merged, which neither readers nor Windows ask for."""
    (size,) = CELL_SIZE.unpack_from(data, BLOCK_SIZE + cell)
    CELL_SIZE.pack_into(data, BLOCK_SIZE + cell, abs(size))


def set_value(data: bytearray, key: int, at: int, after: RegistryValue) -> bool:
    """Overwrite a value where its data stands; False, with nothing changed, when there is no room for it."""
    if not _write(data, at, after.data):
        return False
    put(data, at, "value_type", after.type)
    if len(after.data) > key_cell(data, key).largest_value_data:
        put(data, key, "largest_value_data", len(after.data))
    return True


def _write(data: bytearray, at: int, content: bytes) -> bool:
    value = value_cell(data, at)
    if value.size & INLINE or not value.size:
        if len(content) > 4:
            return False
        _write_inline(data, at, content)
    elif len(content) <= 4 and len(content) < value.size:
        # Data of up to four bytes in a cell of its own reads wrong in python-registry and occurs in no real hive.
        _wipe(data, value.data)
        free(data, value.data)
        _write_inline(data, at, content)
    elif len(content) <= min(capacity(data, value.data), SEGMENT):
        _write_cell(data, at, value.data, value.size, content)
    else:
        return False
    return True


def _write_inline(data: bytearray, at: int, content: bytes) -> None:
    put(data, at, "value_size", INLINE | len(content))
    put(data, at, "value_data", int.from_bytes(content, "little"))


def _write_cell(data: bytearray, at: int, cell: int, before: int, content: bytes) -> None:
    """The data and zeros where more stood before."""
    put(data, at, "value_size", len(content))
    start = BLOCK_SIZE + cell + 4
    padded = content.ljust(before, b"\0")
    data[start : start + len(padded)] = padded


def _wipe(data: bytearray, cell: int) -> None:
    start = BLOCK_SIZE + cell + 4
    room = capacity(data, cell)
    data[start : start + room] = bytes(room)


def free_value(data: bytearray, at: int) -> None:
    """Free a value's cell and that of its data."""
    value = value_cell(data, at)
    if value.size and not value.size & INLINE:
        free(data, value.data)
    free(data, at)


def delete_value(data: bytearray, key: int, index: int, at: int) -> None:
    """Take a value out of its key's list, the gap closed and the spare slot cleared; without values there is no list."""
    fields = key_cell(data, key)
    left = [each for place, each in enumerate(numbers(data, fields.value_list, fields.values)) if place != index]
    free_value(data, at)
    put(data, key, "values", len(left))
    if left:
        struct.pack_into(f"<{len(left) + 1}I", data, BLOCK_SIZE + fields.value_list + 4, *left, 0)
    else:
        drop_value_list(data, key, fields.value_list)


def drop_value_list(data: bytearray, key: int, value_list: int) -> None:
    """What a key without values looks like: all 24,780 of four real hives do."""
    free(data, value_list)
    put(data, key, "value_list", NOTHING)
    put(data, key, "largest_value_name", 0)
    put(data, key, "largest_value_data", 0)
