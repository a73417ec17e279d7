# SPDX-License-Identifier: Apache-2.0
"""Two registries compared as whole trees: the proof that a repair changed what it planned and nothing else.

Touches nothing outside the bytes it is given. Both are read through hivex, a reader that is not the one that wrote the change.
Order of values means nothing, order of rows is fixed. Raises Refused(HIVE_DAMAGED) when a part of either hive cannot be read:
what cannot be compared is not equal. Security and class names are not hivex' to tell; the audit counts them.
"""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from itertools import count

from unxen.errors import refused
from unxen.model.change import ChangeKind, RegistryChange
from unxen.model.ids import KeyPath
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import RegistryValue
from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.changes import in_order, value_rows
from unxen.registry.hive import Hive, Key, Unreadable
from unxen.registry.types import ValueType

Values = dict[str, RegistryValue]
Keys = dict[KeyPath, tuple[int, Values]]
"""Time stamp and values of every key by path; a name met twice gets a number behind a NUL, which no name can hold."""


def compare(before: bytes, after: bytes) -> tuple[RegistryChange, ...]:
    """Every difference, sorted by key and value name."""
    with _comparable():
        return in_order(_tree_rows(Hive.read(before).root, Hive.read(after).root))


def compare_near(before: bytes, after: bytes, cells: Container[int]) -> tuple[RegistryChange, ...]:
    """Every difference, when it is known that all lie in the keys with these cells and in whole keys that only one hive has.

    `cells` has the ancestors of each, too. A key that both hives have in one and the same cell, which is not among them, is not
    read, and what lies below it neither.
    """
    with _comparable():
        return in_order(_rows_near(Hive.read(before).root, Hive.read(after).root, cells))


def _rows_near(old: Key, new: Key, cells: Container[int]) -> Iterator[RegistryChange]:
    """The rows of two keys of one path, and of what is below."""
    yield from _key_rows(new.path, (old.timestamp, _values(old)), (new.timestamp, _values(new)))
    ours, theirs = _children(old), _children(new)
    for name in ours.keys() | theirs.keys():
        was, is_now = ours.get(name), theirs.get(name)
        if was is None or is_now is None or was.handle != is_now.handle:
            yield from _tree_rows(was, is_now)
        elif is_now.handle - BLOCK_SIZE in cells:
            yield from _rows_near(was, is_now, cells)


def _tree_rows(old: Key | None, new: Key | None) -> Iterator[RegistryChange]:
    """The rows of two whole trees, either of which may be absent."""
    ours, theirs = _tree(old), _tree(new)
    for path in ours.keys() | theirs.keys():
        yield from _key_rows(path, ours.get(path), theirs.get(path))


def _tree(top: Key | None) -> Keys:
    found: Keys = {}
    for key in top.walk() if top else ():
        found[KeyPath(_unused(key.path, found))] = (key.timestamp, _values(key))
    return found


def _children(key: Key) -> dict[str, Key]:
    found: dict[str, Key] = {}
    for each in key.subkeys():
        found[_unused(each.name, found)] = each
    return found


@contextmanager
def _comparable() -> Iterator[None]:
    try:
        yield
    except Unreadable as error:
        raise refused(ReasonKind.HIVE_DAMAGED, error.path, cause=error.cause) from error


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
        yield from value_rows(path, name, (ours.get(name), theirs.get(name)))


def _stamp(filetime: int) -> RegistryValue:
    return RegistryValue(ValueType.QWORD, (filetime % (1 << 64)).to_bytes(8, "little"))
