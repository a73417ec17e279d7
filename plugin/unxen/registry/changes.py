# SPDX-License-Identifier: Apache-2.0
"""What a plan's edits must come to, held against what was found: rows of differences, made, sorted and matched.

Touches nothing, and reads no hive: whoever judges a difference needs no parser.
"""

from collections.abc import Iterable, Iterator, Sequence

from unxen.model.change import ChangeKind, RegistryChange
from unxen.model.edit import Action, Edit
from unxen.model.ids import KeyPath
from unxen.model.registry_facts import RegistryValue
from unxen.registry.names import fold

Pair = tuple[RegistryValue | None, RegistryValue | None]


def expected_changes(edits: Sequence[Edit]) -> tuple[RegistryChange, ...]:
    """What `compare` must find after these edits, when each touches something of its own."""
    return in_order(row for edit in edits for row in _edit_rows(edit))


def deviations(found: Sequence[RegistryChange], expected: Sequence[RegistryChange]) -> tuple[RegistryChange, ...]:
    """Rows that stand on one side only; keys and names compared as Windows does, for a plan may spell a path in its own way."""
    ours, theirs = ({_folded(row): row for row in rows} for rows in (found, expected))
    return in_order((ours | theirs)[row] for row in ours.keys() ^ theirs.keys())


def _folded(row: RegistryChange) -> tuple[object, ...]:
    name = None if row.value_name is None else fold(row.value_name)
    return row.kind, fold(row.key), name, row.before, row.after


def _edit_rows(edit: Edit) -> Iterator[RegistryChange]:
    if edit.action is Action.CREATE_KEY:
        yield RegistryChange(ChangeKind.KEY_ADDED, edit.key, None, None, None)
    elif edit.action is Action.DELETE_KEY:
        yield from _deleted_rows(edit)
    elif edit.value_name is not None:
        yield from value_rows(edit.key, edit.value_name, (edit.before, edit.after))


def _deleted_rows(edit: Edit) -> Iterator[RegistryChange]:
    keys, values = (edit.tree.keys, edit.tree.values) if edit.tree else ((), ())
    for below in ("", *keys):
        yield RegistryChange(ChangeKind.KEY_REMOVED, _joined(edit.key, below), None, None, None)
    for each in values:
        yield RegistryChange(ChangeKind.VALUE_REMOVED, _joined(edit.key, each.key), each.name, each.value, None)


def _joined(path: KeyPath, below: str) -> KeyPath:
    return KeyPath(f"{path}\\{below}") if below else path


def value_rows(path: KeyPath, name: str, pair: Pair) -> Iterator[RegistryChange]:
    """The row of one value before and after, if there is a difference."""
    before, after = pair
    if before == after:
        return
    kind = ChangeKind.VALUE_ADDED if before is None else ChangeKind.VALUE_REMOVED if after is None else ChangeKind.VALUE_CHANGED
    yield RegistryChange(kind, path, name, before, after)


def in_order(rows: Iterable[RegistryChange]) -> tuple[RegistryChange, ...]:
    """By key and value name."""
    return tuple(sorted(rows, key=lambda row: (row.key, row.value_name is not None, row.value_name or "", row.kind.value)))
