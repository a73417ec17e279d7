# SPDX-License-Identifier: Apache-2.0
"""What needs room in a hive is made by hivex: new keys, new values, values that outgrow their cell.

Touches a copy in memory. hivex takes new room behind the last bin, so the hive may grow by 4096 bytes or more; the file's tail
beyond the bins is used up first. It rewrites all values of a key, and makes one cell of data that Windows keeps in segments: keys
that hold such data are refused. Any failure is Refused(ROLLED_BACK).
"""

from collections.abc import Callable, Sequence

from unxen.model.edit import Action, Edit
from unxen.registry.base_block import read_base_block
from unxen.registry.cell_finder import not_possible
from unxen.registry.cells import SEGMENT
from unxen.registry.hive import Hive, Key, Unreadable
from unxen.registry.library import guarded, open_for_writing


def create(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The hive with these edits made in their order; its sequence numbers are hivex' own afterwards."""
    with open_for_writing(data) as (library, commit):
        hive = Hive(read_base_block(data), data, library)
        for edit in edits:
            try:
                MAKERS[edit.action](hive, edit)
            except Unreadable as error:
                raise not_possible(error.path, error.cause) from error
        return guarded(commit, error=lambda cause: not_possible("", f"hivex: {cause}"))


def _create_key(hive: Hive, edit: Edit) -> None:
    above, _, name = edit.key.rpartition("\\")
    parent = hive.key(above)
    if parent is None:
        raise not_possible(edit.key, "no key above it")
    if parent.subkey(name) is not None:
        raise not_possible(edit.key, "already there")
    guarded(hive.library.node_add_child, parent.handle, name, error=_failed(edit))


def _set_value(hive: Hive, edit: Edit) -> None:
    key = hive.key(edit.key)
    if key is None or edit.value_name is None or edit.after is None:
        raise not_possible(edit.key, "no such key")
    _refuse_segments(key)
    there = key.value(edit.value_name)
    if (there.registry_value() if there else None) != edit.before:
        raise not_possible(edit.key, "changed since it was read")
    name = there.name if there else edit.value_name
    row = {"key": name, "t": edit.after.type, "value": edit.after.data}
    guarded(hive.library.node_set_value, key.handle, row, error=_failed(edit))


def _refuse_segments(key: Key) -> None:
    if any(len(each.data) > SEGMENT for each in key.values()):
        raise not_possible(key.path, "value in segments")


def _failed(edit: Edit) -> Callable[[Exception], Exception]:
    return lambda cause: not_possible(edit.key, f"hivex: {cause}")


MAKERS: dict[Action, Callable[[Hive, Edit], None]] = {Action.CREATE_KEY: _create_key, Action.SET_VALUE: _set_value}
