# SPDX-License-Identifier: Apache-2.0
"""What the journal was told, it still knows after the process that told it is gone; what it cannot read it refuses."""

import os
import signal
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.journal.place import FILE, has_journal
from unxen.journal.records import DONE_STATES, OPEN_STATES, DefinitionRow, DiskRow, EntryKind, EntryState, RangeRole, RangeRow
from unxen.journal.retention import DAY, purge
from unxen.journal.schema import FIRST, VERSION
from unxen.journal.store import Journal, WrongState, open_journal
from unxen.model.ids import Bus, DiskNumber, ImageFormat
from unxen.model.reason import ReasonKind
from unxen.repair.transaction import MOVES, IllegalMove, Transaction

DISK = DiskRow(DiskNumber(1), "file-8-1-42", "/images/d.qcow2", ImageFormat.QCOW2, 1 << 30, 1 << 20, "/state/d", "")
RANGE = RangeRow(DiskNumber(1), RangeRole.WRITTEN, 65536, 65536, "aa", "bb")
WITNESS = RangeRow(DiskNumber(1), RangeRole.WITNESS, 4096, 1024, "cc", "cc")
WAY = (EntryState.STAGED, EntryState.DELIVERED, EntryState.VERIFIED, EntryState.COMMITTING, EntryState.COMMITTED)


def begin(journal: Journal, **changes) -> int:
    return journal.begin(EntryKind.REPAIR, ["/images/d.qcow2"], "plan-1", '{"bus": "sata"}', [replace(DISK, **changes)])


def walk(journal: Journal, entry: int, to: EntryState) -> None:
    transaction = Transaction(journal, entry, Path("/nowhere"), ())
    for state in WAY[: WAY.index(to) + 1]:
        transaction.move(state)


def test_entry_comes_back_as_it_was_told(tmp_path) -> None:
    with open_journal(tmp_path) as journal:
        number = begin(journal)
        journal.add_ranges(number, [RANGE, WITNESS])
        journal.set_files(number, DiskNumber(1), undo="/undo/1-1.qcow2")
    with open_journal(tmp_path) as journal:
        entry = journal.entry(number)
    assert (entry.kind, entry.state, entry.undoes) == (EntryKind.REPAIR, EntryState.PLANNED, None)
    assert (entry.target, entry.plan_id, entry.plan) == (("/images/d.qcow2",), "plan-1", '{"bus": "sata"}')
    assert entry.disks == (replace(DISK, undo="/undo/1-1.qcow2"),)
    assert set(entry.ranges) == {RANGE, WITNESS}
    assert entry.begun <= time.time()


def test_every_state_is_remembered_with_its_time(tmp_path) -> None:
    with open_journal(tmp_path) as journal:
        number = begin(journal)
        walk(journal, number, EntryState.COMMITTED)
        history = journal.history(number)
    assert [state for state, _ in history] == [EntryState.PLANNED, *WAY]
    assert [at for _, at in history] == sorted(at for _, at in history)


def test_entry_is_moved_only_from_the_state_it_is_in(tmp_path) -> None:
    with open_journal(tmp_path) as journal:
        number = begin(journal)
        with pytest.raises(WrongState):
            journal.move(number, EntryState.STAGED, EntryState.DELIVERED)
        assert journal.entry(number).state is EntryState.PLANNED
        assert len(journal.history(number)) == 1


@pytest.mark.parametrize("state", list(EntryState))
def test_moves_outside_the_table_are_a_defect(tmp_path, state) -> None:
    with open_journal(tmp_path) as journal:
        transaction = Transaction(journal, begin(journal), tmp_path, ())
        transaction.state = state
        for other in set(EntryState) - set(MOVES[state]):
            with pytest.raises(IllegalMove):
                transaction.move(other)


def test_open_entries_are_found_and_done_ones_are_not(tmp_path) -> None:
    with open_journal(tmp_path) as journal:
        done, committing, planned = (begin(journal) for _ in range(3))
        walk(journal, done, EntryState.COMMITTED)
        walk(journal, committing, EntryState.COMMITTING)
        assert [each.id for each in journal.in_states(OPEN_STATES)] == [planned, committing]
        assert [each.id for each in journal.in_states(DONE_STATES)] == [done]


def test_process_that_is_killed_right_after_a_step_has_recorded_it(tmp_path) -> None:
    child = os.fork()
    if child == 0:
        with open_journal(tmp_path) as journal:
            walk(journal, begin(journal), EntryState.COMMITTING)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with open_journal(tmp_path) as journal:
        (entry,) = journal.in_states(OPEN_STATES)
    assert entry.state is EntryState.COMMITTING


def test_every_write_is_synced(tmp_path) -> None:
    with open_journal(tmp_path) as journal:
        connection = journal._connection
        assert connection.execute("pragma synchronous").fetchone() == (2,)
        assert connection.execute("pragma journal_mode").fetchone() == ("delete",)


def test_asking_for_a_journal_makes_none(tmp_path) -> None:
    assert not has_journal(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_journal_is_its_owners_alone(tmp_path) -> None:
    with open_journal(tmp_path / "state"):
        pass
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    assert (tmp_path / "state" / FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
def test_file_that_is_no_journal_or_a_newer_one_is_refused(tmp_path, content) -> None:
    path = tmp_path / FILE
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("pragma user_version = 99")
    else:
        path.write_bytes(content)
    with pytest.raises(Refused) as refusal, open_journal(tmp_path):
        pytest.fail("opened")
    assert refusal.value.first.kind is ReasonKind.TOOL_FAILED
    assert refusal.value.first.subject == str(path)


def test_undo_data_goes_when_its_time_is_over(tmp_path) -> None:
    kept, expired = tmp_path / "kept", tmp_path / "expired"
    with open_journal(tmp_path) as journal:
        numbers = []
        for path in (kept, expired):
            path.write_bytes(b"old bytes")
            numbers.append(begin(journal, undo=str(path)))
            walk(journal, numbers[-1], EntryState.COMMITTED)
        now = time.time()
        with journal._connection:
            journal._connection.execute("update entries set changed = ? where id = ?", (now - 31 * DAY, numbers[1]))
        assert purge(journal, 30, 1 << 40, now) == (numbers[1],)
        assert journal.entry(numbers[1]).disks[0].undo == ""
        assert purge(journal, 30, 1 << 40, now) == ()
    assert kept.exists()
    assert not expired.exists()


def test_undo_data_of_an_unfinished_repair_never_expires(tmp_path) -> None:
    path = tmp_path / "old-bytes"
    path.write_bytes(b"needed for recovery")
    with open_journal(tmp_path) as journal:
        walk(journal, begin(journal, undo=str(path)), EntryState.COMMITTING)
        assert purge(journal, 0, 0, time.time() + 400 * DAY) == ()
    assert path.exists()


def test_oldest_undo_data_goes_until_the_rest_has_room(tmp_path, caplog) -> None:
    with open_journal(tmp_path) as journal:
        numbers = []
        for index in range(4):
            (tmp_path / str(index)).write_bytes(b"x" * (64 << 10))
            numbers.append(begin(journal, undo=str(tmp_path / str(index))))
            walk(journal, numbers[-1], EntryState.COMMITTED)
        caplog.set_level("DEBUG")
        assert purge(journal, 30, 130 << 10) == tuple(numbers[:2])
        assert purge(journal, 30, 130 << 10) == ()
    assert [(tmp_path / str(index)).exists() for index in range(4)] == [False, False, True, True]
    assert "undo data of entry 1 goes" in caplog.text


def test_undo_data_that_an_open_undo_takes_back_is_not_counted_as_old(tmp_path) -> None:
    path = tmp_path / "old-bytes"
    path.write_bytes(b"needed should the undo be rolled back")
    with open_journal(tmp_path) as journal:
        repair = begin(journal, undo=str(path))
        walk(journal, repair, EntryState.COMMITTED)
        journal.begin(EntryKind.UNDO, ["/images/d.qcow2"], "", "", [DISK], repair)
        assert purge(journal, 0, 0, time.time() + 400 * DAY) == ()
    assert path.exists()


def test_journal_of_the_first_version_is_read_on(tmp_path) -> None:
    with sqlite3.connect(tmp_path / FILE) as connection:
        for statement in FIRST:
            connection.execute(statement)
        connection.execute("pragma user_version = 1")
        connection.execute("insert into entries values (7, 'repair', 'committed', null, '[\"d\"]', 'p', '{}', 1.0, 2.0)")
        connection.execute("insert into disks values (7, 1, 'file-1-2-3', '/d', 'raw', 10, 20, '', '/undo/7-1')")
    with open_journal(tmp_path) as journal:
        assert journal.entry(7).disks == (DiskRow(DiskNumber(1), "file-1-2-3", "/d", ImageFormat.RAW, 10, 20, "", "/undo/7-1"),)
        assert journal.entry(7).definition is None
        assert begin(journal, final_size=5, backing_dirs=("/b",)) == 8
        assert (journal.entry(8).disks[0].final_size, journal.entry(8).disks[0].backing_dirs) == (5, ("/b",))
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("pragma user_version").fetchone() == (VERSION,)


ROW = DefinitionRow("libvirt:1234", Bus.SATA, "<domain/>", "<domain new=''/>")


def test_definition_stands_in_the_entry_from_its_first_moment(tmp_path) -> None:
    with open_journal(tmp_path) as journal:
        number = journal.begin(EntryKind.REPAIR, ["libvirt:a"], "", "", (), None, ROW)
        other = begin(journal)
        journal.set_definition(number, "<domain kept=''/>")
    with open_journal(tmp_path) as journal:
        assert journal.entry(number).definition == replace(ROW, after="<domain kept=''/>")
        assert journal.entry(other).definition is None
        assert [each.id for each in journal.of_guest(ROW.guest)] == [number]
