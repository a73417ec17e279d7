# SPDX-License-Identifier: Apache-2.0
"""A hive is sound when every cell is used exactly once or free: this walks all of it and says what is not so.

Touches only the bytes it is given. Never raises for what a hive holds, but for Refused(HIVE_DAMAGED) when the base block is none.
It shares no code with the editor but the layout of cells, and no parser with the rest of the program.
"""

from collections import Counter
from collections.abc import Sequence

from unxen.model.record import dataclass
from unxen.registry.audit_again import audit_again
from unxen.registry.audit_cells import Ledger, read_bins
from unxen.registry.audit_lists import Entry, check_order, read_subkeys
from unxen.registry.audit_quick import Walk, Walked, quick_audit
from unxen.registry.audit_security import check_security
from unxen.registry.audit_values import check_values
from unxen.registry.base_block import read_base_block
from unxen.registry.cells import COMPRESSED_KEY, KEY_LAYOUT, NAME_MAXIMUM, NOTHING, KeyCell, key_cell, key_name
from unxen.registry.flaws import Flaw, FlawKind, leak

SEGMENTED_SINCE = 4
"""Minor version from which data above 16344 bytes lies in segments."""
Child = tuple[Entry, str, KeyCell]


@dataclass(frozen=True)
class Sound:
    """A hive without a flaw but leaked cells; `owners` are the cells of the keys that own a byte of the ranges asked about.

    `walk` is what a hive that hardly differs is audited by; None for one that was audited so itself.
    """

    flaws: tuple[Flaw, ...]
    owners: frozenset[int]
    walk: Walk | None


def audit(data: bytes) -> tuple[Flaw, ...]:
    """Every deviation from the format, in the order of their cells; empty for a sound hive."""
    sound = sound_audit(data)
    return full_audit(data) if sound is None else sound.flaws


def sound_audit(data: bytes, ranges: Sequence[range] = ()) -> Sound | None:
    """The audit of a hive that has leaks at most, and who owns the ranges (offsets in the file, ascending); None for others."""
    block = read_base_block(data)
    found = quick_audit(data, block, segmented=block.minor >= SEGMENTED_SINCE, ranges=ranges)
    return None if found is None else _sound(*found)


def sound_audit_again(data: bytes, known: Walk, ranges: Sequence[range]) -> Sound | None:
    """The same of a hive that differs from a walked one in the ranges alone; None also where a whole audit has to tell."""
    found = audit_again(known, data, read_base_block(data), ranges)
    return None if found is None else _sound(found, None)


def _sound(found: Walked, walk: Walk | None) -> Sound:
    return Sound(tuple(leak(cell, size) for cell, size in found.leaked), found.owners, walk)


def full_audit(data: bytes) -> tuple[Flaw, ...]:
    """The audit with words for everything that is wrong, at three times the cost."""
    block = read_base_block(data)
    ledger = read_bins(data, block.bins_size)
    holders = _walk(ledger, block.root, segmented=block.minor >= SEGMENTED_SINCE)
    check_security(ledger, holders)
    ledger.leaks()
    return tuple(sorted(ledger.flaws, key=lambda flaw: (flaw.cell, flaw.kind.value)))


def _walk(ledger: Ledger, root: int, *, segmented: bool) -> Counter[int]:
    """Check every key below the root; how many keys hold each security cell. No key is met twice: its cell is claimed then."""
    holders: Counter[int] = Counter()
    first = _read_key(ledger, root)
    waiting = [(root, first[1])] if first else []
    while waiting:
        cell, key = waiting.pop()
        holders[key.security] += 1
        check_values(ledger, cell, key, segmented=segmented)
        children = _read_children(ledger, cell, key)
        waiting += [(entry[0], child) for entry, _, child in children]
    return holders


def _read_key(ledger: Ledger, cell: int) -> tuple[str, KeyCell] | None:
    """Name and fields of the key in that cell, itself and its class name claimed."""
    if not ledger.claim(cell, KEY_LAYOUT.size, "key") or not ledger.signed(cell, b"nk"):
        return None
    key = key_cell(ledger.data, cell)
    odd = key.name_length % 2 and not key.flags & COMPRESSED_KEY
    if not key.name_length or odd or ledger.capacities[cell] < KEY_LAYOUT.size + key.name_length:
        ledger.flaw(FlawKind.NAME, cell, f"{key.name_length} bytes")
        return None
    if key.class_name != NOTHING and key.class_length:
        ledger.claim(key.class_name, key.class_length, "class name")
    return key_name(ledger.data, cell, key), key


def _read_children(ledger: Ledger, cell: int, key: KeyCell) -> list[Child]:
    children: list[Child] = []
    for entry in read_subkeys(ledger, cell, key):
        found = _read_key(ledger, entry[0])
        if found:
            children.append((entry, *found))
    check_order(ledger, cell, [(entry, name) for entry, name, _ in children])
    _check_parent(ledger, cell, key, children)
    return children


def _check_parent(ledger: Ledger, cell: int, key: KeyCell, children: list[Child]) -> None:
    """What children and parent say of each other."""
    longest_name = longest_class = 0
    for entry, name, child in children:
        if child.parent != cell:
            ledger.flaw(FlawKind.PARENT, entry[0], f"{child.parent:#x}")
        longest_name = max(longest_name, 2 * len(name))
        longest_class = max(longest_class, child.class_length)
    if longest_name > key.largest_subkey_name & NAME_MAXIMUM or longest_class > key.largest_subkey_class:
        ledger.flaw(FlawKind.SUBKEY_MAXIMUM, cell, f"{longest_name}/{longest_class}")
