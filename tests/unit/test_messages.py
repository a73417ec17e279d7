# SPDX-License-Identifier: Apache-2.0
"""Every kind that unxen can name has its sentence, and every refusal says what to do."""

import re
from collections.abc import Mapping
from enum import Enum
from importlib.resources import files

import pytest
from unxen.model.definition import DefinitionPart
from unxen.model.edit import Action
from unxen.model.hive_facts import LogEnd, LogUse
from unxen.model.judgement import Finding, FindingKind, LinkName, LinkState, Note, NoteKind, Verdict, XenPart
from unxen.model.progress import Part, Remark, Step
from unxen.model.reason import ReasonKind, reason
from unxen.model.start import StartRisk
from unxen.report import finding_messages, note_messages, start_messages, step_messages
from unxen.report.first_start_messages import FIRST_START_TEXTS
from unxen.report.messages import tell_finding, tell_note, tell_reason, tell_remark
from unxen.report.reason_messages import REASON_TEXTS
from unxen.report.template import fill, names_in

TABLES: list[tuple[type[Enum], Mapping]] = [
    (ReasonKind, REASON_TEXTS),
    (FindingKind, finding_messages.FINDING_TEXTS),
    (LinkName, finding_messages.LINK_TITLES),
    (LinkName, finding_messages.LINK_NEEDS),
    (XenPart, finding_messages.XEN_PARTS),
    (NoteKind, {**note_messages.NOTE_TEXTS, **FIRST_START_TEXTS}),
    (LogUse, note_messages.LOG_USES),
    (LogEnd, note_messages.LOG_ENDS),
    (Step, step_messages.STEP_TITLES),
    (Part, step_messages.PART_TITLES),
    (Action, step_messages.ACTION_WORDS),
    (Verdict, step_messages.VERDICT_WORDS),
    (DefinitionPart, step_messages.DEFINITION_PARTS),
    (StartRisk, start_messages.START_TEXTS),
]


@pytest.mark.parametrize(("kind", "table"), TABLES, ids=lambda each: getattr(each, "__name__", ""))
def test_table_has_one_row_for_every_member(kind: type[Enum], table: Mapping) -> None:
    assert set(table) == set(kind)


@pytest.mark.parametrize("kind", ReasonKind)
def test_reason_without_any_field_is_still_a_sentence_with_a_remedy(kind: ReasonKind) -> None:
    told = tell_reason(reason(kind))
    assert told.what
    assert len(told.remedy) > 15
    assert "{" not in told.what + told.cause + told.remedy
    assert "[" not in told.what + told.cause + told.remedy


@pytest.mark.parametrize("kind", ReasonKind)
def test_every_field_that_a_reason_names_is_shown(kind: ReasonKind) -> None:
    row = REASON_TEXTS[kind]
    names = names_in(row.what + row.cause + row.remedy) - {"subject", "trouble", "accept"}
    told = tell_reason(reason(kind, "the-subject", **{name: f"<{name}>" for name in names}))
    shown = told.what + told.cause + told.remedy
    assert [name for name in names if f"<{name}>" not in shown] == []


@pytest.mark.parametrize("kind", [ReasonKind.VOLUME_DIRTY, ReasonKind.JOURNAL_UNCLEAN])
def test_an_option_is_named_only_where_it_helps(kind: ReasonKind) -> None:
    option = "--accept-unclean-volume"
    assert option in tell_reason(reason(kind, "x")).remedy
    for obstacle in ("growth", "appliance", "bins", "pending"):
        assert option not in tell_reason(reason(kind, "x", obstacle=obstacle)).remedy
    assert "--fix" in tell_reason(reason(kind, "x", obstacle="growth")).remedy


@pytest.mark.parametrize("kind", FindingKind)
def test_finding_is_told_with_and_without_fields(kind: FindingKind) -> None:
    bare = tell_finding(Finding(kind, LinkState.BROKEN, ""))
    names = names_in(finding_messages.FINDING_TEXTS[kind])
    full = tell_finding(Finding(kind, LinkState.BROKEN, "<subject>", details=tuple((name, f"<{name}>") for name in names)))
    assert bare
    assert not set("{}[]") & set(bare + full)
    assert all(f"<{name}>" in full for name in names)


@pytest.mark.parametrize("kind", NoteKind)
def test_note_is_told_with_and_without_fields(kind: NoteKind) -> None:
    assert tell_note(Note(kind))
    assert not set("{}[]") & set(tell_note(Note(kind, "subject")))


def test_only_a_full_state_directory_is_told_to_be_put_elsewhere() -> None:
    kind = ReasonKind.NO_SPACE
    assert "UNXEN_STATE_DIR" in tell_reason(reason(kind, "/var/lib/unxen", setting="UNXEN_STATE_DIR")).remedy
    assert "Make room there; no disk was changed." in tell_reason(reason(kind, "/srv/images")).remedy


def test_unknown_remark_is_told_by_its_name() -> None:
    assert tell_remark(Remark("odd-thing", (("cause", "x"),))) == "odd-thing: x"


def test_fields_are_letters_not_templates() -> None:
    assert fill("{a} [{b}]", {"a": "{b} [x] {0.__class__}", "b": "\x1b"}) == "{b} [x] {0.__class__} \\x1b"


def test_optional_part_disappears_without_its_field() -> None:
    assert fill("a[: {b}] c", {}) == "a c"
    assert fill("a[: {b}] {c}", {"b": "B"}) == "a: B ?"


def test_templates_are_balanced() -> None:
    texts = [text for row in REASON_TEXTS.values() for text in (row.what, row.cause, row.remedy)]
    texts += [*finding_messages.FINDING_TEXTS.values(), *note_messages.NOTE_TEXTS.values(), *note_messages.REMARK_TEXTS.values()]
    texts += FIRST_START_TEXTS.values()
    for text in texts:
        assert re.sub(r"\[[^\[\]]*\]", "", text).count("[") == 0, text
        assert text.count("{") == text.count("}"), text


def test_every_rule_has_a_title() -> None:
    sources = [each.read_text() for each in files("unxen.plan.rules").iterdir() if each.name.endswith(".py")]
    rules = {name for source in sources for name in re.findall(r'^RULE = "(\w+)"', source, re.MULTILINE)}
    assert rules == set(step_messages.RULE_TITLES)


def test_refusal_of_a_bus_names_what_is_broken_in_words() -> None:
    details = {"bus": "virtio-blk", "link": "controller", "finding": "service-absent", "about": "viostor"}
    told = tell_reason(reason(ReasonKind.BUS_NOT_POSSIBLE, r"1:1:\Windows", **details))
    assert told.what == r"1:1:\Windows cannot be made to start from virtio-blk"
    assert told.cause == "The link 'disk controller' is broken: the driver viostor is not installed."


def test_dangling_filter_says_why_it_cannot_load() -> None:
    told = tell_reason(reason(ReasonKind.DANGLING_FILTER, "stdcfltn", key="KEY", side="lower", cause="file-absent"))
    assert told.what.startswith("the filter driver stdcfltn is in the lower filters")
    assert told.cause.startswith("In KEY: the file of its driver is missing. It is not a Xen driver")
