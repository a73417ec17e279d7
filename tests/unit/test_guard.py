# SPDX-License-Identifier: Apache-2.0
"""The guard's answers, row by row: who is refused, who is warned of, and that nothing goes wrong in a way that stops a guest."""

import signal
import time
from dataclasses import replace

import pytest
from generators import outcomes
from unxen.errors import Refused, refused
from unxen.host.locks import own_locks
from unxen.journal.place import FILE
from unxen.journal.records import DiskRow, EntryKind, EntryState
from unxen.journal.store import open_journal
from unxen.model.disk import Disk
from unxen.model.guest import Guest, Machine
from unxen.model.ids import Bus, DiskNumber, ImageFormat
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Step, StepBegun
from unxen.model.reason import ReasonKind, reason
from unxen.model.settings import GuardPolicy, Settings
from unxen.model.start import Answer, StartRisk
from unxen.platforms.base import HookCall, HookPhase
from unxen.report.start_messages import tell_start
from unxen.services import guard

TARGET = "libvirt:win10"


def no_tables():
    """Nothing here looks into a disk."""


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """One start under a policy, with what the look shows or raises."""

    def run(seen, policy=GuardPolicy.AUTO, bus=Bus.SATA, phase=HookPhase.BEFORE_START, leftovers=(), **call):
        def look(*_arguments, **_keywords):
            if isinstance(seen, Exception):
                raise seen
            return seen

        monkeypatch.setattr(guard, "inspect", look)
        disk = tmp_path / "disk.raw"
        disk.touch()
        guest = Guest((TARGET,), (Disk(DiskNumber(1), str(disk), ImageFormat.RAW),), Machine(bus, xen_leftovers=leftovers))
        settings = Settings(tmp_path / "state", guard=policy, guard_repair_seconds=0.2)
        return guard.judge_start(HookCall("win10", phase, guest, **call), TARGET, settings, no_tables)

    return run


def with_xen(*, evidence: bool, ran: bool) -> Outcome:
    """A Windows whose chain is broken on SATA."""
    seen = outcomes.repairable()
    judged = seen.judgement.installations[0]
    xen = tuple(replace(each, evidence=evidence) for each in judged.xen)
    judged = replace(judged, xen=xen, ran_on_kvm=ran)
    return replace(seen, judgement=replace(seen.judgement, installations=(judged,)))


def test_broken_table_of_the_administrators_is_told_by_whoever_asked(ask) -> None:
    with pytest.raises(Refused):
        ask(refused(ReasonKind.CONFIG_INVALID, "/etc/unxen/knowledge/acme.toml", line=3))


@pytest.mark.parametrize(
    ("policy", "evidence", "ran", "answer"),
    [
        (GuardPolicy.AUTO, True, False, Answer.REFUSE),
        (GuardPolicy.AUTO, True, True, Answer.WARN),
        (GuardPolicy.AUTO, False, False, Answer.WARN),
        (GuardPolicy.WARN, True, False, Answer.WARN),
        (GuardPolicy.REFUSE, False, True, Answer.REFUSE),
        (GuardPolicy.OFF, True, False, Answer.ALLOW),
    ],
)
def test_broken_chain_is_answered_by_evidence_and_policy(ask, policy, evidence, ran, answer) -> None:
    assert ask(with_xen(evidence=evidence, ran=ran), policy).answer is answer


def test_healthy_guest_and_guest_without_windows_may_start(ask) -> None:
    for seen in (outcomes.healthy(), outcomes.no_windows()):
        for policy in GuardPolicy:
            assert ask(seen, policy).answer is Answer.ALLOW


def test_bus_of_xen_gets_a_better_sentence_than_the_platforms(ask) -> None:
    found = ask(with_xen(evidence=True, ran=False), bus=Bus.XEN, leftovers=("bus xen of xvda",))
    assert (found.answer, found.risk) == (Answer.REFUSE, StartRisk.DEFINED_FOR_XEN)
    assert "unxen repair libvirt:win10" in tell_start(found)
    assert ask(outcomes.no_windows(), bus=Bus.XEN).answer is Answer.ALLOW


def test_half_written_disk_never_starts_unless_the_guard_is_off(ask) -> None:
    seen = replace(outcomes.healthy(), reasons=(reason(ReasonKind.COMMIT_UNFINISHED, "/d"),))
    for policy in GuardPolicy:
        refused_then = Answer.ALLOW if policy is GuardPolicy.OFF else Answer.REFUSE
        assert ask(seen, policy).answer is refused_then


def begun(tmp_path) -> None:
    row = DiskRow(DiskNumber(1), "key", str(tmp_path / "disk.raw"), ImageFormat.RAW, 1, 1)
    with open_journal(tmp_path / "state") as journal:
        entry = journal.begin(EntryKind.REPAIR, [TARGET], "", "", [row])
        journal.move(entry, EntryState.PLANNED, EntryState.COMMITTING)


def test_half_written_disk_does_not_start_even_if_it_cannot_be_looked_at(ask, tmp_path) -> None:
    begun(tmp_path)
    found = ask(refused(ReasonKind.PROBE_FAILED, "/d"))
    assert (found.answer, found.risk) == (Answer.REFUSE, StartRisk.HALF_WRITTEN)
    assert "unxen recover" in tell_start(found)


def test_journal_that_cannot_be_read_is_not_taken_for_an_empty_one(ask, tmp_path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE).write_bytes(b"no database at all" * 100)
    work = tmp_path / "state" / "work" / "key"
    work.mkdir(parents=True)
    (work / "overlay.qcow2").touch()
    found = ask(outcomes.healthy())
    assert (found.answer, found.risk) == (Answer.REFUSE, StartRisk.JOURNAL_UNREADABLE)
    assert ask(outcomes.healthy(), GuardPolicy.OFF).answer is Answer.ALLOW


def test_journal_that_cannot_be_read_holds_nobody_back_where_no_commit_was_begun(ask, tmp_path) -> None:
    (tmp_path / "state" / "work" / "key").mkdir(parents=True)
    (tmp_path / "state" / FILE).write_bytes(b"no database at all" * 100)
    assert ask(outcomes.healthy()).answer is Answer.ALLOW


def test_disk_that_unxen_works_on_does_not_start(ask, tmp_path) -> None:
    disk = tmp_path / "disk.raw"
    disk.touch()
    with own_locks(tmp_path / "state" / "locks", [str(disk)], wait=0, waiting=lambda: None):
        assert ask(outcomes.healthy()).risk is StartRisk.BEING_REPAIRED
    assert ask(outcomes.healthy()).answer is Answer.ALLOW


@pytest.mark.parametrize("kind", [ReasonKind.NO_PERMISSION, ReasonKind.DISK_MISSING, ReasonKind.TOOL_MISSING, ReasonKind.IN_USE])
def test_guest_that_cannot_be_judged_may_start(ask, kind) -> None:
    assert ask(refused(kind, "/d")).answer is Answer.ALLOW


def test_repair_that_takes_too_long_ends_in_a_refusal_not_in_a_start(ask, monkeypatch) -> None:
    def interrupted(*_arguments) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("unxen.workflow.repair.repair", interrupted)
    assert ask(with_xen(evidence=True, ran=False), GuardPolicy.REPAIR).risk is StartRisk.WOULD_STOP


def test_other_moments_and_starts_that_are_none_are_let_through(ask) -> None:
    seen = with_xen(evidence=True, ran=False)
    for phase in set(HookPhase) - {HookPhase.BEFORE_START}:
        assert ask(seen, phase=phase).answer is Answer.ALLOW
    for policy in GuardPolicy:
        assert ask(seen, policy, known_fine=True).answer is Answer.ALLOW
        assert ask(seen, policy, resumes=True).answer is Answer.ALLOW


def test_sentence_is_one_short_line_without_control_letters(ask) -> None:
    found = replace(ask(with_xen(evidence=True, ran=False)), target="libvirt:a\x1b[2Jb\nc")
    assert "\n" not in tell_start(found)
    assert "\x1b" not in tell_start(found)
    assert len(tell_start(found)) < 200


def test_repair_before_a_start_has_seconds_and_its_commit_as_long_as_it_needs(ask, monkeypatch) -> None:
    seen = replace(with_xen(evidence=True, ran=False), timings=())

    def sleeps(*arguments) -> Outcome:
        if begins_to_commit:
            arguments[-1](StepBegun(Step.COMMIT))
        time.sleep(0.5 if begins_to_commit else 60)
        return replace(seen, verdict=Verdict.REPAIRED, entry=1)

    monkeypatch.setattr("unxen.workflow.repair.repair", sleeps)
    begins_to_commit = True
    assert ask(seen, GuardPolicy.REPAIR).risk is StartRisk.REPAIRED_NOW
    begins_to_commit = False
    assert ask(seen, GuardPolicy.REPAIR).risk is StartRisk.WOULD_STOP
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_repair_that_would_take_longer_than_a_start_may_wait_is_not_begun(ask, monkeypatch) -> None:
    monkeypatch.setattr("unxen.workflow.repair.repair", lambda *_: pytest.fail("it was begun"))
    seen = replace(with_xen(evidence=True, ran=False), timings=((Step.LOOK.value, 0.1),))
    assert ask(seen, GuardPolicy.REPAIR).risk is StartRisk.WOULD_STOP
