# SPDX-License-Identifier: Apache-2.0
"""On every fixture unxen's edits cover those of XenBootFix, the nearest peer, or the difference stands in a table with its reason.

The peer's rules as its source has them (xcp-ng/win-pv-drivers XenBootFix/XenBootFix.cpp @aee8e06, read, not copied): two filter
names out of two classes, fifteen services to 4, StartOverride deleted for three inbox drivers and any third party's, ForceUnplug
deleted, all in the current control set.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from generators.hives import FAMILIES, GENERATIONS, windows_hive
from unit.hive_guest import guest, judged, tables
from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.model.registry_facts import ControlSetFacts, FilterScope
from unxen.plan.filter_lists import without

CLASSES = ("{4d36e96a-e325-11ce-bfc1-08002be10318}", "{4d36e97d-e325-11ce-bfc1-08002be10318}")
FILTERS = ("xenfilt", "scsifilt")
SERVICES = (
    *("xenagent", "xenbus", "xenbus_monitor", "xencons", "xencons_monitor", "xendisk", "xenfilt", "xenhid", "xeniface"),
    *("xeninstall", "xennet", "xensvc", "xenvbd", "xenvif", "xenvkbd"),
)
OVERRIDES = ("stornvme", "storahci", "pciide")


@dataclass(frozen=True)
class PeerEdit:
    """One thing that the peer changes: a place, and what stands there afterwards (None: nothing)."""

    part: str
    name: str
    place: str
    after: bytes | None
    before: int = -1


def peer_edits(facts: ControlSetFacts) -> Iterator[PeerEdit]:
    """What the peer would do to a control set."""
    for each in facts.filters:
        if each.scope is FilterScope.CLASS and each.class_guid.lower() in CLASSES:
            after = without(each.value, lambda name: name.lower() in FILTERS)
            if after != each.value:
                yield PeerEdit("filter", each.class_guid, f"{each.key}\\{each.value_name}".lower(), after.data if after else None)
    for service in facts.services:
        name, key = service.name.lower(), service.key.lower()
        if name in SERVICES and isinstance(service.start, int) and service.start != 4:
            yield PeerEdit("service", name, rf"{key}\start", (4).to_bytes(4, "little"), service.start)
        if name in OVERRIDES and service.overrides is not None:
            yield PeerEdit("override", name, rf"{key}\startoverride", None)
    for leftover in facts.leftovers:
        if leftover.key.lower().endswith(r"\services\xen\forceunplug"):
            yield PeerEdit("setting", "forceunplug", leftover.key.lower(), None)


# What unxen does otherwise, and why. Each row must be met by a fixture.
DIFFERENCES: dict[str, tuple[str, Callable[[PeerEdit, Bus], bool]]] = {
    "drivers at 3 stay": (
        "started on demand by a Xen device only, and KVM has none; a service is changed only where something depends on it",
        lambda edit, _: edit.part == "service" and edit.before == 3 and wanted_start(edit.name) == 3,
    ),
    "the article's drivers to 3": (
        "the article asks for 3 (article:7), which keeps them from starting as well as 4 does: no device of KVM asks for them",
        lambda edit, _: edit.part == "service" and edit.before < 3 and wanted_start(edit.name) == 3,
    ),
    "overrides of other buses": (
        "Windows writes an override again for every controller that is absent at a start; only the chosen bus needs its own gone",
        lambda edit, bus: edit.part == "override" and bus.value not in buses_of(edit.name),
    ),
}


def wanted_start(name: str) -> int | None:
    return next(row.start_after for row in tables().xen_services if row.name.lower() == name)


def buses_of(service: str) -> set[str]:
    return {row.bus.value for row in tables().controllers if row.service.lower() == service}


def place(edit: Edit) -> tuple[str, bytes | None]:
    name = f"{edit.key}\\{edit.value_name}" if edit.value_name else edit.key
    return name.lower(), edit.after.data if edit.after else None


def uncovered(hive: bytes) -> tuple[list[PeerEdit], Bus]:
    """What the peer does to the current control set and unxen does not, and the bus that unxen chose."""
    system = guest(hive).installations[0].system
    assert system
    current = next(each for each in system.control_sets if each.number == system.select.current)
    judgement = judged(hive)
    own = {place(edit) for each in judgement.plan.installations for edit in each.edits}
    return [edit for edit in peer_edits(current) if (edit.place, edit.after) not in own], judgement.bus


def reasons(edit: PeerEdit, bus: Bus) -> list[str]:
    return [row for row, (_, holds) in DIFFERENCES.items() if holds(edit, bus)]


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "suse_vmdp_pvvx"])
@pytest.mark.parametrize("generation", ["xp", "2003", "vista", "7", "8", "8.1", "10", "2022", "2025"])
def test_every_edit_of_the_peer_is_made_or_its_absence_has_one_reason(generation: str, family: str) -> None:
    left, bus = uncovered(windows_hive(generation, families=[family]))
    assert [(edit, reasons(edit, bus)) for edit in left if len(reasons(edit, bus)) != 1] == []


def test_every_row_of_the_table_is_met() -> None:
    met = set()
    for generation in GENERATIONS:
        left, bus = uncovered(windows_hive(generation, families=["xcpng"]))
        met |= {row for edit in left for row in reasons(edit, bus)}
    assert met == set(DIFFERENCES)


def test_the_peer_leaves_windows_ill_where_unxen_does_not() -> None:
    """Families whose filters stand elsewhere, or have other names: the reason for going beyond the peer."""
    for family in ("citrix_legacy", "gplpv", "gplpv_old", "redhat_xenpv"):
        hive = windows_hive("7", families=[family])
        system = guest(hive).installations[0].system
        assert system
        peer = {edit.place for edit in peer_edits(system.control_sets[0]) if edit.part == "filter"}
        own = {place(edit)[0] for each in judged(hive).plan.installations for edit in each.edits if edit.rule.endswith("filters")}
        assert own and not peer, family


def test_foreign_names_survive_both() -> None:
    hive = windows_hive("10", families=["xcpng"], two_endings=["XENFILT", "fooflt"], foreign_filter="fooflt")
    left, bus = uncovered(hive)
    assert [edit for edit in left if edit.part == "filter"] == [] and bus is Bus.SATA
    system = guest(hive).installations[0].system
    assert system
    kept = [edit for edit in peer_edits(system.control_sets[0]) if edit.part == "filter" and edit.after]
    assert kept and all("fooflt" in names_of(edit.after) for edit in kept if edit.after)


def names_of(data: bytes) -> str:
    return data.decode("utf-16-le")
