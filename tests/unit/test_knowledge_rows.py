# SPDX-License-Identifier: Apache-2.0
"""Every row of every table decides something: taken away, a Windows made for it is judged otherwise.

A case makes, from the row itself, facts in which it matters, and says what to look for in the judgement; it must be there with the
row and not without it. A row that no case can exercise is a row that does nothing, and fails here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from unit.facts_builder import NET, SYSTEM, Windows
from unxen.knowledge.cross_checks import cross_problems
from unxen.knowledge.layout import TABLES, Entry, label
from unxen.knowledge.loader import load_knowledge
from unxen.knowledge.tables import Knowledge, NtVersion, SettingAction, XenRole
from unxen.model.edit import Action, Edit
from unxen.model.first_start_facts import UNKNOWN as FIRST_START
from unxen.model.fix import NO_FIXES, Fix, Fixes
from unxen.model.guest import Machine
from unxen.model.ids import Bus, KeyPath, MachineType, Missing
from unxen.model.judgement import Chain, FindingKind, InstallationJudgement, Judgement, LinkState, NoteKind, Verdict
from unxen.model.registry_facts import CriticalDevice
from unxen.plan.judge import judge

KNOWLEDGE = load_knowledge()
Look = Callable[[Judgement], object]
GENERATIONS: dict[str, NtVersion] = {"xp": (5, 1, 2600), "7": (6, 1, 7601), "10": (10, 0, 19041)}


@dataclass(frozen=True)
class Case:
    """A Windows, what is asked about it, and what the row must bring into the judgement."""

    windows: Windows
    look: Look
    board: MachineType = MachineType.UNKNOWN
    bus: Bus | None = None
    knowledge: Knowledge = KNOWLEDGE
    fixes: Fixes = NO_FIXES
    data_disk: bool = False


def xen_service(row: Any) -> Case:
    """A driver at Start 0 and a program at 2 are set to what the row says; one that is left alone is at least named."""
    image = rf"C:\Program Files\{row.proof[0] if row.proof else 'x'}\{row.name}.exe"
    start = 2 if row.role in (XenRole.AGENT, XenRole.MONITOR) else 0
    windows = whole("10").filters(SYSTEM, "upper", "XENFILT").service(row.name.upper(), start, image_path=image)
    if row.start_after is None:
        return Case(windows, lambda judged: any(each.subject == row.name.upper() for each in only(judged).xen))
    return Case(windows, lambda judged: [each.why for each in edits(judged, rf"Services\{row.name}", row.start_after)] == [row.why])


def xen_filter(row: Any) -> Case:
    """The name is cut out of a list of whatever class, even where nothing is known of its service."""
    services = tuple(each for each in KNOWLEDGE.xen_services if each.name != row.name)
    windows = whole("10").filters(NET, "upper", row.name.upper(), "other").service("other", 0)
    return Case(
        windows,
        lambda judged: [each.why for each in edits(judged, rf"Control\Class\{NET}")] == [row.why],
        knowledge=replace(KNOWLEDGE, xen_services=services),
    )


def xen_device(row: Any) -> Case:
    windows = whole("10").device(f"{row.prefix.lower()}0001&x", "somebody")
    return Case(windows, lambda judged: any(each.families == row.families for each in only(judged).xen))


def xen_setting(row: Any) -> Case:
    windows = whole("10").xen().leftover(row.key.lower(), **{row.value or "DISKS": 1})
    if row.action is SettingAction.KEEP:
        named: Look = lambda judged: any(each.subject == row.key for each in only(judged).xen)  # noqa: E731
        return Case(windows, lambda judged: named(judged) and not edits(judged, row.key))
    gone = Action.DELETE_VALUE if row.value else Action.DELETE_KEY
    return Case(windows, lambda judged: [each.action for each in edits(judged, row.key)] == [gone])


def controller(row: Any) -> Case:
    """The only driver for its first id, ready to be loaded: with the row the controller link holds."""
    windows = windows_in(row).service(row.service, 0)
    if windows.version < (6, 2, 0):
        key = row.ids[0].replace("\\", "#").lower()
        place = KeyPath(rf"ControlSet001\Control\CriticalDeviceDatabase\{key}")
        windows.control_set(critical_devices=(CriticalDevice(key, place, row.service, ""),), critical_devices_seen=True)
    windows.matches.clear()
    for each in row.ids:
        windows.match(each, "oem1.inf", row.service)
    # On q35 virtio shows ids that not every driver takes; the other board shows one controller only.
    return Case(windows, lambda judged: state(judged, row.bus, "controller") is LinkState.HOLDS, MachineType.I440FX)


def emulated(row: Any) -> Case:
    """Windows has a driver for nothing, and the id that it misses is this row's."""
    windows = whole("10")
    windows.matches.clear()

    def missed(judged: Judgement) -> bool:
        told = [finding for link in chain(judged, row.bus).links for finding in link.findings]
        return any(row.ids[0] in (each.subject, dict(each.details).get("device")) for each in told)

    return Case(windows, missed)


def boot_service(row: Any) -> Case:
    """Not starting at boot, it breaks its link."""
    windows = windows_in(row).service(row.service, 3)
    return Case(windows, lambda judged: findings(judged, row.service, FindingKind.NOT_BOOT_START))


def device_class(row: Any) -> Case:
    """A filter that cannot load breaks the class's link under the class's name; a stock filter that is gone is told under it."""
    if not row.links:
        stock = tuple(each for each in KNOWLEDGE.stock_filters if each.class_guid == row.guid)
        assert stock
        windows = whole("10").no_list(row.guid.upper(), "upper")
        return Case(windows, lambda judged: row.name in note_subjects(judged, NoteKind.EMPTIED_CLASS))
    windows = whole("10").filters(row.guid.upper(), "lower", "dangling").xen()

    def named(judged: Judgement) -> bool:
        told = [dict(each.details) for each in judged_findings(judged) if each.subject == "dangling"]
        return any(details["class"] == row.name for details in told)

    return Case(windows, named)


def critical_row(row: Any) -> Case:
    windows = whole("xp").xen().no_match(row.id.replace("#", "\\"))
    return Case(windows, lambda judged: Action.CREATE_KEY in [each.action for each in edits(judged, row.id)], bus=row.bus)


def article_step(row: Any) -> Case:
    """Each service of the article is told by name, and those to be switched on are, where their file is there."""
    windows = whole("10").xen().service(row.service, 3 if row.start == 0 else 0)

    def look(judged: Judgement) -> object:
        told = row.service in note_subjects(judged, NoteKind.ARTICLE_SERVICE)
        return told and bool(edits(judged, rf"Services\{row.service}", row.start))

    return Case(windows, look)


def kvm_trace(row: Any) -> Case:
    windows = whole("10").xen()
    if row.kind == "enum":
        windows.device(f"{row.text}0&x", "somebody")
    else:
        windows.system(hardware_configs=(rf"{{guid}}\SystemManufacturer={row.text}",))
    return Case(windows, lambda judged: only(judged).ran_on_kvm)


def processor(row: Any) -> Case:
    windows = whole("xp").xen().service(row.service, 1)
    return Case(windows, lambda judged: edits(judged, rf"Services\{row.service}", row.start), bus=Bus.IDE)


def stock_filter(row: Any) -> Case:
    """Gone from its list, it comes back when that is asked for."""
    guid = row.class_guid.upper()
    windows = windows_in(row).no_list(guid, row.side.value)
    return Case(windows, lambda judged: edits(judged, guid), fixes=Fixes(frozenset({Fix.STOCK_FILTERS})))


def with_virtio(generation: str) -> Windows:
    """A Windows with active Xen drivers that can also start from a disk of virtio."""
    return whole(generation).xen().service("viostor", 0).match(r"PCI\VEN_1AF4&DEV_1001", "oem1.inf", "viostor")


def san_policy(row: Any) -> Case:
    """Told under its name where a data disk would stay offline on the bus; under one that keeps none offline nothing is told."""
    windows = with_virtio("10").control_set(first_start=replace(FIRST_START, san_policy=row.number))

    def look(judged: Judgement) -> object:
        told = [dict(note.details) for note in only(judged).notes if note.kind is NoteKind.DATA_DISKS_OFFLINE]
        return any(each["policy"] == row.name for each in told) if row.offline else not told

    return Case(windows, look, MachineType.I440FX, Bus.VIRTIO_BLK, data_disk=True)


def san_default(row: Any) -> Case:
    """Without a value of its own, Windows has this policy."""
    name = next(each.name for each in KNOWLEDGE.san_policies if each.number == row.policy)
    windows = with_virtio("10").on_server(row.server)
    windows.control_set(first_start=replace(FIRST_START, san_policy=Missing.ABSENT))

    def look(judged: Judgement) -> object:
        told = [dict(note.details)["policy"] for note in only(judged).notes if note.kind is NoteKind.DATA_DISKS_OFFLINE]
        return not told if name == "OnlineAll" else told == [name]

    return Case(windows, look, MachineType.I440FX, Bus.VIRTIO_BLK, data_disk=True)


def unfinished_tool(row: Any) -> Case:
    windows = whole("10").service(row.service, 2, image_path=rf"C:\x\{row.images[0]}.exe -s x")
    return Case(windows, lambda judged: row.service in note_subjects(judged, NoteKind.UNFINISHED_TOOL))


def critical_mistake(row: Any) -> Case:
    place = KeyPath(rf"ControlSet001\Control\CriticalDeviceDatabase\{row.id}")
    windows = whole("xp").control_set(critical_devices=(CriticalDevice(row.id, place, row.service, ""),))
    return Case(windows, lambda judged: row.id in note_subjects(judged, NoteKind.CRITICAL_MISTAKE))


def family(row: Any) -> Case:
    """Only what is said of a family's drivers as a whole can be judged: that they drive virtio too."""
    service = next(each for each in KNOWLEDGE.xen_services if row.id in each.families)
    return Case(whole("10").service(service.name, 0), lambda judged: note_subjects(judged, NoteKind.DUAL_USE_DRIVER))


def network_card(row: Any) -> Case:
    windows = windows_in(row).service(row.installed or "somebody", 3, file_seen=True)
    return Case(windows, lambda judged: row.model in only(judged).cards)


def guard(row: Any) -> Case:
    windows = whole("10").xen().service("watcher", 1, image_path=rf"\SystemRoot\System32\drivers\{row.files[-1].upper()}")
    return Case(windows, lambda judged: row.product in note_subjects(judged, NoteKind.GUARD_AT_START))


CASES: dict[str, Callable[[Any], Case]] = {
    "families": family,
    "xen_services": xen_service,
    "xen_filters": xen_filter,
    "xen_devices": xen_device,
    "xen_settings": xen_setting,
    "controllers": controller,
    "emulated": emulated,
    "boot_services": boot_service,
    "classes": device_class,
    "critical_rows": critical_row,
    "article": article_step,
    "kvm_traces": kvm_trace,
    "processors": processor,
    "network_cards": network_card,
    "guards": guard,
    "stock_filters": stock_filter,
    "san_policies": san_policy,
    "san_defaults": san_default,
    "unfinished_tools": unfinished_tool,
    "critical_mistakes": critical_mistake,
}
ROWS = [
    pytest.param(table.field, row, id=label(table, number, getattr(row, table.key[0])))
    for table in TABLES
    for number, row in enumerate(getattr(KNOWLEDGE, table.field), 1)
    if table.heading != "family" or row.dual_use
]


@pytest.mark.parametrize(("field", "row"), ROWS)
def test_a_row_makes_a_difference(field: str, row: Any):
    case = CASES[field](row)
    assert case.look(judged(case, case.knowledge)), "the row does not do what it is for"
    others = tuple(each for each in getattr(case.knowledge, field) if each is not row)
    assert not case.look(judged(case, replace(case.knowledge, **{field: others}))), "the same without the row"


@pytest.mark.parametrize("row", KNOWLEDGE.families, ids=lambda row: row.id)
def test_a_family_is_leaned_on_by_its_services(row: Any):
    assert [each.name for each in KNOWLEDGE.xen_services if row.id in each.families]
    entries = [
        Entry(table, "own.toml", number, each)
        for table in TABLES
        for number, each in enumerate(getattr(KNOWLEDGE, table.field), 1)
        if each is not row
    ]
    assert any(row.id in problem for _, _, problem in cross_problems(entries))


def test_the_documented_example_mends_what_it_is_for():
    text = (Path(__file__).resolve().parents[2] / "docs" / "knowledge.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    windows = whole("10").filters(SYSTEM, "upper", "ACMEFILT").service("acmebus", 0).service("acmefilt", 0)
    windows.service("GuestHelper", 2, image_path=r'"C:\Program Files\Acme\XenTools\helper.exe"')
    before = judge(windows.facts(), Machine(), KNOWLEDGE)
    after = judge(windows.facts(), Machine(), load_knowledge([("acme.toml", example)]))
    assert (before.verdict, after.verdict) == (Verdict.HEALTHY, Verdict.REPAIRABLE)
    assert edits(after, rf"Control\Class\{SYSTEM}")
    assert all(edits(after, rf"Services\{name}", 4) for name in ("acmebus", "acmefilt", "GuestHelper"))


def test_every_table_has_a_case():
    assert set(CASES) == {table.field for table in TABLES}


def whole(generation: str) -> Windows:
    """A Windows that starts from IDE, with every service and list that the tables ask of its version."""
    windows = Windows(generation)
    for row in KNOWLEDGE.boot_services:
        if row.nt_from <= windows.version <= row.nt_to:
            windows.service(row.service, 0)
    for row in KNOWLEDGE.stock_filters:
        if row.nt_from <= windows.version <= row.nt_to:
            windows.filters(row.class_guid.upper(), row.side.value, *row.names)
            windows.service(row.names[0], 0)
    return windows


def judged(case: Case, knowledge: Knowledge) -> Judgement:
    facts = case.windows.facts()
    if case.data_disk:
        empty = Windows().disk_facts(2)
        facts = replace(facts, disks=(*facts.disks, empty))
    return judge(facts, Machine(board=case.board), knowledge, bus=case.bus, fixes=case.fixes)


def only(judgement: Judgement) -> InstallationJudgement:
    (installation,) = judgement.installations
    return installation


def edits(judgement: Judgement, place: str, start: int | None = None) -> list[Edit]:
    """Edits at a key that ends so, without case; with `start`, only those that set Start to it."""
    every = [edit for part in judgement.plan.installations for edit in part.edits]
    found = [edit for edit in every if edit.key.lower().endswith(place.lower())]
    if start is None:
        return found
    return [edit for edit in found if edit.after and edit.after.data == start.to_bytes(4, "little")]


def chain(judgement: Judgement, bus: Bus) -> Chain:
    return next(each for each in only(judgement).chains if each.bus is bus)


def state(judgement: Judgement, bus: Bus, name: str) -> LinkState:
    return next(link.state for link in chain(judgement, bus).links if link.name.value == name)


def judged_findings(judgement: Judgement) -> list[Any]:
    return [each for found in only(judgement).chains for link in found.links for each in link.findings]


def findings(judgement: Judgement, subject: str, kind: FindingKind) -> bool:
    return any(each.subject == subject and each.kind is kind for each in judged_findings(judgement))


def note_subjects(judgement: Judgement, kind: NoteKind) -> list[str]:
    return [note.subject for note in only(judgement).notes if note.kind is kind]


def windows_in(row: Any) -> Windows:
    """A Windows of a version that the row is for."""
    fitting = [name for name, version in GENERATIONS.items() if row.nt_from <= version <= row.nt_to]
    return whole("10" if "10" in fitting else fitting[0])
