# SPDX-License-Identifier: Apache-2.0
"""The question before every start of a machine: quick, read-only, and never no when the answer is not known."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.host.locks import disk_key
from unxen.journal.place import FILE
from unxen.journal.records import DiskRow, EntryKind, EntryState
from unxen.journal.store import open_journal
from unxen.journal.unfinished import unfinished_commits
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import ReasonKind

PLUGIN = Path(__file__).resolve().parent.parent.parent / "plugin"


@pytest.fixture
def disk(tmp_path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"disk")
    return path


def begun(state_dir: Path, disk: Path, key: str = "") -> int:
    row = DiskRow(DiskNumber(1), key or disk_key(str(disk)), str(disk), ImageFormat.RAW, 1, 1)
    with open_journal(state_dir) as journal:
        entry = journal.begin(EntryKind.REPAIR, [str(disk)], "", "", [row])
        journal.move(entry, EntryState.PLANNED, EntryState.COMMITTING)
    return entry


def test_begun_commit_is_told_with_its_entry_by_whatever_name(tmp_path, disk) -> None:
    entry = begun(tmp_path / "state", disk)
    link, hard = tmp_path / "link", tmp_path / "hard"
    link.symlink_to(disk)
    os.link(disk, hard)
    for path in (disk, link, hard):
        (found,) = unfinished_commits(tmp_path / "state", [str(path)])
        assert (found.kind, found.subject, found.detail("entry")) == (ReasonKind.COMMIT_UNFINISHED, str(path), str(entry))


def test_disk_is_known_by_its_path_when_devices_were_numbered_anew(tmp_path, disk) -> None:
    begun(tmp_path / "state", disk, key="file-8-99-12345")
    assert len(unfinished_commits(tmp_path / "state", [str(disk)])) == 1


def test_done_commits_and_other_disks_are_no_matter(tmp_path, disk) -> None:
    other = tmp_path / "other.raw"
    other.write_bytes(b"other")
    entry = begun(tmp_path / "state", disk)
    assert unfinished_commits(tmp_path / "state", [str(other), str(tmp_path / "absent")]) == ()
    with open_journal(tmp_path / "state") as journal:
        journal.move(entry, EntryState.COMMITTING, EntryState.COMMITTED)
    assert unfinished_commits(tmp_path / "state", [str(disk)]) == ()


def test_without_a_journal_none_is_made(tmp_path, disk) -> None:
    assert unfinished_commits(tmp_path / "state", [str(disk)]) == ()
    assert not (tmp_path / "state").exists()


def test_journal_whose_very_first_write_was_cut_off_holds_nothing(tmp_path, disk) -> None:
    (tmp_path / FILE).touch()
    assert unfinished_commits(tmp_path, [str(disk)]) == ()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_journal_that_cannot_be_read_is_not_no(tmp_path, disk, content) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(Refused) as refusal:
        unfinished_commits(tmp_path, [str(disk)])
    assert refusal.value.first.kind is ReasonKind.TOOL_FAILED


def test_state_directory_that_cannot_be_searched_is_not_no(tmp_path, disk, monkeypatch) -> None:
    """Root may search everything, so the answer of the kernel is made up."""
    real = os.stat

    def stat(path, *arguments, **options):
        if str(path).endswith(FILE):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(Refused) as refusal:
        unfinished_commits(tmp_path, [str(disk)])
    assert refusal.value.first.kind is ReasonKind.NO_PERMISSION


KILLED_IN_A_WRITE = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("pragma cache_size = 1")
connection.execute("begin immediate")
for number in range(2000):
    connection.execute("insert into moves values (1, ?, 1.0)", ("x" * 200,))
connection.execute("update entries set state = 'rolled-back'")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_write_that_a_crash_cut_off_does_not_hide_a_begun_commit(tmp_path, disk) -> None:
    begun(tmp_path, disk)
    done = subprocess.run([sys.executable, "-c", KILLED_IN_A_WRITE, str(tmp_path / FILE)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / f"{FILE}-journal").stat().st_size, "the write was cut off in its middle"
    assert len(unfinished_commits(tmp_path, [str(disk)])) == 1


def test_journal_of_a_newer_unxen_is_read_all_the_same(tmp_path, disk) -> None:
    begun(tmp_path, disk)
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("pragma user_version = 99")
    assert len(unfinished_commits(tmp_path, [str(disk)])) == 1


LIGHT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from unxen.journal.unfinished import unfinished_commits
assert unfinished_commits(Path(sys.argv[2]), ["/dev/null"]) == ()
heavy = {"sqlite3", "nbd", "subprocess", "json", "unxen.host.sandbox", "unxen.journal.store"} & sys.modules.keys()
sys.exit(", ".join(sorted(heavy)) or 0)
"""


def test_asking_where_nothing_was_ever_repaired_loads_next_to_nothing(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", LIGHT, str(PLUGIN), str(tmp_path)], check=False, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0, done.stderr
