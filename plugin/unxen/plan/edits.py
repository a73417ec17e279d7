# SPDX-License-Identifier: Apache-2.0
"""Rules say what shall change and why; how an edit states before and after is the same for all of them, and stands here.

Touches nothing. `required` marks the edits without which Windows would not start; the others only ride along.
"""

from unxen.model.edit import Action, Edit
from unxen.model.ids import KeyPath
from unxen.model.record import dataclass
from unxen.model.registry_facts import FilterList, KeyTree, RegistryValue, ServiceFact
from unxen.plan.view import View

SZ, DWORD = 1, 4
START = "Start"


@dataclass(frozen=True)
class Cause:
    """Which rule wants an edit, why, by which source, and whether a start depends on it."""

    rule: str
    why: str
    source: str
    required: bool


def dword(number: int) -> RegistryValue:
    """A REG_DWORD."""
    return RegistryValue(DWORD, number.to_bytes(4, "little"))


def text(value: str) -> RegistryValue:
    """A REG_SZ with its closing NUL."""
    return RegistryValue(SZ, f"{value}\0".encode("utf-16-le"))


def set_start(view: View, service: ServiceFact, start: int, cause: Cause) -> Edit:
    """Another Start for a service whose present one is a number."""
    before = dword(service.start) if isinstance(service.start, int) else None
    return _edit(view, Action.SET_VALUE, service.key, START, before, dword(start), None, cause)


def set_list(view: View, filters: FilterList, after: RegistryValue | None, cause: Cause) -> Edit:
    """A filter list after names were cut out; None deletes the value."""
    action = Action.DELETE_VALUE if after is None else Action.SET_VALUE
    return _edit(view, action, filters.key, filters.value_name, filters.value, after, None, cause)


def set_number(view: View, key: KeyPath, name: str, before: RegistryValue | None, after: int, cause: Cause) -> Edit:
    """Another number, or one where there is no value yet (`before` None)."""
    return _edit(view, Action.SET_VALUE, key, name, before, dword(after), None, cause)


def set_value(view: View, key: KeyPath, name: str, after: RegistryValue, cause: Cause) -> Edit:
    """A value where there is none yet."""
    return _edit(view, Action.SET_VALUE, key, name, None, after, None, cause)


def delete_value(view: View, key: KeyPath, name: str, before: RegistryValue, cause: Cause) -> Edit:
    """A value taken away."""
    return _edit(view, Action.DELETE_VALUE, key, name, before, None, None, cause)


def create_key(view: View, key: KeyPath, cause: Cause) -> Edit:
    """An empty key."""
    return _edit(view, Action.CREATE_KEY, key, None, None, None, None, cause)


def delete_key(view: View, key: KeyPath, tree: KeyTree, cause: Cause) -> Edit:
    """A key taken away with everything below it."""
    return _edit(view, Action.DELETE_KEY, key, None, None, None, tree, cause)


def _edit(
    view: View,
    action: Action,
    key: KeyPath,
    name: str | None,
    before: RegistryValue | None,
    after: RegistryValue | None,
    tree: KeyTree | None,
    cause: Cause,
) -> Edit:
    number = view.control_set.number
    return Edit(action, number, key, name, before, after, tree, cause.rule, cause.why, cause.source, cause.required)
