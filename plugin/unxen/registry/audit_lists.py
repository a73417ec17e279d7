# SPDX-License-Identifier: Apache-2.0
"""The audit of one key's list of subkeys: shapes, counts, order by folded name, hashes and hints.

Touches only the ledger.
"""

import struct

from unxen.registry.audit_cells import Ledger
from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.cells import ENTRY_SIZES, LIST_HEAD, KeyCell, list_head, numbers
from unxen.registry.flaws import FlawKind
from unxen.registry.names import certain, fold

Entry = tuple[int, int | None, bytes]
"""A subkey's cell, the hash or hint beside it, and the signature of its list."""


def read_subkeys(ledger: Ledger, cell: int, key: KeyCell) -> list[Entry]:
    """The entries of a key's list or lists, all their cells claimed."""
    if key.subkeys == 0:
        ledger.unused_list(cell, key.subkey_list, "subkeys")
        return []
    entries = _read_list(ledger, key.subkey_list, nested=False)
    if len(entries) != key.subkeys:
        ledger.flaw(FlawKind.SUBKEY_COUNT, cell, f"{key.subkeys} said, {len(entries)} listed")
    return entries


def _read_list(ledger: Ledger, at: int, *, nested: bool) -> list[Entry]:
    if not ledger.claim(at, LIST_HEAD.size, "subkey list"):
        return []
    signature, count = list_head(ledger.data, at)
    width = ENTRY_SIZES.get(signature)
    if width is None or (signature == b"ri" and nested):
        ledger.flaw(FlawKind.SUBKEY_LIST, at, repr(signature))
        return []
    if count == 0 or ledger.capacities[at] < LIST_HEAD.size + width * count:
        ledger.flaw(FlawKind.SUBKEY_LIST, at, f"{count} entries")
        return []
    if signature == b"ri":
        lists = numbers(ledger.data, at, count, 8)
        return [entry for each in lists for entry in _read_list(ledger, each, nested=True)]
    if signature == b"li":
        return [(each, None, signature) for each in numbers(ledger.data, at, count, 8)]
    flat = struct.unpack_from(f"<{2 * count}I", ledger.data, BLOCK_SIZE + at + 8)
    return [(flat[index], flat[index + 1], signature) for index in range(0, 2 * count, 2)]


def check_order(ledger: Ledger, cell: int, entries: list[tuple[Entry, str]]) -> None:
    """Names strictly ascending when folded, and what stands beside each entry right."""
    last = None
    for (subkey, beside, signature), name in entries:
        folded = fold(name)
        if not certain(name):
            last = None
            continue
        units = folded if folded.isascii() else folded.encode("utf-16-be", "surrogatepass").decode("latin-1")
        if last is not None and last[0].isascii() == folded.isascii() and last[1] >= units:
            ledger.flaw(FlawKind.ORDER, cell, f"cell {subkey:#x}")
        last = folded, units
        if beside is not None and not CHECKS[signature](beside, name, folded):
            ledger.flaw(FlawKind.HASH, subkey, f"{beside:#x} beside it")


def name_hash(folded: str) -> int:
    """The number of an `lh` entry."""
    value = 0
    for unit in map(ord, folded):
        value = (37 * value + unit) & 0xFFFFFFFF
    return value


def _hash_right(beside: int, _name: str, folded: str) -> bool:
    return beside == name_hash(folded)


def _hint_right(beside: int, name: str, _folded: str) -> bool:
    """An `lf` entry holds the name's first four letters; none of them (zeros) when one lies beyond Latin-1."""
    first = name[:4]
    if any(ord(unit) > 0xFF for unit in first):
        return True
    return beside.to_bytes(4, "little") == first.encode("latin-1").ljust(4, b"\0")


CHECKS = {b"lh": _hash_right, b"lf": _hint_right}
