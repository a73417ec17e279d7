# SPDX-License-Identifier: Apache-2.0
"""Before values are put back somebody has to see what became of them since.

Reads the bytes it is given through hivex and touches nothing. A part of the hive that cannot be read is Refused(HIVE_DAMAGED): what
is not known must not be written over.
"""

from collections.abc import Sequence

from unxen.errors import refused
from unxen.model.edit import Edit
from unxen.model.reason import ReasonKind
from unxen.model.standing import Standing
from unxen.registry.hive import Hive, Unreadable


def standing(data: bytes, edits: Sequence[Edit]) -> tuple[Standing, ...]:
    """One row for every edit, in their order."""
    try:
        hive = Hive.read(data)
        return tuple(_standing(hive, each) for each in edits)
    except Unreadable as error:
        raise refused(ReasonKind.HIVE_DAMAGED, error.path, cause=error.cause) from error


def _standing(hive: Hive, edit: Edit) -> Standing:
    key, above = hive.key(edit.key), hive.key(edit.key.rpartition("\\")[0])
    if key is None:
        return Standing(key=False, above=above is not None)
    if edit.value_name is None:
        return Standing(key=True, above=True, tree=key.tree())
    value = key.value(edit.value_name)
    return Standing(key=True, above=True, value=value.registry_value() if value else None)
