# SPDX-License-Identifier: Apache-2.0
"""Two registries compared as whole trees: the proof that a repair changed what it planned and nothing else.

Touches nothing outside the bytes it is given. Both are read through hivex, a reader that is not the one that wrote the change.
Order of values means nothing, order of rows is fixed. Raises Refused(HIVE_DAMAGED) when a part of either hive cannot be read:
what cannot be compared is not equal. Security and class names are not hivex' to tell; the audit counts them.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import count

from unxen.errors import refused
from unxen.model.change import ChangeKind, RegistryChange
from unxen.model.edit import Action, Edit
from unxen.model.ids import KeyPath
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import RegistryValue
from unxen.registry.hive import Hive, Key, Unreadable
from unxen.registry.names import fold
from unxen.registry.types import ValueType

Values = dict[str, RegistryValue]
Keys = dict[KeyPath, tuple[int, Values]]
"""Time stamp and values of every key by path; a name met twice gets a number behind a NUL, which no name can hold."""
Pair = tuple[RegistryValue | None, RegistryValue | None]


def compare(before: bytes, after: bytes) -> tuple[RegistryChange, ...]:
    """Every difference, sorted by key and value name."""
    old, new = _read(before), _read(after)
    return _in_order(row for path in old.keys() | new.keys() for row in _key_rows(path, old.get(path), new.get(path)))


def expected_changes(edits: Sequence[Edit]) -> tuple[RegistryChange, ...]:
    """What `compare` must find after these edits, when each touches something of its own."""
    return _in_order(row for edit in edits for row in _edit_rows(edit))


def deviations(found: Sequence[RegistryChange], expected: Sequence[RegistryChange]) -> tuple[RegistryChange, ...]:
    """Rows that stand on one side only; keys and names compared as Windows does, for a plan may spell a path in its own way."""
    ours, theirs = ({_folded(row): row for row in rows} for rows in (found, expected))
    return _in_order((ours | theirs)[row] for row in ours.keys() ^ theirs.keys())


def _folded(row: RegistryChange) -> tuple[object, ...]:
    name = None if row.value_name is None else fold(row.value_name)
    return row.kind, fold(row.key), name, row.before, row.after


def _read(data: bytes) -> Keys:
    found: Keys = {}
    try:
        for key in Hive.read(data).root.walk():
            found[KeyPath(_unused(key.path, found))] = (key.timestamp, _values(key))
    except Unreadable as error:
        raise refused(ReasonKind.HIVE_DAMAGED, error.path, cause=error.cause) from error
    return found


def _values(key: Key) -> Values:
    found: Values = {}
    for value in key.values():
        found[_unused(value.name, found)] = value.registry_value()
    return found


def _unused(name: str, taken: Container[str]) -> str:
    """The name, or the first numbered form of it that is not taken: hostile hives repeat names."""
    numbered = (f"{name}\0{number}" for number in count(2))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def _key_rows(path: KeyPath, old: tuple[int, Values] | None, new: tuple[int, Values] | None) -> Iterator[RegistryChange]:
    if old == new:
        return
    if old is None or new is None:
        yield RegistryChange(ChangeKind.KEY_REMOVED if new is None else ChangeKind.KEY_ADDED, path, None, None, None)
    elif old[0] != new[0]:
        yield RegistryChange(ChangeKind.KEY_CHANGED, path, None, _stamp(old[0]), _stamp(new[0]))
    ours, theirs = old[1] if old else {}, new[1] if new else {}
    for name in ours.keys() | theirs.keys():
        yield from _value_rows(path, name, (ours.get(name), theirs.get(name)))


def _stamp(filetime: int) -> RegistryValue:
    return RegistryValue(ValueType.QWORD, (filetime % (1 << 64)).to_bytes(8, "little"))


def _value_rows(path: KeyPath, name: str, pair: Pair) -> Iterator[RegistryChange]:
    before, after = pair
    if before == after:
        return
    kind = ChangeKind.VALUE_ADDED if before is None else ChangeKind.VALUE_REMOVED if after is None else ChangeKind.VALUE_CHANGED
    yield RegistryChange(kind, path, name, before, after)


def _edit_rows(edit: Edit) -> Iterator[RegistryChange]:
    if edit.action is Action.CREATE_KEY:
        yield RegistryChange(ChangeKind.KEY_ADDED, edit.key, None, None, None)
    elif edit.action is Action.DELETE_KEY:
        yield from _deleted_rows(edit)
    elif edit.value_name is not None:
        yield from _value_rows(edit.key, edit.value_name, (edit.before, edit.after))


def _deleted_rows(edit: Edit) -> Iterator[RegistryChange]:
    keys, values = (edit.tree.keys, edit.tree.values) if edit.tree else ((), ())
    for below in ("", *keys):
        yield RegistryChange(ChangeKind.KEY_REMOVED, _joined(edit.key, below), None, None, None)
    for each in values:
        yield RegistryChange(ChangeKind.VALUE_REMOVED, _joined(edit.key, each.key), each.name, each.value, None)


def _joined(path: KeyPath, below: str) -> KeyPath:
    return KeyPath(f"{path}\\{below}") if below else path


def _in_order(rows: Iterable[RegistryChange]) -> tuple[RegistryChange, ...]:
    return tuple(sorted(rows, key=lambda row: (row.key, row.value_name is not None, row.value_name or "", row.kind.value)))
