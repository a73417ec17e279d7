# SPDX-License-Identifier: Apache-2.0
"""Cases from life: a Windows as registry text goes in, the whole judgement comes out and is held to the golden file beside it.

A case is `tests/cases/plan/NAME.case`: lines of `# why it exists`, then `name: value` (windows, families, bus, present, board,
missing, kvm, clock, fix, configured), then registry text that is planted. `pytest --regenerate` writes NAME.plan anew, for review
as a difference.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from generators.hives import plant, windows_hive
from unit.hive_guest import files_of, judged
from unxen.model.edit import Action, Edit
from unxen.model.fix import Fix, fixes
from unxen.model.guest import Machine
from unxen.model.ids import Bus, MachineType, Missing
from unxen.model.judgement import InstallationJudgement, Judgement, LinkState
from unxen.model.machine import Clock
from unxen.model.registry_facts import RegistryValue

FOLDER = Path(__file__).resolve().parent.parent / "cases" / "plan"
CASES = sorted(FOLDER.glob("*.case"))
KNOWN = {"windows", "families", "bus", "present", "board", "missing", "kvm", "clock", "fix", "configured"}


def read_case(path: Path) -> tuple[dict[str, str], str]:
    """The settings of a case and its registry text."""
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# "), f"{path.name} does not say why it exists"
    start = next((number for number, line in enumerate(lines) if line.startswith("[")), len(lines))
    pairs = [line.split(": ", 1) for line in lines[:start] if line and not line.startswith("#")]
    assert {name for name, _ in pairs} <= KNOWN, f"{path.name}: unknown setting"
    return dict(pairs), "\n".join(lines[start:])  # type: ignore[arg-type]


def judge_case(path: Path) -> Judgement:
    settings, text = read_case(path)
    hive = windows_hive(settings["windows"], families=settings.get("families", "").split())
    hive = plant(hive, text) if text else hive
    clock = Clock(settings["clock"]) if "clock" in settings else Missing.NOT_LOOKED_AT
    machine = Machine(Bus(settings.get("present", "unknown")), MachineType(settings.get("board", "unknown")), clock=clock)
    bus = Bus(settings["bus"]) if "bus" in settings else None
    asked, configured = (map(Fix, settings.get(name, "").split()) for name in ("fix", "configured"))
    wanted = fixes(asked, configured)
    seen = files_of(hive, settings.get("missing", "").split())
    return judged(hive, seen, machine, bus=bus, repair_kvm_guests=settings.get("kvm") == "repair", fixes=wanted)


def shown(judgement: Judgement) -> Iterator[str]:
    """The judgement as lines that a person can review."""
    yield f"{judgement.verdict.value} on {judgement.bus.value}"
    for reason in judgement.reasons:
        yield f"refused: {reason.kind.value} {reason.subject} {dict(reason.details)}"
    for installation in judgement.installations:
        yield from (f"link: {line}" for line in links(installation))
        yield from (f"xen: {each.part.value} {each.subject}" for each in installation.xen if each.evidence)
        yield from (f"note: {note.kind.value} {note.subject} {dict(note.details) or ''}".rstrip() for note in installation.notes)
    for each in judgement.plan.installations:
        yield from (edit_line(edit) for edit in each.edits)


def links(installation: InstallationJudgement) -> Iterator[str]:
    chain = next((chain for chain in installation.chains if chain.bus is installation.bus), None)
    for link in chain.links if chain else ():
        broken = [f"{finding.kind.value} {finding.subject}" for finding in link.findings if finding.state is LinkState.BROKEN]
        yield f"{link.name.value} {link.state.value} {', '.join(broken)}".rstrip()


def edit_line(edit: Edit) -> str:
    name = f"{edit.key}\\{edit.value_name}" if edit.value_name else edit.key
    change = f"{value(edit.before)} -> {value(edit.after)}" if edit.action in (Action.SET_VALUE, Action.DELETE_VALUE) else ""
    return f"{'must' if edit.required else 'also'}: {edit.rule}: {edit.action.value} {name} {change}".rstrip()


def value(given: RegistryValue | None) -> str:
    if given is None:
        return "nothing"
    if given.type == 4:
        return str(int.from_bytes(given.data, "little"))
    return repr(given.data.decode("utf-16-le", errors="replace"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_from_life_is_judged_as_it_was_reviewed(path: Path, golden) -> None:
    golden(Path("cases") / "plan" / f"{path.stem}.plan", "\n".join(shown(judge_case(path))) + "\n")


def test_no_golden_file_stands_without_its_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.plan")} == {path.stem for path in CASES}
