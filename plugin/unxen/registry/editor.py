# SPDX-License-Identifier: Apache-2.0
"""Planned edits of a hive are carried out here, in the cells that are there wherever that is possible, checked before and after.

Touches only the bytes it is given and gives new ones. The same hive and edits give the same bytes; no time stamp is written. Raises
Refused(HIVE_DAMAGED) when the audit forbids to build on the hive, HIVE_DIRTY when its newest data stands in logs that nobody has
replayed, ROLLED_BACK when an edit does not fit what is there.
"""

from collections.abc import Callable, Sequence

from unxen.errors import refused
from unxen.model.edit import Action, Edit
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import KeyTree
from unxen.registry.audit import audit
from unxen.registry.base_block import BaseBlock, next_sequence, read_base_block, stamp
from unxen.registry.cell_finder import find_key, find_value, not_possible, read_tree, read_value
from unxen.registry.cell_keys import delete_key
from unxen.registry.cell_values import delete_value, set_value
from unxen.registry.creator import create
from unxen.registry.flaws import Flaw, refuse_forbidding

CHANGED = "changed since it was read"
# Minor versions whose cells are known: 3 (NT 4, XP's user hives), 5 (XP and later), 6 (layered keys of 10).
KNOWN_MINORS = range(3, 7)


def edit_hive(data: bytes, edits: Sequence[Edit], sequence: int | None = None, *, audited: bool = True) -> bytes:
    """The hive with all edits made, stamped as written completely.

    `sequence` is the number to stamp, past everything in the logs when there are some; it says that the caller has looked at them.
    Not `audited`: both audits are the caller's, who may make nothing of these bytes before. An edit of a hive that is not sound
    then does anything, or raises anything.
    """
    block = read_base_block(data)
    _check_kind(block, logs_known=sequence is not None)
    flaws = _sound(data) if audited else frozenset()
    hive = bytearray(data)
    left = [edit for edit in edits if not IN_CELLS[edit.action](hive, block.root, edit)]
    made = bytearray(create(bytes(hive), left)) if left else hive
    stamp(made, next_sequence(block) if sequence is None else sequence)
    if audited:
        _still_sound(bytes(made), flaws)
    return bytes(made)


def _check_kind(block: BaseBlock, *, logs_known: bool) -> None:
    if block.dirty and not logs_known:
        raise refused(ReasonKind.HIVE_DIRTY, cause=f"{block.primary}/{block.secondary}")
    if block.minor not in KNOWN_MINORS:
        raise refused(ReasonKind.HIVE_DAMAGED, cause=f"version 1.{block.minor}")


def _sound(data: bytes) -> frozenset[Flaw]:
    """The tolerated flaws of a hive that may be edited."""
    flaws = audit(data)
    refuse_forbidding(flaws)
    return frozenset(flaws)


def _still_sound(data: bytes, before: frozenset[Flaw]) -> None:
    """An edit may not add a flaw of any kind."""
    for each in audit(data):
        if each not in before:
            raise not_possible("", f"{each.kind.value} at {each.cell:#x}: {each.detail}")


def _set_value(hive: bytearray, root: int, edit: Edit) -> bool:
    """Whether the value could be set in its cell; False when it needs room."""
    name, after = edit.value_name, edit.after
    if name is None or after is None:
        raise not_possible(edit.key, "no value given")
    found = find_key(hive, root, edit.key)
    place = find_value(hive, found[0], name, edit.key) if found else None
    if found is None or place is None:
        if edit.before is not None:
            raise not_possible(edit.key, CHANGED)
        return False
    if read_value(hive, place[1], edit.key) != edit.before:
        raise not_possible(edit.key, CHANGED)
    return set_value(hive, found[0], place[1], after)


def _delete_value(hive: bytearray, root: int, edit: Edit) -> bool:
    found = find_key(hive, root, edit.key)
    place = find_value(hive, found[0], edit.value_name or "", edit.key) if found else None
    if found is None or place is None or edit.value_name is None or read_value(hive, place[1], edit.key) != edit.before:
        raise not_possible(edit.key, CHANGED)
    delete_value(hive, found[0], *place)
    return True


def _delete_key(hive: bytearray, root: int, edit: Edit) -> bool:
    found = find_key(hive, root, edit.key)
    if found is None or found[1] is None:
        raise not_possible(edit.key, CHANGED)
    there = read_tree(hive, found[0], edit.key)
    if edit.tree is not None and _sorted(there) != _sorted(edit.tree):
        raise not_possible(edit.key, CHANGED)
    delete_key(hive, *found[1])
    return True


def _create_key(hive: bytearray, root: int, edit: Edit) -> bool:
    if find_key(hive, root, edit.key) is not None:
        raise not_possible(edit.key, CHANGED)
    return False


def _sorted(tree: KeyTree) -> KeyTree:
    """The same tree whoever walked it."""
    return KeyTree(tuple(sorted(tree.keys)), tuple(sorted(tree.values, key=lambda each: (each.key, each.name))))


IN_CELLS: dict[Action, Callable[[bytearray, int, Edit], bool]] = {
    Action.SET_VALUE: _set_value,
    Action.DELETE_VALUE: _delete_value,
    Action.DELETE_KEY: _delete_key,
    Action.CREATE_KEY: _create_key,
}
