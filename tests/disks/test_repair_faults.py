# SPDX-License-Identifier: Apache-2.0
"""Whatever goes wrong before the commit leaves the disk as it came and nothing behind; what goes wrong in it is taken back."""

import json
import sqlite3
import subprocess
from pathlib import Path

import pytest
from content import digest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel
from unxen.cli.main import main
from unxen.errors import refused
from unxen.host.storage_daemon import CommitFailed, StorageDaemon
from unxen.journal.records import EntryState
from unxen.journal.store import open_journal
from unxen.model.reason import ReasonKind
from unxen.model.settings import Delivery
from unxen.repair import pipeline
from unxen.repair.delivery.delivering import Delivered
from unxen.repair.transaction import MOVES, IllegalMove, Transaction

pytestmark = pytest.mark.disk


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Path:
    """A raw disk whose Windows Xen drivers have changed; copied by every test."""
    hive = windows_hive("10", families=["xcpng"])
    path = tmp_path_factory.mktemp("master") / "disk.raw"
    return make_disk(path, hive, format="raw", size=48 * MIB, kernel=kernel((10, 0, 19041)), files=driver_files(hive))


@pytest.fixture(params=["raw", "qcow2"])
def disk(request, master, tmp_path) -> Path:
    path = tmp_path / f"disk.{request.param}"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", request.param, master, path], check=True)
    return path


@pytest.fixture
def repair(capsys):
    def run(*argv: object) -> tuple[int, dict]:
        code = main(["repair", *map(str, argv), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def as_raw(path: Path, name: str) -> None:
    """What a guest reads, as a file beside the disk."""
    command = ["qemu-img", "convert", "-f", path.suffix[1:], "-O", "raw", path, path.with_suffix(f".{name}")]
    subprocess.run(command, check=True)


def states(state_dir: Path) -> list[str]:
    with sqlite3.connect(state_dir / "journal.sqlite3") as connection:
        return [row[0] for row in connection.execute("select state from entries order by id")]


def test_edit_that_did_more_than_the_plan_is_rolled_back(disk, repair, own_state, monkeypatch) -> None:
    """Another value is changed in the edited hive, as a defect of the editor would."""
    real = pipeline.edit_hive

    def careless(box, hive, edits, sequence, **rest):
        return real(box, hive, edits[:-1], sequence, **rest)

    monkeypatch.setattr(pipeline, "edit_hive", careless)
    before = digest(disk)
    code, document = repair(disk)
    assert (code, document["verdict"], document["changed"]) == (40, "failed", False)
    assert digest(disk) == before
    assert states(own_state) == ["rolled-back"]
    assert not list(own_state.rglob("*.qcow2"))


@pytest.mark.parametrize("claimed", ["in-place", "appliance"])
def test_byte_changed_outside_of_the_hive_is_rolled_back(disk, repair, own_state, monkeypatch, claimed) -> None:
    """Also when the delivery went through a file system, which may change its own books, but not this."""
    real = pipeline.deliver

    def sloppy(parcels, wanted, listener):
        real(parcels, wanted, listener)
        parcel = parcels[0]
        with parcel.held.daemon.client() as client:
            client.write(parcel.volume.start + parcel.volume.length - 4096, b"\xff" * 512)
            client.flush()
        return Delivered(Delivery(claimed), "")

    monkeypatch.setattr(pipeline, "deliver", sloppy)
    before = digest(disk)
    assert repair(disk)[0] == 40
    assert digest(disk) == before
    assert states(own_state) == ["rolled-back"]


STEPS = [(Transaction, "stage"), (pipeline.Pipeline, "_edit"), (pipeline.Pipeline, "_verify"), (Transaction, "keep_undo_data")]


@pytest.mark.parametrize(("owner", "name"), STEPS, ids=lambda each: each if isinstance(each, str) else "")
def test_failure_in_any_step_before_the_commit_leaves_no_trace(disk, repair, own_state, monkeypatch, owner, name) -> None:
    real = getattr(owner, name)

    def failing(self, *arguments):
        real(self, *arguments)
        raise refused(ReasonKind.NO_SPACE, "somewhere", needed=1, free=0)

    monkeypatch.setattr(owner, name, failing)
    before = digest(disk)
    code, document = repair(disk)
    assert (code, document["changed"]) == (31, False)
    assert digest(disk) == before
    assert states(own_state) == ["rolled-back"]
    assert not list(own_state.rglob("*.qcow2"))


def test_interruption_before_the_commit_leaves_no_trace(disk, repair, own_state, monkeypatch) -> None:
    def interrupted(self, *_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline.Pipeline, "_verify", interrupted)
    before = digest(disk)
    assert repair(disk)[1]["changed"] is False
    assert digest(disk) == before
    assert states(own_state) == ["rolled-back"]


def test_commit_that_fails_once_is_tried_again(disk, repair, own_state, monkeypatch) -> None:
    real, calls = StorageDaemon.commit, []

    def once(self, overlay):
        calls.append(overlay)
        if len(calls) == 1:
            raise CommitFailed("Input/output error")
        real(self, overlay)

    monkeypatch.setattr(StorageDaemon, "commit", once)
    assert repair(disk)[0] == 0
    assert len(calls) == 2
    assert states(own_state) == ["committed"]


def test_commit_that_cannot_be_finished_gets_its_old_bytes_back(disk, repair, own_state, monkeypatch) -> None:
    """The disk is torn when it fails: everything was written, but an error came all the same."""
    real = StorageDaemon.commit

    def torn(self, overlay):
        real(self, overlay)
        raise CommitFailed("Input/output error")

    monkeypatch.setattr(StorageDaemon, "commit", torn)
    kind = disk.suffix[1:]
    as_raw(disk, "was")
    code, document = repair(disk)
    assert (code, document["changed"]) == (40, False)
    same = subprocess.run(["qemu-img", "compare", "-f", kind, "-F", "raw", disk, disk.with_suffix(".was")], check=False)
    assert same.returncode == 0
    assert states(own_state) == ["rolled-back"]


def test_unfinished_overlay_of_a_dead_process_is_thrown_away(disk, repair, own_state) -> None:
    work = own_state / "work" / "left"
    work.mkdir(parents=True)
    (work / "overlay.qcow2").write_bytes(b"left")
    _leave_behind(own_state, disk, work, EntryState.STAGED)
    assert repair(disk)[0] == 0
    assert states(own_state) == ["rolled-back", "committed"]
    assert not (work / "overlay.qcow2").exists()


def test_begun_commit_of_a_dead_process_stops_everything(disk, repair, own_state) -> None:
    work = own_state / "work" / "left"
    work.mkdir(parents=True)
    (work / "overlay.qcow2").write_bytes(b"left")
    _leave_behind(own_state, disk, work, EntryState.STAGED, EntryState.DELIVERED, EntryState.VERIFIED, EntryState.COMMITTING)
    before = digest(disk)
    code, document = repair(disk)
    assert (code, document["reasons"][0]["kind"]) == (44, "commit-unfinished")
    assert digest(disk) == before
    assert (work / "overlay.qcow2").exists()


def _leave_behind(state_dir: Path, disk: Path, work: Path, *way: EntryState) -> None:
    """What a process that was killed in the last of these states leaves in the journal."""
    from unxen.host.locks import disk_key
    from unxen.journal.records import DiskRow, EntryKind
    from unxen.model.ids import DiskNumber, ImageFormat

    row = DiskRow(DiskNumber(1), disk_key(str(disk)), str(disk), ImageFormat(disk.suffix[1:]), 1, 1, str(work))
    with open_journal(state_dir) as journal:
        transaction = Transaction(journal, journal.begin(EntryKind.REPAIR, [str(disk)], "plan", "{}", [row]), state_dir, ())
        for state in way:
            transaction.move(state)


def test_undo_is_refused_once_the_machine_has_written(disk, repair, capsys) -> None:
    """A booted Windows raises its hive's sequence numbers; here the byte is changed as a guest would, through QEMU."""
    assert repair(disk)[0] == 0
    as_raw(disk, "now")
    place = disk.with_suffix(".now").read_bytes().index(b"regf")
    write = f"write -P 0x55 {place + 4} 1"
    subprocess.run(["qemu-io", "-f", disk.suffix[1:], "-c", write, disk], check=True, stdout=subprocess.DEVNULL)
    before = digest(disk)
    capsys.readouterr()
    assert main(["undo", str(disk), "--json"]) == 42
    assert digest(disk) == before


def test_qcow2_with_a_persistent_bitmap_is_not_touched_by_a_dry_run(master, tmp_path, repair) -> None:
    """Opening such an image for writing marks its bitmaps as in use: the file would change before anything was verified."""
    path = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", master, path], check=True)
    subprocess.run(["qemu-img", "bitmap", "--add", "-f", "qcow2", path, "backup"], check=True)
    before = digest(path), path.stat().st_mtime_ns
    assert repair(path, "--dry-run")[0] == 3
    assert (digest(path), path.stat().st_mtime_ns) == before


def test_two_repairs_of_one_disk_do_not_meet(disk, repair, own_state) -> None:
    from unxen.host.locks import own_locks

    with own_locks(own_state / "locks", [str(disk)], wait=0, waiting=lambda: None):
        assert repair(disk)[0] == 33
    assert repair(disk)[0] == 0


def test_raw_file_with_an_odd_length_gets_it_back(master, tmp_path, repair, capsys) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(master.read_bytes() + b"tail" * 50)
    before = digest(path)
    assert repair(path)[0] == 0
    capsys.readouterr()
    assert main(["undo", str(path), "--json"]) == 0
    assert digest(path) == before


def test_table_of_moves_has_one_way_out_of_a_commit(tmp_path) -> None:
    assert set(MOVES) == set(EntryState)
    with open_journal(tmp_path) as journal:
        from unxen.journal.records import EntryKind

        transaction = Transaction(journal, journal.begin(EntryKind.REPAIR, ["x"], "", "", []), tmp_path, ())
        with pytest.raises(IllegalMove):
            transaction.move(EntryState.COMMITTED)


def spoiled(hive: bytes) -> bytes:
    """Another hash beside the first key of the first list that has some: found by the audit alone."""
    at = hive.index(b"lh") + 8
    return hive[:at] + bytes(byte ^ 0xFF for byte in hive[at : at + 4]) + hive[at + 4 :]


@pytest.mark.parametrize("editor", ["works", "stumbles"])
def test_hive_that_is_not_sound_is_refused_for_that_whatever_the_editor_does(
    tmp_path, repair, own_state, monkeypatch, editor
) -> None:
    """Its audit runs beside the edit, so an edit may have been made, or have failed, when the flaw is known."""
    hive = spoiled(windows_hive("10", families=["xcpng"]))
    path = tmp_path / "spoiled.raw"
    make_disk(path, hive, format="raw", kernel=kernel((10, 0, 19045)), files=driver_files(hive), size=48 * MIB)
    if editor == "stumbles":

        def stumbling(*_arguments, **_options):
            raise refused(ReasonKind.PROBE_FAILED, "edit", cause="died")

        monkeypatch.setattr(pipeline, "edit_hive", stumbling)
    before = digest(path)
    code, document = repair(path)
    assert (code, document["changed"], document["reasons"][0]["details"]["cause"]) == (20, False, "hash")
    assert digest(path) == before
    assert states(own_state) == ["rolled-back"]
