# SPDX-License-Identifier: Apache-2.0
"""A person reads the verdict first, then why, then what to do; in eighty columns and without a guest's tricks."""

import re
from dataclasses import replace

import pytest
from generators import outcomes
from unxen.model.hive_facts import LogEnd, ReplayFacts
from unxen.model.ids import Bus, KeyPath
from unxen.model.judgement import Note, NoteKind, Verdict
from unxen.model.reason import ReasonKind, reason
from unxen.report.layout import Context, Style, wrapped
from unxen.report.messages import tell_note
from unxen.report.text import headline, render
from unxen.report.text_xen import grouped

COLOUR = re.compile(r"\x1b\[\d+m")
FAMILIES = {"xcpng8": "XCP-ng 8", "citrix8": "Citrix 8", "gplpv": "GPLPV"}
EVERY = [
    outcomes.repairable(),
    outcomes.repairable("plan"),
    outcomes.healthy(),
    outcomes.repaired(),
    outcomes.refused(reason(ReasonKind.HIBERNATED, outcomes.ID)),
    outcomes.bare(reason(ReasonKind.TOOL_MISSING, "qemu-nbd", package="qemu-utils")),
    outcomes.no_windows(),
]


def text_of(outcome, **style) -> str:
    return render(outcome, Context(Style(**style), FAMILIES))


@pytest.mark.parametrize("outcome", EVERY, ids=lambda each: f"{each.verb}-{each.verdict.value}")
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(outcome, width: int) -> None:
    lines = text_of(outcome, width=width, hard=True).splitlines()
    assert [line for line in lines if len(line) > width and "\\" not in line] == []
    assert text_of(outcome, width=width, colour=True, hard=True).replace("\x1b[1m", "").count("\n") == len(lines)


@pytest.mark.parametrize("outcome", EVERY, ids=lambda each: f"{each.verb}-{each.verdict.value}")
def test_colours_change_nothing_but_colours(outcome) -> None:
    assert COLOUR.sub("", text_of(outcome, colour=True)) == text_of(outcome, colour=False)
    assert "\x1b" not in text_of(outcome, colour=False)


@pytest.mark.parametrize("outcome", EVERY, ids=lambda each: f"{each.verb}-{each.verdict.value}")
def test_plain_terminal_gets_plain_letters(outcome) -> None:
    assert text_of(outcome, unicode=False).isascii()


def test_repairable_disk_shows_verdict_link_and_next_command() -> None:
    text = text_of(outcomes.repairable(), width=100)
    assert text.splitlines()[0] == "windows.qcow2: would stop with 0x7B INACCESSIBLE_BOOT_DEVICE on sata; can be repaired"
    assert "Windows 10 Pro, version 10.0.19041, amd64, in \\Windows on disk 1, partition 1" in text
    assert "✗ disk controller     the driver storahci is switched off by its StartOverride key (0 = 3)" in text
    assert "✓ disk and volume     disk, partmgr, volmgr, mountmgr, volsnap, fvevol" in text
    assert "unxen repair windows.qcow2" in text


def test_first_broken_link_is_the_one_explained() -> None:
    after = text_of(outcomes.repairable()).partition("Why it would stop\n")[2]
    assert after.lstrip().startswith("system buses: the Xen filter XENFILT")


def test_every_bus_is_listed_with_what_stands_in_its_way() -> None:
    text = text_of(outcomes.repairable()).partition("  Buses\n")[2]
    assert re.search(r"sata +can be made to start\n.*ide +starts as it is\n.*virtio-blk +the driver viostor is not installed", text)


def test_plan_tells_edits_of_both_control_sets_once() -> None:
    text = text_of(outcomes.repairable("plan"), width=100)
    assert text.count("UpperFilters: XENFILT, other → other") == 1
    assert r"ControlSet001+002\Control\Class\{4D36E97D-E325-11CE-BFC1-08002BE10318}" in text
    assert "[article:8]" in text


def test_plan_tells_required_from_accompanying() -> None:
    text = text_of(outcomes.repairable("plan"), width=100)
    assert r"✗ ControlSet001\Services\xenbus" in text
    assert r"· ControlSet001\Services\xennet" in text


def test_repaired_disk_shows_what_was_done_and_the_way_back() -> None:
    text = text_of(outcomes.repaired(), width=100)
    assert "repaired" in text.splitlines()[0]
    for part in ("6 changes in 1 hive", "by a guestfs appliance", "unxen undo windows.qcow2", "attach on   sata"):
        assert part in text


def test_refusal_shows_cause_and_remedy() -> None:
    text = text_of(outcomes.bare(reason(ReasonKind.TOOL_MISSING, "qemu-nbd", package="qemu-utils")))
    assert text.startswith("windows.qcow2: refused: the program qemu-nbd is missing\n")
    assert "remedy:" in text
    assert "apt install qemu-utils" in text


def test_name_of_the_disk_is_not_said_twice() -> None:
    text = text_of(outcomes.bare(reason(ReasonKind.DISK_MISSING, "windows.qcow2")))
    assert text.startswith("windows.qcow2: refused: does not exist\n")


def test_dry_run_says_that_the_disk_is_unchanged() -> None:
    text = text_of(replace(outcomes.repairable("repair"), dry_run=True), width=120)
    assert "the disk is unchanged" in " ".join(text.split())


def test_broken_bus_of_a_guest_that_is_left_alone_is_not_called_healthy() -> None:
    outcome = replace(outcomes.healthy(), judgement=outcomes.judgement(Verdict.HEALTHY, outcomes.broken_chain(Bus.SATA)))
    said = text_of(outcome, width=200)
    assert "healthy" not in said
    assert "no Xen drivers are in the way, but Windows would not start from sata as it is; unxen inspect --bus sata tells" in said


def test_quiet_is_the_verdict_alone() -> None:
    assert headline(outcomes.healthy(), Context()).count("\n") == 1


def test_guests_strings_cannot_steer_the_terminal() -> None:
    nasty = "evil\x1b]0;owned\x07\u202e\r\n"
    outcome = outcomes.repairable("plan")
    edit = replace(outcomes.edits()[0], key=KeyPath(f"ControlSet001\\{nasty}"), value_name=nasty, before=outcomes.multi(nasty))
    judged = outcomes.judgement(Verdict.REPAIRABLE, outcomes.broken_chain(Bus.SATA), plan=(edit,))
    shown = text_of(replace(outcome, facts=outcomes.facts(nasty, f"\\{nasty}"), judgement=judged, target=(nasty,)))
    assert all(line.isprintable() for line in shown.splitlines())
    assert "\\x1b]0;owned\\x07\\u202e\\x0d\\x0a" in shown.replace("\n        ", "")


def test_absurdly_long_names_are_cut() -> None:
    shown = text_of(replace(outcomes.repairable(), facts=outcomes.facts("W" * 100_000)))
    assert len(shown) < 8000


def test_families_that_explain_most_are_named_and_no_more() -> None:
    findings = outcomes.repairable().judgement.installations[0].xen
    assert [(families, len(found)) for families, found in grouped(findings)] == [(("xcpng8",), 2), (("gplpv",), 1)]


def test_target_with_spaces_can_be_pasted() -> None:
    outcome = replace(outcomes.repairable(), target=("my disk.qcow2",))
    assert "unxen repair 'my disk.qcow2'" in text_of(outcome)


def test_notes_of_several_installations_say_whose_they_are() -> None:
    outcome = outcomes.repaired()
    one = replace(outcome.judgement.installations[0], verdict=Verdict.REPAIRABLE)
    other = replace(one, installation=r"1:2:\OTHER", notes=())
    text = text_of(replace(outcome, judgement=replace(outcome.judgement, installations=(one, other))), width=100)
    assert r"- 1:1:\Windows: the services of the classic how-to: iaStorV not installed." in text
    assert r"repaired [1:2:\OTHER]" in text


def with_hive(outcome, **changes):
    facts = outcome.facts
    (seen,) = facts.installations
    return replace(outcome, facts=replace(facts, installations=(replace(seen, hive=replace(seen.hive, **changes)),)))


def test_repair_of_a_dirty_hive_says_that_its_logs_are_in_it_now() -> None:
    replayed = ReplayFacts(24, 24, 2130, LogEnd.NO_MORE, "SYSTEM.LOG2", "")
    said = "and what its logs held, nothing else on the disk"
    assert said in text_of(with_hive(outcomes.repaired(), primary=8, replay=replayed), width=120)
    assert said not in text_of(outcomes.repaired(), width=120)


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (
            Note(NoteKind.HIVE_REPLAYED, "SYSTEM.LOG1", (("applied", "4"), ("found", "4"), ("lost", "nothing"))),
            ["4 of 4 entries", "(SYSTEM.LOG1)", "nothing was lost"],
        ),
        (
            Note(
                NoteKind.HIVE_REPLAYED,
                "SYSTEM.LOG1",
                (("applied", "1"), ("found", "4"), ("ended", "damaged-data"), ("log", "SYSTEM.LOG1"), ("last", "7")),
            ),
            ["1 of 4 entries", "behind entry 7", "in SYSTEM.LOG1 the data of the next entry does not verify"],
        ),
        (
            Note(NoteKind.HIVE_STALE, "", (("logs", "SYSTEM.LOG1=stale, SYSTEM.LOG2=empty"), ("newest", "2015-12-12 03:30 UTC"))),
            ["SYSTEM.LOG1: older than the hive, SYSTEM.LOG2: empty", "is lost", "2015-12-12 03:30 UTC"],
        ),
    ],
)
def test_state_of_the_hive_is_told_in_words(note, words) -> None:
    assert [each for each in words if each not in tell_note(note)] == []


def test_text_without_room_behind_its_label_goes_on_below() -> None:
    words = " ".join(["word"] * 12)
    assert {len(line) - len(line.lstrip()) for line in wrapped(Style(width=80), words, "    ? label           ")} == {4, 22}
    narrow = wrapped(Style(width=40), words, "    ? label           ")
    assert {len(line) - len(line.lstrip()) for line in narrow} == {4, 8}
    assert all(len(line) <= 40 for line in narrow)
    assert wrapped(Style(width=40), words, " " * 24)[0].startswith("        word")
