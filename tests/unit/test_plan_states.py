# SPDX-License-Identifier: Apache-2.0
"""How a disk was left: what is told, what forbids a repair, and what is accepted when that was asked for."""

from dataclasses import replace

import pytest
from facts_builder import SMALL_KNOWLEDGE, Windows
from unxen.model.guest import Machine
from unxen.model.hive_facts import HiveFacts, LogEnd, LogFacts, LogUse, ReplayFacts
from unxen.model.ids import Offset
from unxen.model.judgement import Judgement, NoteKind, Verdict
from unxen.model.reason import ReasonKind, reason
from unxen.model.volume_facts import FileRecord, Footing, PendingWork, Sign
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


def hive(primary: int, replay: ReplayFacts | None, *logs: LogFacts) -> HiveFacts:
    return HiveFacts(8192, 4096, (1, 5), primary, 7, True, 9, logs, replay)


@pytest.mark.parametrize(
    ("kind", "accept", "verdict"),
    [
        (ReasonKind.HIVE_DIRTY, False, Verdict.REFUSED),
        (ReasonKind.HIVE_DIRTY, True, Verdict.REPAIRABLE),
        (ReasonKind.HIVE_DAMAGED, True, Verdict.REFUSED),
        (ReasonKind.HIBERNATED, True, Verdict.REFUSED),
    ],
)
def test_age_of_a_hive_is_accepted_only_when_asked_for_and_nothing_else_is(
    kind: ReasonKind, verdict: Verdict, *, accept: bool
) -> None:
    windows = Windows().xen().troubles(reason(kind, "here", logs="none", newest="then"))
    windows.installation["hive"] = hive(8, None)
    judgement = judge(windows.facts(), Machine(), SMALL_KNOWLEDGE, accept_stale_hive=accept)
    assert judgement.verdict is verdict
    stale = [note for note in judgement.installations[0].notes if note.kind is NoteKind.HIVE_STALE]
    assert [dict(note.details)["newest"] for note in stale] == (["then"] if verdict is Verdict.REPAIRABLE else [])


@pytest.mark.parametrize(("found", "said"), [(4, {"lost": "nothing"}), (9, {"ended": "damaged-data", "log": "LOG1", "last": "8"})])
def test_replay_is_told_with_what_it_could_not_bring_back(found: int, said: dict[str, str]) -> None:
    windows = Windows()
    used = (LogFacts("LOG1", 9, LogUse.APPLIED, 4), LogFacts("LOG2", 9, LogUse.STALE))
    windows.installation["hive"] = hive(8, ReplayFacts(4, found, 8, LogEnd.DAMAGED_DATA, "LOG1", ""), *used)
    (note,) = (each for each in judged(windows).installations[0].notes if each.kind is NoteKind.HIVE_REPLAYED)
    assert (note.subject, dict(note.details)) == ("LOG1", {"applied": "4", "found": str(found), "base_block": "", **said})


def test_clean_hive_is_not_worth_a_word() -> None:
    windows = Windows()
    windows.installation["hive"] = hive(7, None)
    assert not told(judged(windows)) & {NoteKind.HIVE_REPLAYED, NoteKind.HIVE_STALE}


@pytest.mark.parametrize("accept", [False, True])
@pytest.mark.parametrize(("hive_size", "verdict"), [(8192, Verdict.REPAIRABLE), (12288, Verdict.REFUSED)])
def test_hive_that_its_logs_made_longer_needs_a_clean_volume(hive_size: int, verdict: Verdict, *, accept: bool) -> None:
    """Even where the open journal leaves it alone: it can only be written in place, and there is no room."""
    windows = Windows().xen().troubles(reason(OPEN[0], "here", volume=PLACE, state=OPEN[1]))
    replayed = ReplayFacts(1, 1, 8, LogEnd.NO_MORE, "SYSTEM.LOG1", "")
    windows.installation |= {
        "footing": SURE,
        "record": FileRecord(40, 1, Offset(4096), 8192, 8192, 8192, (), False, False, False, False, False, False, True),
        "hive": HiveFacts(hive_size, hive_size - 4096, (1, 5), 8, 7, True, 8, (), replayed),
    }
    judgement = judged(windows, accept=accept)
    assert judgement.verdict is verdict
    assert [each.detail("obstacle") for each in judgement.reasons] == (["growth"] if verdict is Verdict.REFUSED else [])


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
