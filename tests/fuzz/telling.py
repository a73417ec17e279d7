# SPDX-License-Identifier: Apache-2.0
"""Whatever strings a guest has, what is said of them steers no terminal and puts nothing into a .reg file."""

import json
from collections.abc import Sequence
from contextlib import suppress

from unit.hive_guest import tables
from unxen.errors import Refused
from unxen.model.edit import Action, Edit
from unxen.model.facts import GuestFacts
from unxen.model.guest import Machine
from unxen.model.judgement import Judgement
from unxen.model.outcome import Outcome
from unxen.plan.judge import judge
from unxen.registry.reg_file import write_reg
from unxen.report.json import dumps
from unxen.report.layout import Context, Style
from unxen.report.text import render


def tell(facts: GuestFacts) -> None:
    """Judges, and renders in every form that a guest's strings can reach."""
    judgement = judge(facts, Machine(), tables(), bus=None)
    for verb in ("inspect", "plan"):
        told(Outcome(verb, ("disk",), judgement.verdict, facts=facts, judgement=judgement, reasons=judgement.reasons))
    _check_reg(judgement)


def told(outcome: Outcome) -> None:
    """Nothing in a report steers a terminal."""
    for style in (Style(), Style(width=40, colour=True, hard=True)):
        text = render(outcome, Context(style, {}, "", full=True))
        assert all(line.replace("\x1b[", "").isprintable() for line in text.split("\n"))
    text = dumps(outcome)
    assert text.isascii()
    assert json.loads(text)["verb"] == outcome.verb


def _check_reg(judgement: Judgement) -> None:
    for plan in judgement.plan.installations:
        with suppress(Refused):
            check_reg_file(plan.edits)


def check_reg_file(edits: Sequence[Edit]) -> None:
    """A line for a key, a comment for an edit, and nothing that no edit asked for."""
    root = "HKEY_LOCAL_MACHINE\\Temp"
    lines = write_reg(edits, root).decode("utf-16", "surrogatepass").split("\r\n")
    assert not any("\n" in line or "\r" in line or "\0" in line for line in lines)
    keys = [line for line in lines if line.startswith("[")]
    # Two halves of a letter that stand side by side become that letter.
    wanted = {f"[-{root}\\{each.key}]" if each.action is Action.DELETE_KEY else f"[{root}\\{each.key}]" for each in edits}
    assert set(keys) == {each.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass") for each in wanted}
    assert sum(line.startswith(";") for line in lines) == len(edits)
    assert all(not line or line[0] in ';[" @W' for line in lines)
