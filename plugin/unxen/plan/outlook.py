# SPDX-License-Identifier: Apache-2.0
"""Before anything is promised, a plan is tried on the facts: what a control set would be after its edits.

Touches nothing. Because links judge the outlook as they judge the facts, no rule has to claim what it can mend.
"""

from collections.abc import Iterator

from unxen.model.edit import Action, Edit
from unxen.model.ids import KeyPath
from unxen.model.record import replace
from unxen.model.registry_facts import (
    ControlSetFacts,
    CriticalDevice,
    FilterList,
    FilterScope,
    FilterSide,
    KeyTree,
    Leftover,
    ServiceFact,
)
from unxen.plan.edits import START
from unxen.plan.filter_lists import names
from unxen.plan.names import fold

SIDES = {"upperfilters": FilterSide.UPPER, "lowerfilters": FilterSide.LOWER}
Edits = dict[tuple[str, str], Edit]


def after(facts: ControlSetFacts, edits: tuple[Edit, ...]) -> ControlSetFacts:
    """The control set as the next look would see it."""
    by_place = {(fold(edit.key), fold(edit.value_name or "")): edit for edit in edits}
    return replace(
        facts,
        services=tuple(_service(each, by_place) for each in facts.services),
        filters=(*(each for each in (_filters(each, by_place) for each in facts.filters) if each), *_new_lists(edits)),
        critical_devices=facts.critical_devices + _critical_devices(edits, by_place),
        leftovers=tuple(each for each in (_leftover(each, by_place) for each in facts.leftovers) if each),
    )


def _service(service: ServiceFact, edits: Edits) -> ServiceFact:
    start = edits.get((fold(service.key), fold(START)))
    gone = edits.get((fold(f"{service.key}\\StartOverride"), ""))
    if start and start.after:
        service = replace(service, start=int.from_bytes(start.after.data, "little"))
    return replace(service, overrides=None) if gone and gone.action is Action.DELETE_KEY else service


def _filters(filters: FilterList, edits: Edits) -> FilterList | None:
    edit = edits.get((fold(filters.key), fold(filters.value_name)))
    if edit is None:
        return filters
    return replace(filters, value=edit.after, names=names(edit.after)) if edit.after else None


def _new_lists(edits: tuple[Edit, ...]) -> Iterator[FilterList]:
    """Lists of classes that had none."""
    for edit in edits:
        side = SIDES.get(fold(edit.value_name or ""))
        if side and edit.after and edit.before is None:
            guid = edit.key.rpartition("\\")[2]
            yield FilterList(FilterScope.CLASS, side, edit.key, guid, edit.value_name or "", edit.after, names(edit.after))


def _critical_devices(edits: tuple[Edit, ...], by_place: Edits) -> tuple[CriticalDevice, ...]:
    keys = [edit.key for edit in edits if edit.action is Action.CREATE_KEY]
    return tuple(
        CriticalDevice(key.rpartition("\\")[2], key, _text(by_place, key, "Service"), _text(by_place, key, "ClassGUID"))
        for key in keys
    )


def _text(edits: Edits, key: KeyPath, name: str) -> str:
    edit = edits.get((fold(key), fold(name)))
    return names(edit.after)[0] if edit and edit.after else ""


def _leftover(leftover: Leftover, edits: Edits) -> Leftover | None:
    whole = edits.get((fold(leftover.key), ""))
    if whole and whole.action is Action.DELETE_KEY:
        return None
    if leftover.tree is None:
        return leftover
    gone = {name for key, name in edits if key == fold(leftover.key)}
    kept = tuple(each for each in leftover.tree.values if each.key or fold(each.name) not in gone)
    return replace(leftover, tree=KeyTree(leftover.tree.keys, kept))
