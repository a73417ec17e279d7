# SPDX-License-Identifier: Apache-2.0
"""The storage daemon dies, disks give errors or run full, file systems become read-only: the disks end old or new.

Errors come from the kernel's side (strace), from QEMU's blkdebug driver, or from file systems that really are full or read-only.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from disks.test_storage_daemon import machine

from faults.bench import UNFINISHED, Bench, make_master
from faults.strikes import SYNCS, WRITES, at_crossing, crossings, failing_at, in_commit, killed_at, run_struck, with_blkdebug

pytestmark = pytest.mark.disk
KINDS = ["raw", "qcow2", "lazy", "chain", "vhd", "vhdx"]
ROLLED_BACK, BUSY, IN_USE = 40, 33, 14
ENDS = (0, ROLLED_BACK, UNFINISHED)


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Path:
    return make_master(tmp_path_factory.mktemp("master") / "disk.raw")


@pytest.fixture(scope="module")
def benches(master, tmp_path_factory) -> Callable[..., Bench]:
    """The guests of this file, each made once."""

    @cache
    def make(*kinds: str) -> Bench:
        directory = tmp_path_factory.mktemp("-".join(kinds))
        return Bench.make(master, directory, directory / "state", kinds)

    return make


@pytest.fixture
def bench_of(benches, monkeypatch) -> Callable[..., Bench]:
    def chosen(*kinds: str) -> Bench:
        bench = benches(*kinds)
        monkeypatch.setenv("UNXEN_STATE_DIR", str(bench.state))
        return bench

    return chosen


@pytest.mark.parametrize("kind", KINDS)
def test_daemon_killed_at_its_writes_and_syncs(bench_of, kind) -> None:
    bench = bench_of(kind)
    for calls, when in ((WRITES, 1), (WRITES, 2), (SYNCS, 1), (SYNCS, 2)):
        strike = in_commit(killed_at(calls, when))
        found = bench.strike(
            f"{kind}: daemon killed at {calls[0]} {when}", "start", ["repair", *bench.disks], strike, (0, UNFINISHED)
        )
        assert found == "new"


@pytest.mark.parametrize("kind", KINDS)
def test_errors_in_the_commit_are_taken_back_or_finished(bench_of, kind) -> None:
    """Once, and it is tried again; for good, and the old bytes cannot be written either: then a recovery has to, later."""
    bench = bench_of(kind)
    for calls, error, when in (
        (WRITES, "EIO", "1"),
        (WRITES, "EIO", "1+"),
        (WRITES, "ENOSPC", "1+"),
        (SYNCS, "EIO", "1"),
        (SYNCS, "EIO", "1+"),
    ):
        what = f"{kind}: {error} at {calls[0]} {when}"
        bench.strike(what, "start", ["repair", *bench.disks], in_commit(failing_at(calls, error, when)), ENDS)


EVENTS = {
    "raw": ("pwritev", "flush_to_disk"),
    "lazy": ("cluster_alloc", "l2_update", "refblock_update", "write_aio", "flush_to_os"),
    "chain": ("l2_alloc_write", "l2_update", "refblock_alloc", "flush_to_disk"),
}


@pytest.mark.parametrize("kind", EVENTS)
def test_errors_of_qemus_own_debug_driver(bench_of, kind) -> None:
    bench = bench_of(kind)
    for event in EVENTS[kind]:
        for errno, once in ((5, True), (5, False), (28, False)):
            what = f"{kind}: errno {errno} at {event}, once {once}"
            bench.strike(what, "start", ["repair", *bench.disks], with_blkdebug(event, errno, once=once), ENDS)


def test_undo_that_meets_errors_leaves_the_repaired_or_the_old_disk(bench_of) -> None:
    bench = bench_of("lazy")
    for calls, error, when in ((WRITES, "EIO", "1"), (WRITES, "EIO", "1+"), (WRITES, "ENOSPC", "2+"), (SYNCS, "EIO", "1+")):
        strike = in_commit(failing_at(calls, error, when))
        bench.strike(f"undo: {error} at {calls[0]} {when}", "repaired", ["undo", *bench.disks], strike, ENDS)
    for when in (1, 2, 3):
        strike = in_commit(killed_at((*WRITES, *SYNCS), when))
        bench.strike(f"undo: daemon killed at {when}", "repaired", ["undo", *bench.disks], strike, ENDS)


def test_guest_of_three_disks_of_which_one_fails(bench_of) -> None:
    bench = bench_of("raw", "qcow2", "raw")
    for which in (1, 2, 3):
        for strike in (failing_at(WRITES, "EIO", "1+"), killed_at(WRITES, 1)):
            bench.strike(f"three disks, commit {which}", "start", ["repair", *bench.disks], in_commit(strike, which), ENDS)


@contextmanager
def small_file_system(place: Path, size: int) -> Iterator[Path]:
    """A file system of its own that can be filled and made read-only."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_disk_on_a_full_file_system_is_left_as_it_was_and_repaired_once_there_is_room(master, tmp_path, own_state) -> None:
    """The chain's top has to grow by every cluster that is written."""
    with small_file_system(tmp_path / "small", 64 << 20) as place:
        bench = Bench.make(master, place, own_state, ["chain"])
        filler = place / "filler"

        def fill() -> None:
            with filler.open("wb", 0) as file:
                try:
                    while True:
                        file.write(b"f" * (64 << 10))
                except OSError:
                    pass

        bench.restore("start")
        names = crossings(["repair", *bench.disks])
        bench.restore("start")
        code = run_struck(["repair", *bench.disks], at_crossing(names.index("before commit") + 1, fill))
        assert code == ROLLED_BACK
        filler.unlink()
        assert bench.check_settled("full") == "was"
        assert run_struck(["repair", *bench.disks]) == 0
        assert bench.check_settled("room again") == "new"


def test_file_system_that_becomes_read_only_before_the_commit_rolls_back(master, tmp_path, own_state) -> None:
    with small_file_system(tmp_path / "small", 96 << 20) as place:
        bench = Bench.make(master, place, own_state, ["qcow2"])
        bench.restore("start")
        names = crossings(["repair", *bench.disks])
        bench.restore("start")

        def remount(how: str = "ro") -> None:
            subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)

        code = run_struck(["repair", *bench.disks], at_crossing(names.index("before commit") + 1, remount))
        try:
            assert code == ROLLED_BACK
            assert bench.check_settled("read-only") == "was"
            assert run_struck(["repair", *bench.disks]) == 17
        finally:
            remount("rw")


def test_file_system_that_becomes_read_only_after_a_kill_makes_the_recovery_wait(master, tmp_path, own_state) -> None:
    with small_file_system(tmp_path / "small", 96 << 20) as place:
        bench = Bench.make(master, place, own_state, ["raw"])
        bench.restore("start")
        assert run_struck(["repair", *bench.disks], in_commit(lambda _daemon: os.kill(os.getpid(), signal.SIGKILL))) < 0
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        assert run_struck(["recover"]) == 17
        assert bench.unfinished() == 1
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
        assert run_struck(["recover"]) == 0
        assert bench.check_settled("writable again") == "new"


@contextmanager
def stopped_at(argv: list[object], name: str, number: int) -> Iterator[int]:
    """A run of the program that stands still at a boundary; goes on when the block ends, and must end well."""
    child = os.fork()
    if child == 0:
        os._exit(run_struck(argv, at_crossing(number, lambda: os.kill(os.getpid(), signal.SIGSTOP))))
    inner = _stopped_child(child)
    try:
        yield inner
    finally:
        os.kill(inner, signal.SIGCONT)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, f"{name}: ended with {code}"


def _stopped_child(pid: int) -> int:
    while True:
        for inner in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{inner}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                return int(inner)


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_second_unxen_and_a_starting_machine_are_told_to_wait(bench_of, kind) -> None:
    bench = bench_of(kind)
    for start, verb in (("start", "repair"), ("repaired", "undo")):
        bench.restore(start)
        names = crossings([verb, *bench.disks])
        for step in ("before create_image", "before commit"):
            bench.restore(start)
            with stopped_at([verb, *bench.disks], step, names.index(step) + 1):
                for other in ("repair", "undo"):
                    assert run_struck([other, *bench.disks]) == BUSY
                assert run_struck(["recover"]) == 0, "a living unxen is left alone"
                with machine(bench.disk(0), kind) as said:
                    assert "lock" in said
            bench.check_settled(f"{verb} at {step}")


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_unxen_is_told_to_wait_while_a_machine_has_the_disk(bench_of, kind) -> None:
    bench = bench_of(kind)
    for start, verb in (("start", "repair"), ("repaired", "undo")):
        bench.restore(start)
        with machine(bench.disk(0), kind) as said:
            assert said == ""
            assert run_struck([verb, *bench.disks]) == IN_USE
        assert bench.contents() == {"was" if start == "start" else "new"}


def test_faults_of_this_file_are_many(benches) -> None:
    """Counted, so that nobody makes them few without seeing it; runs last."""
    guests = [("raw",), ("qcow2",), ("lazy",), ("chain",), ("vhd",), ("vhdx",), ("raw", "qcow2", "raw")]
    made = [benches(*kinds) for kinds in guests]
    assert sum(each.faults for each in made) >= 90
    assert set.union(*(each.ends for each in made)) == {"was", "new"}
