# SPDX-License-Identifier: Apache-2.0
"""unxen is killed wherever it may be: between any two of its steps, in the middle of a commit, in an undo, in a recovery.

Every time the disks end as the old or the repaired ones, byte for byte, and nothing is left open or lying about.
"""

import signal
from collections.abc import Callable
from functools import cache

import pytest

from faults.bench import Bench, make_master
from faults.strikes import at_crossing, crossings, die, die_after, in_commit, moments, run_struck

pytestmark = pytest.mark.disk
KILLED = (-signal.SIGKILL,)
MILLISECONDS = range(2, 26, 4)


@pytest.fixture(scope="module")
def benches(tmp_path_factory) -> Callable[..., Bench]:
    """The guests of this file, each made once."""
    master = make_master(tmp_path_factory.mktemp("master") / "disk.raw")

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


def boundaries(bench: Bench, start: str, argv: list[object], since: str = "") -> list[int]:
    """Where a run is to be killed, from the first boundary of that name on."""
    bench.restore(start)
    names = crossings(argv)
    first = names.index(since) + 1 if since else 1
    return [number for number in moments(names) if number >= first]


@pytest.mark.parametrize(("kind", "since"), [("raw", ""), ("qcow2", "before add_ranges")])
def test_repair_killed_between_any_two_steps(bench_of, kind, since) -> None:
    bench = bench_of(kind)
    argv = ["repair", *bench.disks]
    found = {bench.strike(f"{kind} at {n}", "start", argv, at_crossing(n), KILLED) for n in boundaries(bench, "start", argv, since)}
    assert found == {"was", "new"}
    assert bench.finished > 3


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_undo_killed_between_any_two_steps(bench_of, kind) -> None:
    bench = bench_of(kind)
    argv = ["undo", *bench.disks]
    since = "" if kind == "raw" else "before commit"
    found = set()
    for number in boundaries(bench, "repaired", argv, since):
        end = bench.strike(f"undo of {kind} at {number}", "repaired", argv, at_crossing(number), KILLED)
        found.add(end)
        # What was thrown away can be asked for again; what was finished is over.
        assert run_struck(argv) == (0 if end == "new" else 43)
    assert found >= {"was"}


@pytest.mark.parametrize("kind", ["raw", "lazy"])
def test_recovery_killed_between_any_two_steps_is_run_again(bench_of, kind) -> None:
    bench = bench_of(kind)
    # On a busy machine the commit may be over before the kill comes.
    for strike in (die_after(0.012), die_after(0.004), lambda _daemon: die()):
        bench.restore("start")
        assert run_struck(["repair", *bench.disks], in_commit(strike)) in (0, *KILLED)
        if bench.unfinished():
            break
    bench.save("torn")
    for number in boundaries(bench, "torn", ["recover"]):
        assert bench.strike(f"recovery of {kind} at {number}", "torn", ["recover"], at_crossing(number), KILLED) == "new"
    assert run_struck(["undo", *bench.disks]) == 0
    assert bench.check_settled("undone after many recoveries") == "was"


@pytest.mark.parametrize("kind", ["raw", "qcow2", "lazy", "chain", "vhd", "vhdx"])
def test_repair_killed_at_many_moments_of_its_commit(bench_of, kind) -> None:
    bench = bench_of(kind)
    for millisecond in MILLISECONDS:
        strike = in_commit(die_after(millisecond / 1000))
        found = bench.strike(f"{kind} after {millisecond} ms", "start", ["repair", *bench.disks], strike, (0, *KILLED))
        assert found == "new", "a begun commit is finished"
    assert run_struck(["undo", *bench.disks]) == 0
    assert bench.check_settled(f"{kind} undone") == "was"


def test_guest_of_three_disks_is_old_or_new_as_a_whole(bench_of) -> None:
    bench = bench_of("raw", "qcow2", "raw")
    argv = ["repair", *bench.disks]
    for number in boundaries(bench, "start", argv, "before commit"):
        assert bench.strike(f"three disks at {number}", "start", argv, at_crossing(number), KILLED) == "new"
    for which in (1, 2, 3):
        for millisecond in (4, 12):
            strike = in_commit(die_after(millisecond / 1000), which)
            what = f"three disks, commit {which}, {millisecond} ms"
            assert bench.strike(what, "start", argv, strike, (0, *KILLED)) == "new"
    assert run_struck(["undo", *bench.disks]) == 0
    assert bench.check_settled("three disks undone") == "was"


def test_faults_of_this_file_are_many(benches) -> None:
    """Counted, so that nobody makes them few without seeing it; runs last."""
    made = [
        benches(*kinds) for kinds in (("raw",), ("qcow2",), ("lazy",), ("chain",), ("vhd",), ("vhdx",), ("raw", "qcow2", "raw"))
    ]
    assert sum(each.faults for each in made) >= 160
    assert sum(each.finished for each in made) >= 50
