# SPDX-License-Identifier: Apache-2.0
"""Small keys deleted with everything below them, as Windows deletes: bottom up, lists shortened, security released, nothing leaked.

Touches only the bytes it is given, which the audit has passed. hivex leaves a live list of no entries when it deletes an only
subkey; none of 73,470 real keys without subkeys has one, so the list is freed here.
"""

import struct

from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.cell_finder import Slot, slots, value_slots
from unxen.registry.cell_values import free, free_value, put
from unxen.registry.cells import ENTRY_SIZES, NAME_MAXIMUM, NOTHING, key_cell, list_head, security_cell


def delete_key(data: bytearray, parent: int, slot: Slot) -> None:
    """Delete the key in that slot of its parent, and all below."""
    _free_tree(data, slot.cell)
    left = key_cell(data, parent).subkeys - 1
    _drop_entry(data, slot)
    put(data, parent, "subkeys", left)
    if left == 0:
        _forget_list(data, parent)


def _free_tree(data: bytearray, top: int) -> None:
    """Free the cells of a key and of every key below; no list of a freed key needs to be kept right."""
    waiting = [top]
    while waiting:
        cell = waiting.pop()
        key = key_cell(data, cell)
        below = list(slots(data, cell))
        waiting += [slot.cell for slot in below]
        lists = {slot.leaf for slot in below} | {slot.outer for slot in below if slot.outer is not None}
        values = value_slots(data, cell)
        for at in values:
            free_value(data, at)
        extra = [key.value_list] if values else []
        extra += [key.class_name] if key.class_name != NOTHING and key.class_length else []
        for each in (*lists, *extra, cell):
            free(data, each)
        _release_security(data, key.security)


def _release_security(data: bytearray, cell: int) -> None:
    """One key less holds this descriptor; the last one takes it out of the ring and frees it."""
    found = security_cell(data, cell)
    put(data, cell, "security_references", found.references - 1)
    if found.references == 1:
        put(data, found.previous, "security_next", found.next)
        put(data, found.next, "security_previous", found.previous)
        free(data, cell)


def _drop_entry(data: bytearray, slot: Slot) -> None:
    """Close the gap in the list; an emptied list goes, and so does its entry in the list of lists around it."""
    if not _close_gap(data, slot.leaf, slot.position):
        return
    free(data, slot.leaf)
    if slot.outer is not None and _close_gap(data, slot.outer, slot.outer_position):
        free(data, slot.outer)


def _close_gap(data: bytearray, cell: int, index: int) -> bool:
    """Remove one entry and clear the spare place behind the last; True when none is left."""
    signature, count = list_head(data, cell)
    width = ENTRY_SIZES[signature]
    start = BLOCK_SIZE + cell + 8
    first, end = start + index * width, start + count * width
    data[first:end] = data[first + width : end] + bytes(width)
    struct.pack_into("<H", data, BLOCK_SIZE + cell + 6, count - 1)
    return count == 1


def _forget_list(data: bytearray, parent: int) -> None:
    """What a key without subkeys looks like. The maxima measure volatile subkeys too, and stay where their count is not 0."""
    fields = key_cell(data, parent)
    put(data, parent, "subkey_list", NOTHING)
    if fields.volatile_subkeys == 0:
        # The upper half of this field holds flags since Vista.
        put(data, parent, "largest_subkey_name", fields.largest_subkey_name & ~NAME_MAXIMUM)
        put(data, parent, "largest_subkey_class", 0)
