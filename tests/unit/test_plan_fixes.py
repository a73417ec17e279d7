# SPDX-License-Identifier: Apache-2.0
"""What is mended only on request: asked for it is reason enough, configured it rides along, and done it is not done again."""

from dataclasses import replace

import pytest
from generators.hives import add_family, plant
from unit.facts_builder import DISK, KEYBOARD, SMALL_KNOWLEDGE, Windows
from unit.hive_guest import every_file, guest, judged
from unxen.model.edit import Action, Edit
from unxen.model.first_start_facts import FirstStartFacts
from unxen.model.fix import Fix, Fixes, fixes
from unxen.model.guest import Machine
from unxen.model.hive_facts import HiveFacts
from unxen.model.ids import Architecture, Bus, KeyPath, Missing
from unxen.model.judgement import Judgement, NoteKind, Verdict
from unxen.model.machine import Clock
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import RegistryValue
from unxen.plan.filter_lists import names, with_names
from unxen.plan.judge import judge
from unxen.registry.changes import deviations, expected_changes
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive

ROOT = "ControlSet001"
SERVER = FirstStartFacts(
    san_key=KeyPath(rf"{ROOT}\Services\partmgr\Parameters"),
    san_policy=2,
    universal_clock=Missing.ABSENT,
    time_zone="W. Europe Standard Time",
    crash_key=KeyPath(rf"{ROOT}\Control\CrashControl"),
    auto_reboot=1,
    cluster=False,
)
EVERY = fixes(Fix, ())


def windows(generation: str = "10", **changes: object) -> Windows:
    """A Windows with settings of a server."""
    return Windows(generation).control_set(first_start=replace(SERVER, **changes))


def decided(made: Windows, wanted: Fixes, machine: Machine = Machine(), **options: object) -> Judgement:  # noqa: B008
    return judge(made.facts(), machine, SMALL_KNOWLEDGE, fixes=wanted, **options)  # type: ignore[arg-type]


def edits(judgement: Judgement) -> dict[str, Edit]:
    return {f"{each.rule} {each.value_name}": each for part in judgement.plan.installations for each in part.edits}


def left_out(judgement: Judgement) -> list[tuple[str, str]]:
    notes = [note for each in judgement.installations for note in each.notes if note.kind is NoteKind.FIX_LEFT_OUT]
    return [(note.subject, dict(note.details)["cause"]) for note in notes]


def test_asked_for_alone_it_is_the_whole_plan() -> None:
    judgement = decided(windows(), EVERY)
    assert (judgement.verdict, judgement.fixes_only, judgement.plan.bus) == (Verdict.REPAIRABLE, True, Bus.UNKNOWN)
    assert set(edits(judgement)) == {"data_disks SanPolicy", "crash_screen AutoReboot"}
    assert all(each.required for each in edits(judgement).values())


def test_with_a_bus_asked_for_it_goes_with_what_the_bus_needs() -> None:
    judgement = decided(windows().service("storahci", 3), EVERY, bus=Bus.SATA)
    assert not judgement.fixes_only
    assert {"data_disks SanPolicy", "crash_screen AutoReboot", "inbox_controllers Start"} <= set(edits(judgement))


def test_configured_it_waits_for_a_repair() -> None:
    configured = fixes((), Fix)
    assert decided(windows(), configured).verdict is Verdict.HEALTHY
    along = decided(windows().xen(), configured)
    assert {"data_disks SanPolicy", "crash_screen AutoReboot"} <= set(edits(along))
    assert not edits(along)["data_disks SanPolicy"].required


def test_what_was_asked_for_is_not_riding_too() -> None:
    assert fixes([Fix.CLOCK], [Fix.CLOCK, Fix.DATA_DISKS]) == Fixes(frozenset({Fix.CLOCK}), frozenset({Fix.DATA_DISKS}))


def test_nothing_that_rides_along_asks_for_room() -> None:
    """A repair in place must not become one by appliance, or be refused, for what nobody asked for today."""
    made = windows(san_policy=Missing.ABSENT).xen().no_list(KEYBOARD, "upper")
    judgement = decided(made, fixes((), Fix))
    added = [each for each in edits(judgement).values() if each.before is None and each.action is Action.SET_VALUE]
    assert judgement.verdict is Verdict.REPAIRABLE and added == []
    assert left_out(judgement) == [("data-disks", "needs-room"), ("clock", "no-definition"), ("stock-filters", "needs-room")]


def test_a_key_that_is_missing_is_made_and_does_not_decide_about_the_bus() -> None:
    made = windows(san_key=None, san_policy=Missing.ABSENT).xen()
    judgement = decided(made, fixes([Fix.DATA_DISKS], ()), Machine(bus=Bus.IDE, offered=(Bus.SATA, Bus.IDE)))
    actions = [each.action for each in judgement.plan.installations[0].edits if each.rule == "data_disks"]
    assert (judgement.bus, actions) == (Bus.IDE, [Action.CREATE_KEY, Action.SET_VALUE])


@pytest.mark.parametrize(
    ("changes", "generation", "cause"),
    [
        ({"cluster": True}, "10", "cluster"),
        ({"san_policy": Missing.UNREADABLE}, "10", "no-number"),
        ({}, "xp", "no-san-policy"),
    ],
)
def test_what_cannot_be_done_is_said(changes, generation, cause) -> None:
    judgement = decided(windows(generation, **changes), fixes([Fix.DATA_DISKS], ()))
    assert (judgement.verdict, left_out(judgement)) == (Verdict.HEALTHY, [("data-disks", cause)])


def test_a_stop_code_without_its_value_is_left() -> None:
    judgement = decided(windows(auto_reboot=Missing.ABSENT), fixes([Fix.CRASH_SCREEN], ()))
    assert left_out(judgement) == [("crash-screen", "no-value")]
    assert decided(windows(auto_reboot=0), fixes([Fix.CRASH_SCREEN], ())).verdict is Verdict.HEALTHY


def test_the_partition_manager_comes_back_and_makes_the_boot_path_whole() -> None:
    gone = windows().xen().no_list(DISK, "upper")
    without = decided(gone, fixes((), ()))
    assert [each.kind for each in without.reasons] == [ReasonKind.STOCK_FILTER_MISSING, ReasonKind.NO_BOOTABLE_BUS]
    judgement = decided(gone, fixes([Fix.STOCK_FILTERS], ()))
    assert judgement.verdict is Verdict.REPAIRABLE
    assert names(edits(judgement)["stock_filters UpperFilters"].after) == ("partmgr",)


def test_a_filter_whose_driver_would_not_load_is_not_listed() -> None:
    gone = windows().no_list(DISK, "upper").service("partmgr", 3)
    judgement = decided(gone, fixes([Fix.STOCK_FILTERS], ()))
    assert (judgement.plan.empty, left_out(judgement)) == (True, [("stock-filters", "filter-not-ready")])


def test_a_list_that_nobody_understands_stays() -> None:
    odd = RegistryValue(3, b"\1\2\3")
    judgement = decided(windows().filters(KEYBOARD, "upper", value=odd).service("kbdclass", 3), fixes([Fix.STOCK_FILTERS], ()))
    assert left_out(judgement) == [("stock-filters", "odd-list")]


def test_the_version_must_be_known() -> None:
    made = windows().no_list(KEYBOARD, "upper").service("kbdclass", 3)
    made.version = (0, 0, 0)
    assert "stock_filters UpperFilters" not in edits(decided(made, EVERY))


def test_what_is_never_edited_is_not_edited_for_this() -> None:
    made = windows()
    made.architecture = Architecture.ARM64
    judgement = decided(made, EVERY)
    assert (judgement.verdict, judgement.reasons[0].kind) == (Verdict.REFUSED, ReasonKind.WINDOWS_UNSUPPORTED)


@pytest.mark.parametrize(
    ("shown", "said", "told"),
    [
        (Clock.UTC, Missing.ABSENT, "utc"),
        (Clock.LOCALTIME, Missing.ABSENT, None),
        (Clock.UTC, 1, None),
        (Clock.LOCALTIME, 1, "localtime"),
        (Missing.NOT_LOOKED_AT, Missing.ABSENT, ""),
        (Missing.UNREADABLE, Missing.ABSENT, None),
        (Clock.UTC, Missing.UNREADABLE, None),
    ],
)
def test_a_clock_that_differs_is_told(shown, said, told) -> None:
    judgement = decided(windows(universal_clock=said).xen(), fixes((), ()), Machine(clock=shown))
    found = [
        dict(note.details)["shown"]
        for each in judgement.installations
        for note in each.notes
        if note.kind is NoteKind.CLOCK_DIFFERS
    ]
    assert found == ([] if told is None else [told])


def test_a_hive_that_was_closed_over_its_logs_is_told() -> None:
    """As hivex leaves one whose Windows was not shut down: its numbers are equal, and its logs go on behind them."""
    made = windows()
    hive = HiveFacts(8192, 4096, (1, 5), 2108, 2108, checksum_right=True, highest=2130, logs=(), replay=None)
    for facts, told in ((hive, 1), (replace(hive, highest=2108), 0), (replace(hive, secondary=2107), 0)):
        made.installation["hive"] = facts
        notes = [note for each in decided(made, fixes((), ())).installations for note in each.notes]
        assert [note.kind for note in notes].count(NoteKind.CLOSED_OVER_LOGS) == told


def listed(*entries: str) -> RegistryValue:
    return RegistryValue(7, "".join(f"{each}\0" for each in (*entries, "")).encode("utf-16-le"))


def test_names_go_where_they_belong_among_others() -> None:
    assert with_names(None, ["partmgr"], last=False) == listed("partmgr")
    assert with_names(listed("other"), ["partmgr"], last=False) == listed("partmgr", "other")
    assert with_names(listed("VBoxMouse"), ["mouclass"], last=True) == listed("VBoxMouse", "mouclass")
    assert with_names(listed("a", "other"), ["A", "b", "c"], last=False) == listed("a", "b", "c", "other")
    assert names(with_names(RegistryValue(7, b"\0\0"), ["x"], last=False)) == ("x",)


HIVES = (
    "winxp-sp3-x86-virtualpc-iecompat/SYSTEM",
    "win2003-sp1-x86-vmware-dc/SYSTEM",
    "win10-19041-x64-vmware/SYSTEM",
)
LISTS = "".join(
    f'[ControlSet*\\Control\\Class\\{{{guid}}}]\n"UpperFilters"=-\n'
    for guid in ("4d36e967-e325-11ce-bfc1-08002be10318", "4d36e96b-e325-11ce-bfc1-08002be10318")
)


@pytest.mark.corpus
@pytest.mark.parametrize("name", HIVES)
def test_real_hives_get_their_own_lists_back(corpus, name) -> None:
    """What a mend by hand took from a real hive comes back byte for byte but for letters' case, and every other fix with it."""
    whole = corpus.read(name)
    cut = plant(whole, LISTS)
    judgement = judged(cut, every_file, fixes=EVERY)
    made = [edit for part in judgement.plan.installations for edit in part.edits]
    mended = edit_hive(cut, made, 1 << 20)
    assert deviations(compare(cut, mended), expected_changes(made)) == ()
    assert lists_in(mended) == lists_in(whole) != lists_in(cut)
    again = judged(mended, every_file, fixes=EVERY)
    assert (again.verdict, again.plan.empty) == (Verdict.HEALTHY, True)


def lists_in(hive: bytes) -> dict[str, tuple[int, str]]:
    """Every filter list by its place, without case."""
    system = guest(hive, every_file).installations[0].system
    found = [each for control_set in system.control_sets for each in control_set.filters]
    return {each.key.lower() + each.side.value: (each.value.type, each.value.data.decode("utf-16-le").lower()) for each in found}


@pytest.mark.corpus
def test_fixes_and_a_repair_go_together_on_a_real_hive(corpus) -> None:
    cut = plant(add_family(corpus.read(HIVES[1]), "redhat_xenpv"), LISTS)
    judgement = judged(cut, every_file, fixes=EVERY)
    made = [edit for part in judgement.plan.installations for edit in part.edits]
    assert (judgement.verdict, judgement.fixes_only) == (Verdict.REPAIRABLE, False)
    again = judged(edit_hive(cut, made, 1 << 20), every_file, bus=judgement.bus, fixes=EVERY)
    assert (again.verdict, again.plan.empty) == (Verdict.HEALTHY, True)
    chain = next(chain for chain in again.installations[0].chains if chain.bus is judgement.bus)
    assert chain.whole
