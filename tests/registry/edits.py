# SPDX-License-Identifier: Apache-2.0
"""Edits made short for the tests of the registry.

Touches nothing.
"""

from unxen.model.edit import Action, Edit
from unxen.model.ids import ControlSetNumber, KeyPath
from unxen.model.registry_facts import RegistryValue
from unxen.registry.hive import Hive


def dword(number: int) -> RegistryValue:
    return RegistryValue(4, number.to_bytes(4, "little"))


def multi(*names: str, end: str = "\0") -> RegistryValue:
    return RegistryValue(7, ("".join(f"{name}\0" for name in names) + end).encode("utf-16-le"))


def _edit(action, key, name=None, before=None, after=None, tree=None):
    return Edit(action, ControlSetNumber(1), KeyPath(key), name, before, after, tree, "rule", "why", "source", True)


def set_value(hive: Hive | bytes, key: str, name: str, after: RegistryValue) -> Edit:
    """The value as it stands, or none, becomes `after`; spelled as in the hive."""
    found = _hive(hive).key(key)
    value = found.value(name) if found else None
    path, spelled = (found.path if found else key), (value.name if value else name)
    return _edit(Action.SET_VALUE, path, spelled, value.registry_value() if value else None, after)


def delete_value(hive: Hive | bytes, key: str, name: str) -> Edit:
    found = _hive(hive).key(key)
    value = found.value(name)
    return _edit(Action.DELETE_VALUE, found.path, value.name, value.registry_value())


def delete_key(hive: Hive | bytes, key: str) -> Edit:
    found = _hive(hive).key(key)
    return _edit(Action.DELETE_KEY, found.path, tree=found.tree())


def create_key(key: str) -> Edit:
    return _edit(Action.CREATE_KEY, key)


def _hive(hive: Hive | bytes) -> Hive:
    return Hive.read(hive) if isinstance(hive, bytes) else hive
