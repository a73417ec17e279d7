# SPDX-License-Identifier: Apache-2.0
"""Undo gives back exactly what was there, on the file itself, where it was moved to or on a copy; or it writes nothing."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from content import digest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel
from unxen.errors import refused
from unxen.host.storage_daemon import CommitFailed, StorageDaemon
from unxen.journal.records import EntryState
from unxen.journal.store import Journal
from unxen.model.reason import ReasonKind
from unxen.repair import commit as commit_module

pytestmark = pytest.mark.disk


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Path:
    """A raw disk whose Windows Xen drivers have changed; copied by every test."""
    hive = windows_hive("10", families=["xcpng"])
    path = tmp_path_factory.mktemp("master") / "disk.raw"
    return make_disk(path, hive, format="raw", size=48 * MIB, kernel=kernel((10, 0, 19041)), files=driver_files(hive))


@pytest.fixture
def disk(master, tmp_path) -> Path:
    path = tmp_path / "disk.raw"
    subprocess.run(["cp", "--sparse=always", master, path], check=True)
    return path


def rows(state_dir: Path, what: str) -> list[tuple]:
    with sqlite3.connect(state_dir / "journal.sqlite3") as connection:
        return connection.execute(what).fetchall()


def test_repair_after_an_undo_gives_the_same_disk_again(disk, unxen, own_state) -> None:
    """The same disk and the same tables give the same plan and the same bytes; no time stamp is written."""
    before = digest(disk)
    assert unxen("repair", disk)[0] == 0
    repaired = digest(disk)
    assert unxen("undo", disk)[0] == 0
    assert digest(disk) == before
    assert unxen("repair", disk)[0] == 0
    assert digest(disk) == repaired
    assert unxen("undo", disk)[0] == 0
    assert digest(disk) == before
    kinds = rows(own_state, "select kind, state, undoes from entries order by id")
    assert kinds == [
        ("repair", "committed", None),
        ("undo", "committed", 1),
        ("repair", "committed", None),
        ("undo", "committed", 3),
    ]
    assert not list(own_state.rglob("*.qcow2")), "nothing is kept that is of no more use"


def test_plans_of_equal_disks_have_the_same_id(disk, unxen, own_state) -> None:
    for _ in range(2):
        assert unxen("repair", disk)[0] == 0
        assert unxen("undo", disk)[0] == 0
    ids = rows(own_state, "select distinct plan_id from entries where kind = 'repair'")
    assert len(ids) == 1


def test_disk_that_was_moved_is_known_by_what_is_on_it(disk, unxen, tmp_path) -> None:
    before = digest(disk)
    assert unxen("repair", disk)[0] == 0
    moved = tmp_path / "elsewhere.raw"
    shutil.copy(disk, moved)
    disk.unlink()
    assert unxen("undo", moved)[0] == 0
    assert digest(moved) == before
    assert unxen("undo", moved)[0] == 43


def test_copy_is_undone_and_the_original_still_can_be(disk, unxen, tmp_path) -> None:
    before = digest(disk)
    assert unxen("repair", disk)[0] == 0
    copy = tmp_path / "copy.raw"
    shutil.copy(disk, copy)
    assert unxen("undo", copy)[0] == 0
    assert unxen("undo", disk)[0] == 0
    assert digest(copy) == digest(disk) == before


def test_another_disk_has_no_undo_data(disk, master, unxen, tmp_path) -> None:
    other = tmp_path / "other.raw"
    shutil.copy(master, other)
    assert unxen("repair", disk)[0] == 0
    before = digest(other)
    assert unxen("undo", other)[0] == 43
    assert digest(other) == before


def test_record_of_the_hive_that_changed_since_refuses(disk, unxen, own_state) -> None:
    """The record was not written by the repair, but a Windows that runs updates its times."""
    assert unxen("repair", disk)[0] == 0
    ((start, length),) = rows(own_state, "select start, length from ranges where role = 'witness' order by length limit 1")
    with disk.open("r+b") as file:
        file.seek(start + length - 8)
        file.write(b"\x99")
    before = digest(disk)
    assert unxen("undo", disk)[0] == 42
    assert digest(disk) == before


def test_damaged_old_bytes_are_never_written(disk, unxen, own_state) -> None:
    assert unxen("repair", disk)[0] == 0
    (kept,) = own_state.rglob("undo/*.qcow2")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -P 0x66 {_first_start(own_state)} 512", kept], check=True, stdout=-3)
    before = digest(disk)
    assert unxen("undo", disk)[0] == 43
    assert digest(disk) == before


def _first_start(state_dir: Path) -> int:
    ((start,),) = rows(state_dir, "select min(start) from ranges where role = 'written'")
    return start


def test_expired_undo_data_goes_with_the_next_repair(disk, unxen, own_state, tmp_path) -> None:
    assert unxen("repair", disk)[0] == 0
    with sqlite3.connect(own_state / "journal.sqlite3") as connection:
        connection.execute("update entries set changed = changed - 31 * 86400")
    hive = windows_hive("7", families=["gplpv"])
    other = tmp_path / "other.raw"
    make_disk(other, hive, format="raw", size=48 * MIB, kernel=kernel((6, 1, 7601)), files=driver_files(hive))
    assert unxen("repair", other)[0] == 0
    assert unxen("undo", disk)[0] == 43
    assert unxen("undo", other)[0] == 0


def test_undo_whose_commit_fails_leaves_the_repaired_disk(disk, unxen, monkeypatch) -> None:
    assert unxen("repair", disk)[0] == 0
    repaired = digest(disk)
    real = StorageDaemon.commit

    def torn(self, overlay):
        real(self, overlay)
        raise CommitFailed("Input/output error")

    monkeypatch.setattr(StorageDaemon, "commit", torn)
    assert unxen("undo", disk)[0] == 40
    assert digest(disk) == repaired
    monkeypatch.undo()


def test_disk_that_can_be_neither_finished_nor_taken_back_is_guarded(disk, unxen, own_state, monkeypatch) -> None:
    """Two errors in a row: nothing is thrown away, and no verb works on it as if nothing was."""
    real = StorageDaemon.commit

    def torn(self, overlay):
        real(self, overlay)
        raise CommitFailed("Input/output error")

    monkeypatch.setattr(StorageDaemon, "commit", torn)
    monkeypatch.setattr(commit_module, "write_back", _no_space)
    assert unxen("repair", disk)[0] == 44
    monkeypatch.undo()
    monkeypatch.setenv("UNXEN_STATE_DIR", str(own_state))
    assert [each.name for each in sorted(own_state.rglob("*.qcow2"))] == ["1-1.qcow2", "overlay.qcow2"]
    assert unxen("inspect", disk)[0] == 44
    assert unxen("repair", disk)[0] == 44
    assert unxen("undo", disk)[0] == 44
    assert len(list(own_state.rglob("*.qcow2"))) == 2


def test_old_bytes_that_did_not_arrive_are_no_rollback(disk, unxen, own_state, monkeypatch) -> None:
    real = StorageDaemon.commit

    def torn(self, overlay):
        real(self, overlay)
        raise CommitFailed("Input/output error")

    monkeypatch.setattr(StorageDaemon, "commit", torn)
    monkeypatch.setattr(commit_module, "write_back", lambda *_arguments: None)
    assert unxen("repair", disk)[0] == 44
    assert rows(own_state, "select state from entries") == [("committing",)]


def test_commit_that_could_not_even_begin_is_no_unfinished_one(disk, unxen, own_state, monkeypatch) -> None:
    """As on a file system that became read-only: nothing was written, so nothing has to be written back."""
    before = digest(disk)
    monkeypatch.setattr(StorageDaemon, "commit", _fail)
    monkeypatch.setattr(commit_module, "write_back", _no_space)
    assert unxen("repair", disk)[0] == 40
    assert digest(disk) == before
    assert rows(own_state, "select state from entries") == [("rolled-back",)]


def test_journal_that_cannot_take_the_end_of_a_commit_says_that_it_is_unfinished(disk, unxen, own_state, monkeypatch) -> None:
    """The disk is whole, but nobody could know: a reason that says that no disk was changed would be a lie."""
    real = Journal.move

    def move(self, entry, before, after):
        if after is EntryState.COMMITTED:
            raise refused(ReasonKind.NO_SPACE, "journal")
        real(self, entry, before, after)

    monkeypatch.setattr(Journal, "move", move)
    code, document = unxen("repair", disk)
    assert (code, document["reasons"][0]["kind"]) == (44, "commit-unfinished")
    assert rows(own_state, "select state from entries") == [("committing",)]


def _fail(_self, _overlay):
    raise CommitFailed("Input/output error")


def _no_space(*_arguments):
    raise OSError(28, "No space left on device")


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[1:2]
from unxen.host import storage_daemon
real = storage_daemon.StorageDaemon.commit
def killed(self, overlay):
    real(self, overlay)
    os.kill(os.getpid(), signal.SIGKILL)
def interrupted(self, overlay):
    os.kill(os.getpid(), signal.SIGINT)
    real(self, overlay)
storage_daemon.StorageDaemon.commit = {"killed": killed, "interrupted": interrupted}[sys.argv[2]]
from unxen.cli.main import main
sys.exit(main(["repair", sys.argv[3], "--json"]))
"""


def run_apart(how: str, disk: Path, state_dir: Path) -> int:
    plugin = Path(__file__).resolve().parent.parent.parent / "plugin"
    environment = {**os.environ, "UNXEN_STATE_DIR": str(state_dir)}
    command = [sys.executable, "-c", KILLED, str(plugin), how, str(disk)]
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def test_kill_in_the_commit_leaves_what_a_recovery_needs(disk, unxen, own_state) -> None:
    assert run_apart("killed", disk, own_state) == -signal.SIGKILL
    assert rows(own_state, "select state from entries") == [("committing",)]
    assert [each.name for each in sorted(own_state.rglob("*.qcow2"))] == ["1-1.qcow2", "overlay.qcow2"]
    assert unxen("repair", disk)[0] == 44


def test_interruption_in_the_commit_waits_until_the_disk_is_whole(disk, unxen, own_state) -> None:
    run_apart("interrupted", disk, own_state)
    assert rows(own_state, "select state from entries") == [("committed",)]
    assert unxen("inspect", disk)[0] == 0


def test_disk_beside_the_windows_disk_is_only_read(disk, unxen, tmp_path, own_state) -> None:
    data = tmp_path / "data.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", data, "64M"], check=True)
    before = digest(data), data.stat().st_mtime_ns
    assert unxen("repair", data, disk)[0] == 0
    assert (digest(data), data.stat().st_mtime_ns) == before
    assert rows(own_state, "select number from disks") == [(2,)]
    assert unxen("undo", disk)[0] == 0, "the disk that was written is enough"
