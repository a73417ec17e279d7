# SPDX-License-Identifier: Apache-2.0
"""After a crash `unxen recover` ends what was begun: a commit is finished, the rest thrown away, foreign writes are respected."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from content import digest
from disks.test_storage_daemon import checked, machine
from faults.bench import Bench, make_master
from faults.strikes import at_crossing, crossings, die, in_commit, run_struck
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.host.locks import disk_key, own_locks
from unxen.host.sandbox import Box
from unxen.host.storage_daemon import BASE, storage_daemon
from unxen.model.disk import Disk
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import ReasonKind
from unxen.probe.images import check_images

pytestmark = pytest.mark.disk


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Path:
    return make_master(tmp_path_factory.mktemp("master") / "disk.raw")


@pytest.fixture(scope="module")
def benches(master, tmp_path_factory) -> Callable[[str], Bench]:
    """The guest of each kind of disk, made once."""

    @cache
    def make(kind: str) -> Bench:
        directory = tmp_path_factory.mktemp(kind)
        return Bench.make(master, directory, directory / "state", [kind])

    return make


@pytest.fixture
def bench_of(benches, monkeypatch) -> Callable[[str], Bench]:
    def restored(kind: str) -> Bench:
        bench = benches(kind)
        bench.restore("start")
        monkeypatch.setenv("UNXEN_STATE_DIR", str(bench.state))
        return bench

    return restored


@pytest.fixture(params=["raw", "qcow2"])
def bench(request, bench_of) -> Bench:
    return bench_of(request.param)


@pytest.fixture
def raw(bench_of) -> Bench:
    return bench_of("raw")


@pytest.fixture
def unxen(capsys):
    """The program: arguments in, exit code and the JSON documents out."""

    def run(*argv: object) -> tuple[int, list[dict]]:
        code = main([*map(str, argv), "--json"])
        decoder, text, found = json.JSONDecoder(), capsys.readouterr().out, []
        while text.strip():
            document, end = decoder.raw_decode(text.lstrip())
            found.append(document)
            text = text.lstrip()[end:]
        return code, found

    return run


def kinds(documents: list[dict]) -> list[str]:
    return [each["kind"] for document in documents for each in (*document["notes"], *document["reasons"])]


def torn(bench: Bench, *then: str) -> None:
    """Killed in a commit that has written some of its ranges: the last range was not yet written, the first one was."""
    assert run_struck(["repair", *bench.disks], in_commit(lambda _daemon: die())) == -signal.SIGKILL
    assert bench.unfinished() == 1
    ((start, length),) = bench.rows("select start, length from ranges where role = 'written' order by start limit 1")
    kind = bench.disk(0).suffix[1:]
    piece = bench.side(0, "piece")
    piece.write_bytes(bench.side(0, "new").read_bytes()[start : start + length // 2])
    _write(bench.disk(0), kind, start, length // 2, piece, *then)
    assert bench.content(0) == "mixed"


def _write(disk: Path, kind: str, start: int, length: int, source: Path | None = None, *then: str) -> None:
    what = f"-s {source}" if source else "-P 0x99"
    command = [
        "qemu-io",
        "-f",
        kind,
        "-c",
        f"write {what} {start} {length}",
        *(word for each in then for word in ("-c", each)),
        disk,
    ]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert done.returncode == (-signal.SIGABRT if then else 0)


def test_torn_commit_is_finished_and_can_be_undone(bench, unxen) -> None:
    torn(bench)
    code, (document,) = unxen("recover")
    assert (code, document["verdict"], document["changed"]) == (0, "recovered", True)
    assert document["target"] == [str(bench.disk(0))]
    assert document["notes"][0]["details"] == {"bus": "sata"}
    assert bench.check_settled("torn") == "new"
    assert unxen("inspect", bench.disk(0))[0] == 0
    assert unxen("undo", bench.disk(0))[0] == 0
    assert bench.check_settled("undone") == "was"


def test_unfinished_overlay_is_thrown_away(bench, unxen) -> None:
    names = crossings(["repair", bench.disk(0)])
    bench.restore("start")
    assert run_struck(["repair", bench.disk(0)], at_crossing(names.index("before add_ranges") + 1)) == -signal.SIGKILL
    assert list(bench.state.rglob("*.qcow2"))
    code, documents = unxen("recover")
    assert (code, kinds(documents), documents[0]["changed"]) == (0, ["overlay-thrown-away"], False)
    assert bench.check_settled("thrown away") == "was"


def test_nothing_interrupted_is_no_error(raw, unxen, tmp_path, monkeypatch) -> None:
    assert kinds(unxen("recover")[1]) == ["nothing-interrupted"]
    monkeypatch.setenv("UNXEN_STATE_DIR", str(tmp_path / "nowhere"))
    assert unxen("recover")[0] == 0
    assert not (tmp_path / "nowhere").exists(), "asking makes nothing"


@pytest.mark.parametrize("where", ["written", "witness"])
def test_guest_that_wrote_meanwhile_is_not_overwritten(bench, unxen, where) -> None:
    """Somebody got around the guards and started the machine on the torn disk."""
    torn(bench)
    question = f"select start + length - 512 from ranges where role = '{where}' order by length, start limit 1"
    ((place,),) = bench.rows(question)
    _write(bench.disk(0), bench.disk(0).suffix[1:], place, 512)
    before, kept = digest(bench.disk(0)), sorted(bench.state.rglob("*.qcow2"))
    for _ in range(2):
        code, documents = unxen("recover")
        assert (code, kinds(documents)) == (44, ["recovery-refused"])
    assert documents[0]["reasons"][0]["cause"].startswith("Somebody else wrote to the disk")
    assert digest(bench.disk(0)) == before
    assert sorted(bench.state.rglob("*.qcow2")) == kept
    assert unxen("inspect", bench.disk(0))[0] == 44


def test_looks_report_a_torn_disk_and_leave_it(raw, unxen) -> None:
    torn(raw)
    before = digest(raw.disk(0)), digest(raw.state / "journal.sqlite3")
    for verb in ("inspect", "plan"):
        code, (document,) = unxen(verb, raw.disk(0))
        assert (code, document["reasons"][0]["kind"]) == (44, "commit-unfinished")
        assert "unxen recover" in document["reasons"][0]["remedy"]
    assert (digest(raw.disk(0)), digest(raw.state / "journal.sqlite3")) == before
    assert unxen("repair", raw.disk(0))[0] == 44
    assert unxen("undo", raw.disk(0))[0] == 44


def test_disk_that_was_restored_by_other_means_is_let_go_by_hand(raw, unxen) -> None:
    torn(raw)
    raw.disk(0).write_bytes(raw.side(0, "was").read_bytes()[:-1] + b"\x01")
    _write(raw.disk(0), "raw", raw.rows("select start from ranges where role = 'written' limit 1")[0][0], 512)
    assert unxen("recover")[0] == 44
    shutil.copyfile(raw.side(0, "was"), raw.disk(0))
    assert unxen("recover", "--forget", "99")[0] == 2
    before = digest(raw.disk(0))
    code, documents = unxen("recover", "--forget", "1")
    assert (code, kinds(documents)) == (0, ["abandoned"])
    assert digest(raw.disk(0)) == before
    assert not list(raw.state.rglob("*.qcow2"))
    assert unxen("repair", raw.disk(0))[0] == 0


def test_entry_of_a_living_unxen_is_left_alone(raw, unxen) -> None:
    torn(raw)
    before = digest(raw.disk(0))
    with own_locks(raw.state / "locks", [str(raw.disk(0))], wait=0, waiting=lambda: None):
        code, documents = unxen("recover")
    assert (code, kinds(documents)) == (0, ["still-at-work"])
    assert digest(raw.disk(0)) == before
    assert raw.unfinished() == 1


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_torn_disk_that_a_machine_has_is_told_to_wait(bench_of, unxen, kind) -> None:
    bench = bench_of(kind)
    torn(bench)
    before = digest(bench.disk(0))
    with machine(bench.disk(0), kind) as said:
        assert said == ""
        code, documents = unxen("recover")
    assert (code, kinds(documents)) == (14, ["in-use"])
    if kind == "raw":
        assert digest(bench.disk(0)) == before
    assert unxen("recover")[0] == 0
    assert bench.check_settled("after the machine") == "new"


def test_missing_disk_does_not_keep_another_from_its_recovery(benches, own_state, unxen) -> None:
    guests = [replace(benches(kind), state=own_state) for kind in ("raw", "qcow2")]
    for each in guests:
        each.restore("start")
    for each in guests:
        assert run_struck(["repair", each.disk(0)], in_commit(lambda _daemon: die())) == -signal.SIGKILL
    away = guests[0].disk(0).rename(guests[0].side(0, "away"))
    code, documents = unxen("recover")
    assert (code, kinds(documents)) == (10, ["disk-missing", "commit-finished"])
    assert guests[1].content(0) == "new"
    away.rename(guests[0].disk(0))
    assert unxen("recover")[0] == 0
    assert guests[0].check_settled("back again") == "new"


def test_disk_is_found_by_its_path_when_devices_were_numbered_anew(raw, unxen) -> None:
    """As after a start of the host: the journal's key is no file's any more."""
    torn(raw)
    shutil.copyfile(raw.disk(0), raw.side(0, "copy"))
    key = disk_key(str(raw.disk(0)))
    raw.side(0, "copy").replace(raw.disk(0))
    assert disk_key(str(raw.disk(0))) != key
    assert unxen("inspect", raw.disk(0))[0] == 44
    assert unxen("recover")[0] == 0
    assert raw.check_settled("by path") == "new"


@pytest.mark.parametrize(("what", "cause"), [("overlay", "overlay"), ("undo", "old bytes"), ("both", "gone")])
def test_damaged_working_files_are_never_written_to_a_disk(raw, unxen, what, cause) -> None:
    torn(raw)
    before = digest(raw.disk(0))
    ((start,),) = raw.rows("select max(start) from ranges where role = 'written'")
    (overlay,), (undo,) = raw.state.rglob("work/*/overlay.qcow2"), raw.state.rglob("undo/*.qcow2")
    if what == "both":
        overlay.unlink()
    else:
        target = {"overlay": overlay, "undo": undo}[what]
        command = ["qemu-io", "-c", f"write -P 0x66 {start} 512", f"json:{_alone(target)}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    code, (document,) = unxen("recover")
    assert (code, document["reasons"][0]["kind"]) == (44, "recovery-refused")
    assert cause in document["reasons"][0]["cause"]
    assert digest(raw.disk(0)) == before


def _alone(path: Path) -> str:
    return json.dumps({"driver": "qcow2", "backing": None, "file": {"driver": "file", "filename": str(path)}})


def test_qcow2_with_lazy_refcounts_is_repaired_before_it_is_written_again(bench_of, unxen) -> None:
    """The crash leaves it dirty; a second commit onto that ends without an error, and the guest's next writes eat what it wrote."""
    bench = bench_of("lazy")
    disk = bench.disk(0)
    torn(bench, "flush", "abort")
    assert disk.read_bytes()[79] & 1, "it is marked as dirty"
    assert unxen("recover")[0] == 0
    assert bench.check_settled("lazy") == "new"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x77 8M 2M", disk], check=True, stdout=subprocess.DEVNULL)
    seen = bench.side(0, "seen")
    bench.export(0, seen)
    expected = bytearray(bench.side(0, "new").read_bytes())
    expected[8 << 20 : 10 << 20] = b"\x77" * (2 << 20)
    assert seen.read_bytes() == bytes(expected)


def test_vhdx_whose_log_was_not_replayed_is_read_without_touching_it(tmp_path) -> None:
    path = tmp_path / "disk.vhdx"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", path, "64M"], check=True)
    trace = ["strace", "-f", "-o", os.devnull, "-e", "trace=pwrite64,fdatasync"]
    for when in range(1, 12):
        copy = tmp_path / "copy.vhdx"
        shutil.copyfile(path, copy)
        kill = ["-e", f"inject=pwrite64,fdatasync:signal=SIGKILL:when={when}"]
        write = ["qemu-io", "-f", "vhdx", "-c", "write -P 5 0 64k", "-c", "flush", copy]
        subprocess.run([*trace, *kill, *write], check=False, stdout=-3, stderr=-3)
        if _is_dirty(copy) and _can_be_replayed(copy):
            break
    assert _is_dirty(copy), "no kill left a log behind"
    before = digest(copy)
    with Box.open() as box:
        (chain,) = check_images([Disk(DiskNumber(1), str(copy), ImageFormat.VHDX)], box, [], after_crash=True)
    work = tmp_path / "work"
    work.mkdir()
    with storage_daemon(chain, work, aside=True) as daemon:
        daemon.export(BASE)
        with daemon.client() as client:
            assert set(client.read(0, 64 << 10)) <= {0, 5}
    assert digest(copy) == before


def _can_be_replayed(path: Path) -> bool:
    """QEMU itself cannot take up every log that it was killed over."""
    tried = path.with_suffix(".tried")
    shutil.copyfile(path, tried)
    return subprocess.run(["qemu-io", "-f", "vhdx", "-c", "read 0 512", tried], check=False, stdout=-3, stderr=-3).returncode == 0


def _is_dirty(path: Path) -> bool:
    try:
        checked(path)
    except Refused as error:
        return error.first.kind is ReasonKind.IMAGE_DIRTY
    return False
