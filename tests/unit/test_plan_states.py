# SPDX-License-Identifier: Apache-2.0
"""How a disk was left: what is told, what forbids a repair, and what is accepted when that was asked for."""

from dataclasses import replace

import pytest
from facts_builder import SMALL_KNOWLEDGE, Windows
from unxen.model.guest import Machine
from unxen.model.judgement import Judgement, NoteKind, Verdict
from unxen.model.reason import ReasonKind, reason
from unxen.model.volume_facts import Footing, PendingWork, Sign
from unxen.plan.judge import judge

PLACE = "1:1"
CLEAN_CHECKS = ("autocheck autochk *", "AUTOCHECK AUTOCHK *", "autocheck autochk /k:C *", "autocheck autochk /t:5 /k:D *")
QUEUED = (r"autocheck autochk /r \??\C:", r"autocheck autochk /p \??\C:", "lsdelete", "autocheck smrgdf C:")


def judged(windows: Windows, *, accept: bool = False) -> Judgement:
    return judge(windows.facts(), Machine(), SMALL_KNOWLEDGE, accept_unclean_volume=accept)


def told(judgement: Judgement) -> set[NoteKind]:
    return {note.kind for note in judgement.installations[0].notes}


@pytest.mark.parametrize("program", CLEAN_CHECKS)
def test_check_that_every_windows_runs_is_not_told(program: str) -> None:
    judgement = judged(Windows().xen().control_set(boot_execute=(program, "")))
    assert NoteKind.CHKDSK_QUEUED not in told(judgement)


@pytest.mark.parametrize("program", QUEUED)
def test_check_that_is_queued_is_told_and_forbids_nothing(program: str) -> None:
    judgement = judged(Windows().xen().control_set(boot_execute=("autocheck autochk *", program)))
    assert judgement.verdict is Verdict.REPAIRABLE
    assert [note.subject for note in judgement.installations[0].notes if note.kind is NoteKind.CHKDSK_QUEUED] == [program]


def signed(*signs: Sign, setup: bool = False) -> Judgement:
    windows = Windows().xen().system(setup_in_progress=setup)
    windows.installation["signs"] = signs
    return judged(windows)


def test_upgrade_that_setup_works_on_is_refused_and_one_that_only_lies_there_is_told() -> None:
    assert signed(Sign.UPGRADE_BEGUN).verdict is Verdict.REPAIRABLE
    assert signed(setup=True).verdict is Verdict.REPAIRABLE
    assert [each.kind for each in signed(Sign.UPGRADE_BEGUN, setup=True).reasons] == [ReasonKind.UPGRADE_IN_FLIGHT]
    assert told(signed(Sign.UPGRADE_BEGUN, Sign.UPGRADE_READY)) & {NoteKind.UPGRADE_BEGUN, NoteKind.UPGRADE_READY} == {
        NoteKind.UPGRADE_READY
    }


def unclean(kind: ReasonKind, state: str, footing: Footing | None, *, accept: bool) -> Judgement:
    windows = Windows().xen().troubles(reason(kind, "here", volume=PLACE, state=state))
    windows.installation["footing"] = footing
    return judged(windows, accept=accept)


SURE = Footing(bins_whole=True, clusters_in_use=True, pending=PendingWork.ELSEWHERE)
UNSURE = Footing(bins_whole=True, clusters_in_use=True, pending=PendingWork.UNKNOWN)
OPEN = (ReasonKind.JOURNAL_UNCLEAN, "unclean")


@pytest.mark.parametrize(("kind", "state"), [(ReasonKind.VOLUME_DIRTY, "dirty"), OPEN, (ReasonKind.JOURNAL_UNCLEAN, "version-2")])
def test_unclean_volume_is_accepted_only_when_asked_for(kind: ReasonKind, state: str) -> None:
    assert unclean(kind, state, UNSURE, accept=False).verdict is Verdict.REFUSED
    judgement = unclean(kind, state, UNSURE, accept=True)
    assert judgement.verdict is Verdict.REPAIRABLE
    assert NoteKind.UNCLEAN_VOLUME in told(judgement)


def test_open_journal_that_provably_leaves_the_hive_alone_needs_no_asking() -> None:
    assert unclean(*OPEN, SURE, accept=False).verdict is Verdict.REPAIRABLE
    for other in (replace(SURE, bins_whole=False), replace(SURE, clusters_in_use=False), replace(SURE, pending=PendingWork.HERE)):
        assert unclean(*OPEN, other, accept=False).verdict is Verdict.REFUSED
    assert unclean(ReasonKind.JOURNAL_UNCLEAN, "version-2", SURE, accept=False).verdict is Verdict.REFUSED
    assert unclean(ReasonKind.VOLUME_DIRTY, "dirty", SURE, accept=False).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("footing", "obstacle"),
    [
        (None, "unknown"),
        (Footing(bins_whole=False, clusters_in_use=True, pending=PendingWork.ELSEWHERE), "bins"),
        (Footing(bins_whole=True, clusters_in_use=False, pending=PendingWork.ELSEWHERE), "bitmap"),
        (Footing(bins_whole=True, clusters_in_use=True, pending=PendingWork.HERE), "pending"),
    ],
)
def test_unclean_volume_is_not_accepted_without_a_sure_place(footing: Footing | None, obstacle: str) -> None:
    judgement = unclean(*OPEN, footing, accept=True)
    assert judgement.verdict is Verdict.REFUSED
    assert judgement.reasons[0].detail("obstacle") == obstacle


@pytest.mark.parametrize("state", ["unreadable", "something"])
@pytest.mark.parametrize("kind", [ReasonKind.VOLUME_DIRTY, ReasonKind.JOURNAL_UNCLEAN])
def test_state_that_was_not_read_is_never_accepted(kind: ReasonKind, state: str) -> None:
    assert unclean(kind, state, SURE, accept=True).reasons[0].detail("obstacle") == "state"


def test_sleeping_windows_is_never_accepted_and_wakes_only_on_its_own_volume() -> None:
    for windows, volume, way in ((Windows(), PLACE, "ide"), (Windows(), "1:2", ""), (Windows().xen(), PLACE, "")):
        windows.troubles(reason(ReasonKind.HIBERNATED, "here", volume=volume, state="hibernated"))
        judgement = judged(windows, accept=True)
        assert judgement.verdict is Verdict.REFUSED
        assert judgement.reasons[0].detail("wakes_on") == way


@pytest.mark.parametrize(("size", "is_told"), [(512, False), (4096, True)])
def test_large_sectors_are_told(size: int, is_told: bool) -> None:
    windows = Windows().xen()
    volume = replace(windows.disk_facts(1).volumes[0], sector_size=size)
    assert (NoteKind.LARGE_SECTORS in told(judged(windows.on_disk(volumes=(volume,))))) is is_told
