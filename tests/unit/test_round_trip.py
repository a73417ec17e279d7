# SPDX-License-Identifier: Apache-2.0
"""A repaired Windows must find its disk on KVM, on Xen twice, and on KVM again: by the model, for every Windows and every family.

unit/starts.py walks the starts; here stand the claims, those that do not hold among them (from Windows 8 on an absent controller's
driver is switched off at every start), and that each rule that keeps the way back open is missed when it is gone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import pytest
from generators.hives import FAMILIES, GENERATION, GENERATIONS, plant, windows_hive
from unit.hive_guest import guest, tables
from unit.starts import XEN, Place, kvm, rows, start
from unxen.knowledge.tables import Knowledge
from unxen.model.edit import Edit
from unxen.model.facts import GuestFacts
from unxen.model.guest import Machine
from unxen.model.ids import Bus, MachineType
from unxen.model.judgement import Verdict
from unxen.plan import prospect
from unxen.plan.examined import Examined, examine
from unxen.plan.judge import judge
from unxen.plan.names import fold, from_8
from unxen.plan.outlook import after
from unxen.plan.reverse import reverse
from unxen.plan.rules import class_filters, overrides, xen_settings
from unxen.plan.view import View
from unxen.registry.editor import edit_hive
from unxen.registry.standing import standing

MENDED = tuple(each for each in FAMILIES if each != "suse_vmdp_pvvx")
NO_AHCI = ("xp", "2003")
I440FX, Q35 = MachineType.I440FX, MachineType.Q35


@cache
def facts_of(hive: bytes) -> GuestFacts:
    return guest(hive)


def examined(hive: bytes, knowledge: Knowledge) -> Examined:
    facts = facts_of(hive)
    found = examine(facts, facts.installations[0], Machine(board=I440FX), knowledge)
    assert found
    return found


def planned(hive: bytes, bus: Bus, knowledge: Knowledge) -> tuple[Edit, ...]:
    judgement = judge(facts_of(hive), Machine(board=I440FX), knowledge, bus=bus)
    assert judgement.verdict is Verdict.REPAIRABLE
    return judgement.plan.installations[0].edits


def mended(view: View, edits: Sequence[Edit]) -> View:
    """The control set as a repair leaves it."""
    own = tuple(each for each in edits if each.control_set == view.control_set.number)
    return view.with_control_set(after(view.control_set, own))


@cache
def repaired(generation: str, family: str, bus: Bus) -> View:
    hive = windows_hive(generation, families=[family])
    return mended(examined(hive, tables()).deciding, planned(hive, bus, tables()))


def journey(view: View, *places: Place) -> list[str]:
    """What each start in turn says; it goes on from what the last one left, until one stops."""
    said = []
    for place in places:
        done = start(view, place)
        said.append(done.stops)
        view = done.view
        if done.stops:
            break
    return said


def buses(generation: str) -> Iterator[Bus]:
    yield Bus.IDE
    if generation not in NO_AHCI:
        yield Bus.SATA


@pytest.mark.parametrize("generation", GENERATIONS)
def test_repaired_disk_starts_on_kvm_on_xen_twice_and_on_kvm_again(generation: str) -> None:
    """The last of these not on SATA from Windows 8 on: on Xen no AHCI controller was there."""
    switched_off = from_8(GENERATION[generation].version)
    for family in MENDED:
        for bus in buses(generation):
            here = kvm(I440FX, bus)
            last = "overridden storahci" if bus is Bus.SATA and switched_off else ""
            assert journey(repaired(generation, family, bus), here, XEN, XEN, here) == ["", "", "", last], (family, bus)


@pytest.mark.parametrize("generation", [each for each in GENERATIONS if from_8(GENERATION[each].version)])
def test_what_xen_switched_off_a_second_repair_switches_on(generation: str) -> None:
    here = kvm(I440FX, Bus.SATA)
    view = repaired(generation, "xcpng", Bus.SATA)
    for place in (here, XEN, XEN):
        view = start(view, place).view
    again = prospect.required_edits(view, Bus.SATA)
    assert {each.rule for each in again} == {"overrides"}
    assert journey(mended(view, again), here, here) == ["", ""]


def test_on_q35_windows_switches_ide_off_so_the_way_back_is_undo() -> None:
    """A q35 board has no IDE controller: known, and told in the documentation."""
    here = kvm(Q35, Bus.SATA)
    assert journey(repaired("10", "xcpng", Bus.SATA), here, XEN) == ["", "overridden intelide"]
    assert journey(repaired("7", "xcpng", Bus.SATA), here, XEN) == ["", ""]
    hive = windows_hive("10", families=["xcpng"])
    back = undone(hive, planned(hive, Bus.SATA, tables()), [("intelide", 0), ("atapi", 0)])
    assert journey(examined(back, tables()).deciding, XEN, XEN) == ["", ""]


@pytest.mark.parametrize("generation", ["xp", "7", "10", "2022"])
def test_before_the_repair_xen_starts_and_kvm_does_not(generation: str) -> None:
    for family in MENDED:
        view = examined(windows_hive(generation, families=[family]), tables()).deciding
        assert journey(view, XEN, XEN) == ["", ""], family
        assert journey(view, kvm(I440FX, Bus.IDE)) != [""], family


def undone(hive: bytes, edits: tuple[Edit, ...], switched_off: Sequence[tuple[str, int]] = ()) -> bytes:
    """The hive after the repair, a start that switched drivers off, and `undo --registry`."""
    run = edit_hive(hive, edits)
    for service, number in switched_off:
        run = plant(run, f'[ControlSet*\\Services\\{service}\\StartOverride]\n"{number}"=dword:3\n')
    back = reverse(edits, standing(run, edits))
    assert not [each for each in back.left if dict(each.details)["cause"] not in ("", "there-again")]
    return edit_hive(run, back.edits)


@pytest.mark.parametrize("generation", ["xp", "7", "10"])
@pytest.mark.parametrize("family", MENDED)
def test_undo_by_values_gives_the_drivers_of_xen_back(generation: str, family: str) -> None:
    hive = windows_hive(generation, families=[family])
    back = examined(undone(hive, planned(hive, Bus.IDE, tables())), tables()).deciding
    before = examined(hive, tables()).deciding
    assert services_and_lists(back) == services_and_lists(before)
    assert journey(back, XEN, XEN) == ["", ""]


def services_and_lists(view: View) -> tuple[object, ...]:
    starts = {fold(each.name): each.start for each in view.control_set.services}
    lists = {(fold(each.key), fold(each.value_name)): each.names for each in view.control_set.filters}
    settings = {fold(each.key): each.tree for each in view.control_set.leftovers}
    return starts, lists, settings


# Each rule that keeps the way back open, taken away.


def without(monkeypatch: pytest.MonkeyPatch, *rules: object) -> None:
    kept = tuple(each for each in prospect.RULES if each not in [rule.edits for rule in rules])  # type: ignore[attr-defined]
    assert len(kept) == len(prospect.RULES) - len(rules)
    monkeypatch.setattr(prospect, "RULES", kept)


def with_starts(**starts: int) -> Knowledge:
    rows = tuple(
        replace(row, start_after=starts.get(row.name, row.start_after), off_beside=(), off_why=None) if row.name in starts else row
        for row in tables().xen_services
    )
    return replace(tables(), xen_services=rows)


def said(family: str, knowledge: Knowledge, *places: Place, change: Callable[[bytes], bytes] = bytes) -> list[str]:
    """A journey of a Windows 10 on IDE, repaired by other rules; planned as for a verification that would not look."""
    hive = change(windows_hive("10", families=[family]))
    found = examined(hive, knowledge)
    return journey(mended(found.deciding, prospect.required_edits(found.deciding, Bus.IDE)), *places)


HERE = kvm(I440FX, Bus.IDE)


def test_xenbus_at_three_would_list_its_filter_again_and_end_the_second_start_on_xen() -> None:
    assert said("xcpng", with_starts(xenbus=3), HERE, XEN, XEN)[-1] == "filter-xen XENFILT"
    assert said("xcpng", tables(), HERE, XEN, XEN) == ["", "", ""]


def test_an_order_to_unplug_would_take_the_disk_from_a_xenbus_that_runs() -> None:
    """Cleared and at 4 are two locks of one door: either alone keeps it closed, so that a person may open one."""
    hive = windows_hive("10", families=["xcpng"])
    view = mended(examined(hive, tables()).deciding, planned(hive, Bus.IDE, tables()))
    assert start(run_again(view, "xenbus"), XEN).stops == ""
    kept = tuple(each for each in planned(hive, Bus.IDE, tables()) if each.rule != "xen_settings")
    left = mended(examined(hive, tables()).deciding, kept)
    assert start(run_again(left, "xenbus"), XEN).stops == "xen takes the disk away under the running Windows"
    assert start(left, XEN).stops == ""


def run_again(view: View, name: str) -> View:
    """A person, or an installer, sets one service back to demand."""
    services = tuple(replace(each, start=3) if fold(each.name) == name else each for each in view.control_set.services)
    return view.with_control_set(replace(view.control_set, services=services))


@pytest.mark.parametrize("family", ["citrix_legacy", "aws_citrix"])
def test_citrix_disk_driver_at_three_would_take_the_disk_away_on_xen(family: str) -> None:
    expected = "xenutil takes the disk away under the running Windows"
    assert said(family, with_starts(xenvbd=3), HERE, XEN) == ["", expected]
    assert said(family, tables(), HERE, XEN, XEN) == ["", "", ""]


def test_citrix_root_device_at_three_would_be_loaded_on_both() -> None:
    assert said("aws_citrix", with_starts(xenevtchn=3), HERE, XEN)[-1].startswith("xenutil")


def test_gplpv_told_to_hide_always_would_take_the_disk_away_on_xen(monkeypatch) -> None:
    def always(hive: bytes) -> bytes:
        return plant(hive, '[ControlSet*\\Services\\XenPci\\Parameters]\n"txt_hide_qemu_always"=dword:1\n')

    assert said("gplpv", tables(), HERE, XEN, XEN, change=always) == ["", "", ""]
    without(monkeypatch, xen_settings)
    assert said("gplpv", tables(), HERE, XEN, change=always) == ["", "xenpci takes the disk away under the running Windows"]


def test_filters_left_in_their_lists_would_end_the_first_start(monkeypatch) -> None:
    without(monkeypatch, class_filters)
    assert said("xcpng", tables(), HERE) == ["filter-xen XENFILT"]
    assert said("xcpng", tables(), XEN) == ["filter-xen XENFILT"]


def test_overrides_left_would_end_the_first_start(monkeypatch) -> None:
    hive = windows_hive("10", families=["xcpng"])
    without(monkeypatch, overrides)
    view = examined(hive, tables()).deciding
    assert start(mended(view, prospect.required_edits(view, Bus.SATA)), kvm(I440FX, Bus.SATA)).stops == "overridden storahci"


def test_every_row_of_what_drivers_do_has_a_source_and_a_driver_that_is_known() -> None:
    known = {fold(row.name) for row in tables().xen_services}
    for kind in ("device", "library", "lists", "unplugs", "serves"):
        for row in rows(kind):
            assert row["source"]
            names = {row.get("driver"), row.get("beside"), *row.get("drivers", ()), *row.get("with", ()), *row.get("made_by", ())}
            assert names - {None} <= known, row
