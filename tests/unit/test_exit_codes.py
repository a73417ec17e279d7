# SPDX-License-Identifier: Apache-2.0
"""One table gives the exit codes, and nothing in it is missing, double or undocumented."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from generators import outcomes
from unxen.cli.main import main
from unxen.model.judgement import Verdict
from unxen.model.reason import ReasonKind, reason
from unxen.report.exit_codes import MEANINGS, REASON_CODES, VERDICT_CODES, exit_code, markdown

DESIGNED = {0, 1, 2, 3, 4, *range(10, 19), *range(20, 29), *range(30, 35), *range(40, 45), 50, 51, 130}


def test_every_reason_has_one_row() -> None:
    assert set(REASON_CODES) == set(ReasonKind)


def test_every_verdict_has_one_row() -> None:
    assert set(VERDICT_CODES) == set(Verdict)


def test_every_code_in_use_is_explained_and_every_explained_code_is_in_use() -> None:
    assert set(REASON_CODES.values()) | set(VERDICT_CODES.values()) == set(MEANINGS) == DESIGNED


def test_verdicts_speak_where_no_reason_does() -> None:
    assert exit_code(outcomes.healthy()) == 0
    assert exit_code(outcomes.repaired()) == 0
    assert exit_code(outcomes.repairable()) == 3
    assert exit_code(replace(outcomes.repairable("repair"), dry_run=True)) == 3
    assert exit_code(outcomes.no_windows()) == 4


@pytest.mark.parametrize("kind", ReasonKind)
def test_first_reason_decides(kind: ReasonKind) -> None:
    assert exit_code(outcomes.bare(reason(kind), reason(ReasonKind.DEFECT))) == REASON_CODES[kind]


def test_failed_switch_is_told_of_a_repaired_disk() -> None:
    assert exit_code(replace(outcomes.repaired(), reasons=(reason(ReasonKind.SWITCH_FAILED),))) == 41


def test_documentation_is_the_table() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "exit-codes.md"
    assert page.read_text() == markdown(), "unxen exit-codes --markdown > docs/exit-codes.md"


def test_verb_prints_every_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exit-codes"]) == 0
    assert [int(line.split()[0]) for line in capsys.readouterr().out.splitlines()] == sorted(MEANINGS)


def test_programs_get_the_same_table(capsys) -> None:
    assert main(["exit-codes", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["exit_codes"]
    assert {row["code"]: row["meaning"] for row in rows} == MEANINGS
    assert {kind for row in rows for kind in row["kinds"]} == {kind.value for kind in REASON_CODES}
