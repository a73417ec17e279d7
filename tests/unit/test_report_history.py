# SPDX-License-Identifier: Apache-2.0
"""What was done and refused is remembered, and shown together as text and as one page that asks nothing of anybody."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from generators import outcomes
from published import checked
from unxen.cli.main import main
from unxen.journal.history import forget, past_outcomes, remember
from unxen.journal.store import open_journal
from unxen.model.history import PastOutcome, newest_of_each
from unxen.model.judgement import LinkName, Verdict
from unxen.model.outcome import Outcome
from unxen.model.reason import ReasonKind, reason
from unxen.model.settings import Settings
from unxen.report.html import page
from unxen.report.json import dumps
from unxen.report.layout import Style
from unxen.report.text_history import overview
from unxen.workflow.history import history, remember_outcome

NOON = 1_790_000_000.0
HIBERNATED = reason(ReasonKind.HIBERNATED, outcomes.ID)


def past(number: int, outcome: Outcome, at: float = NOON) -> PastOutcome:
    return PastOutcome(number, at, json.loads(dumps(outcome)))


def named(name: str, outcome: Outcome) -> Outcome:
    return replace(outcome, target=(name,))


EVERY = {
    "repaired": outcomes.repaired(),
    "healthy": outcomes.healthy(),
    "repairable": outcomes.repairable(),
    "refused": outcomes.refused(HIBERNATED),
    "failed": outcomes.bare(reason(ReasonKind.DEFECT)),
    "no-windows": outcomes.no_windows(),
    "undone": replace(outcomes.healthy("undo"), verdict=Verdict.REPAIRED),
}


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_last_outcome_of_each_guest_counts_and_the_newest_comes_first() -> None:
    rows = tuple(
        past(at, named(name, EVERY[kind]), at)
        for at, name, kind in ((1, "a", "refused"), (2, "b", "healthy"), (3, "a", "repaired"))
    )
    assert [(each.guest, each.verdict) for each in newest_of_each(rows)] == [(("a",), "repaired"), (("b",), "healthy")]


def test_page_is_the_golden_one(golden) -> None:
    rows = [past(number, named(name, outcome), NOON + number) for number, (name, outcome) in enumerate(EVERY.items(), 1)]
    golden(Path("cases/report/page.html"), page(rows, NOON + 100))


@pytest.mark.parametrize("name", EVERY)
def test_every_kind_of_outcome_makes_a_page_that_names_nothing_from_elsewhere(name: str) -> None:
    tags = Tags(page([past(1, EVERY[name])], NOON)).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "embed", "form", "base"}
    for _, attributes in tags:
        assert not {each for each in attributes if each.startswith("on") or each == "src"}
        assert (attributes.get("href") or "#").startswith("#")


def test_boot_path_is_drawn_before_and_after_a_repair() -> None:
    made = Tags(page([past(1, EVERY["repaired"])], NOON))
    states = [str(found["class"]) for tag, found in made.tags if tag == "li" and "class" in found]
    half = len(LinkName)
    assert "broken" in states[-2 * half : -half]
    assert set(states[-half:]) == {"holds"}


def test_page_says_why_a_guest_was_refused_and_what_to_do() -> None:
    text = " ".join(Tags(page([past(1, EVERY["refused"])], NOON)).text.split())
    assert "hibernated" in text
    assert "powercfg /h off" in text


def test_name_that_is_markup_is_only_text() -> None:
    name = "</td><script>alert(1)</script>&amp;\x1b[2J\u202e"
    made = Tags(page([past(1, named(name, EVERY["repaired"]))], NOON))
    assert "script" not in {tag for tag, _ in made.tags}
    assert "</td><script>alert(1)</script>&amp;\\x1b[2J\\u202e" in made.text


def test_overview_counts_and_names_the_remedy() -> None:
    shown = overview([past(1, named("a", EVERY["refused"])), past(2, named("b", EVERY["repaired"]))], Style(width=200))
    assert shown.splitlines()[0] in ("1 refused, 1 repaired", "1 repaired, 1 refused")
    assert "b: repaired on sata" in shown
    assert "remedy: " in shown
    assert overview([], Style()) == "nothing was repaired or refused here yet\n"


def test_document_of_a_meddled_journal_cannot_steer_a_terminal() -> None:
    row = past(1, EVERY["refused"])
    row.document["target"] = ["\x1b[31mred"]
    row.document["reasons"][0]["what"] = "\x1b]0;title\x07"
    assert "\x1b" not in overview([row], Style())


def test_what_was_told_is_remembered_until_it_is_too_old(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        remember(journal, dumps(EVERY["refused"]), NOON - 10 * 86400)
        remember(journal, dumps(EVERY["repaired"]), NOON)
        assert [each.verdict for each in past_outcomes(journal)] == ["refused", "repaired"]
        assert [each.verdict for each in past_outcomes(journal, NOON - 86400)] == ["repaired"]
        assert forget(journal, 9, NOON) == 1
        assert [each.verdict for each in past_outcomes(journal)] == ["repaired"]


def test_trial_run_is_not_remembered_and_a_question_makes_no_journal(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "state")
    remember_outcome(replace(EVERY["repairable"], dry_run=True), settings)
    assert history(settings) == ()
    assert not settings.state_dir.exists()


def test_journal_that_cannot_be_written_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    remember_outcome(EVERY["repaired"], Settings(tmp_path / "state"))


def test_refusal_at_the_command_line_is_in_the_report_and_a_typing_mistake_is_not(tmp_path: Path, capsys) -> None:
    missing = str(tmp_path / "missing.qcow2")
    assert main(["repair", missing]) == 10
    assert main(["repair", str(tmp_path / "no-format")]) == 2
    assert main(["report", "--json"]) == 0
    (row,) = checked("report", capsys.readouterr().out)["guests"]
    assert (row["outcome"]["target"], row["outcome"]["exit_code"]) == ([missing], 10)
    assert main(["report", "another"]) == 0
    assert "nothing was repaired" in capsys.readouterr().out


def test_page_goes_to_the_file_named_or_says_why_not(tmp_path: Path, capsys) -> None:
    assert main(["report", "--html", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert main(["report", "--html", str(tmp_path / "none" / "page.html")]) == 11
    assert "page.html" in capsys.readouterr().err
