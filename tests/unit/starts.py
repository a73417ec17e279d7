# SPDX-License-Identifier: Apache-2.0
r"""A model of what happens when a Windows starts on KVM or on Xen, and of what that start leaves in the registry for the next one.

    after = start(view, XEN)             # Started(view, stops=""); `view` is the registry that the next start finds

What drivers do stands in generators/drivers_at_work.toml, row by row with its source; whether the disk is reached is asked of the
boot path itself (plan/boot_path.py). Pure: views in, views out. It knows nothing that the rows do not tell: it shows that the rules
of a repair are right by what is known, not that a Windows starts.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from unxen.model.ids import Bus, KeyPath, MachineType
from unxen.model.judgement import Finding, FindingKind, LinkName, LinkState
from unxen.model.registry_facts import (
    ControlSetFacts,
    FilterList,
    FilterScope,
    FilterSide,
    KeyTree,
    NamedValue,
    RegistryValue,
    ServiceFact,
)
from unxen.plan.boot_path import walk
from unxen.plan.drivers import driver_finding, ready
from unxen.plan.names import fold, from_8
from unxen.plan.view import View

TABLE = Path(__file__).parent.parent / "generators" / "drivers_at_work.toml"
BOOT, DEMAND = 0, 3


@dataclass(frozen=True)
class Place:
    """Where a Windows starts: the board, the controller that its disk hangs on, and those that are there beside it."""

    name: str
    board: MachineType
    bus: Bus
    present: tuple[Bus, ...]

    @property
    def is_xen(self) -> bool:
        return self.name == "xen"


# Every i440fx board has the PIIX IDE controller, whatever its disks hang on; every q35 board has AHCI and no IDE.
XEN = Place("xen", MachineType.I440FX, Bus.IDE, (Bus.IDE,))


def kvm(board: MachineType, bus: Bus) -> Place:
    """A machine of KVM with its disk on this bus."""
    own = Bus.IDE if board is MachineType.I440FX else Bus.SATA
    return Place("kvm", board, bus, tuple(dict.fromkeys((own, bus))))


@dataclass(frozen=True)
class Started:
    """What a start leaves behind; `stops` says why it ends with 0x7B or worse, empty when Windows runs."""

    view: View
    stops: str = ""


@cache
def rows(kind: str) -> tuple[dict[str, Any], ...]:
    """The table's rows of one kind."""
    return tuple(tomllib.loads(TABLE.read_text(encoding="utf-8"))[kind])


def start(view: View, place: Place) -> Started:
    """One start: what the loader takes along, whether the disk is reached, what runs then, and what that writes."""
    view = replace(view, board=place.board)
    early = frozenset(fold(each.name) for each in view.control_set.services if each.start == BOOT and ready(view, each.name))
    unplugged = place.is_xen and any(_unplugs(view, early, late=False))
    if stops := _boot_trouble(view, place, early, unplugged):
        return Started(view, stops)
    running = _running(view, place, early)
    late = list(_unplugs(view, running, late=True)) if place.is_xen and not unplugged else []
    if late:
        return Started(view, f"{late[0]} takes the disk away under the running Windows")
    return Started(_left_behind(view, place, running))


def _boot_trouble(view: View, place: Place, early: frozenset[str], unplugged: bool) -> str:
    links = (
        LinkName.BUSES,
        LinkName.DISK,
        *(() if unplugged else (LinkName.CONTROLLER, LinkName.CONTROLLER_FILTERS)),
        *(() if place.is_xen else (LinkName.XEN,)),
    )
    found = [each for link in walk(view, place.bus) if link.name in links for each in link.findings]
    broken = [each for each in found if each.state is LinkState.BROKEN and not (place.is_xen and _loads(view, each))]
    if broken:
        return f"{broken[0].kind.value} {broken[0].subject}"
    return "no driver for the disk of Xen" if unplugged and not _serves(early) else ""


def _loads(view: View, finding: Finding) -> bool:
    """On Xen a filter of Xen's is no trouble as long as it can be loaded."""
    return finding.kind is FindingKind.FILTER_XEN and driver_finding(view, finding.subject).state is LinkState.HOLDS


def _serves(early: frozenset[str]) -> bool:
    return any(row["driver"] in early and early.issuperset(row["with"]) for row in rows("serves"))


def _running(view: View, place: Place, early: frozenset[str]) -> frozenset[str]:
    """Everything that was loaded by the time Windows runs: from the start, by itself, or because a device asked for it."""
    running = set(early)
    running |= {fold(each.name) for each in view.control_set.services if each.start in (1, 2)}
    while more := {each for each in _asked_for(view, place, running) if each not in running}:
        running |= more
    return frozenset(running)


def _asked_for(view: View, place: Place, running: set[str]) -> Iterator[str]:
    for device in view.control_set.devices:
        row = next((row for row in rows("device") if fold(device.id).startswith(fold(row["prefix"]))), None)
        there = row and row["on"] in ("any", place.name) and (not row.get("made_by") or running & set(row["made_by"]))
        service = view.service(device.service) if there and device.service else None
        if service and service.start in (BOOT, DEMAND):
            yield fold(service.name)


def _with_libraries(view: View, running: frozenset[str]) -> frozenset[str]:
    found = {row["name"] for row in rows("library") if running & set(row["drivers"]) and view.service(row["beside"])}
    return running | found


def _unplugs(view: View, running: frozenset[str], *, late: bool) -> Iterator[str]:
    """The drivers that take the emulated disks away."""
    loaded = _with_libraries(view, running)
    for row in rows("unplugs"):
        elsewhere = "beside" in row and not view.service(row["beside"])
        if row["driver"] not in loaded or elsewhere or (late and row.get("only_at_boot")):
            continue
        wanted, never = row.get("setting"), row.get("not_with")
        if (not wanted or _is_set(view, *wanted)) and not (never and _is_set(view, *never)):
            yield row["driver"]


def _is_set(view: View, key: str, name: str) -> bool:
    place = fold(f"{view.root}\\{key}")
    trees = [each.tree for each in view.control_set.leftovers if fold(each.key) == place and each.tree]
    return any(fold(value.name) == fold(name) and not value.key for tree in trees for value in tree.values)


def _left_behind(view: View, place: Place, running: frozenset[str]) -> View:
    facts = view.control_set
    if place.is_xen:
        for row in rows("lists"):
            if row["driver"] in running and view.service(row["beside"]):
                facts = _listed(view, facts, row["filter"], row["classes"])
    if from_8(view.windows.version):
        facts = replace(facts, services=tuple(_overridden(view, each, place) for each in facts.services))
    return view.with_control_set(facts)


def _listed(view: View, facts: ControlSetFacts, name: str, classes: list[str]) -> ControlSetFacts:
    """The name at the end of the upper filters of each class, once."""
    lists = list(facts.filters)
    for guid in classes:
        at = next((n for n, each in enumerate(lists) if _is_list(each, guid)), None)
        names = lists[at].names if at is not None else ()
        if name.casefold() in map(str.casefold, names):
            continue
        made = _list(view, guid, (*names, name))
        lists = [made if n == at else each for n, each in enumerate(lists)] if at is not None else [*lists, made]
    return replace(facts, filters=tuple(lists))


def _is_list(filters: FilterList, guid: str) -> bool:
    own = filters.scope is FilterScope.CLASS and filters.side is FilterSide.UPPER
    return own and fold(filters.class_guid) == fold(guid)


def _list(view: View, guid: str, names: tuple[str, ...]) -> FilterList:
    key = KeyPath(rf"{view.root}\Control\Class\{guid}")
    value = RegistryValue(7, ("\0".join(names) + "\0\0").encode("utf-16-le"))
    return FilterList(FilterScope.CLASS, FilterSide.UPPER, key, guid, "UpperFilters", value, names)


def _overridden(view: View, service: ServiceFact, place: Place) -> ServiceFact:
    """From 8 on Windows switches a controller's boot driver off at a start in which its device is absent (facts of five hives)."""
    buses = {row.bus for row in view.controllers if fold(service.name) in map(fold, (row.service, *row.requires))}
    if service.start != BOOT or not buses or buses & set(place.present) or service.overrides:
        return service
    return replace(service, overrides=KeyTree((), (NamedValue("", "0", RegistryValue(4, (3).to_bytes(4, "little"))),)))
