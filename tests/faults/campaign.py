# SPDX-License-Identifier: Apache-2.0
"""Strikes unxen at random for as long as one likes: `.venv/bin/python tests/faults/campaign.py --minutes 30 [--seed N]`.

Kinds of disks, the verb, the kind of fault and its moment are drawn; every fault is followed by a recovery and by the same checks
as in the tests. Ends with 1 at the first disk that is neither old nor new, naming the draw; needs root for mounting NTFS volumes.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from faults.bench import UNFINISHED, Bench, make_master
from faults.strikes import (
    SYNCS,
    WRITES,
    Strike,
    at_crossing,
    crossings,
    die_after,
    failing_at,
    in_commit,
    killed_at,
)

GUESTS = (("raw",), ("qcow2",), ("lazy",), ("chain",), ("vhd",), ("vhdx",), ("vdi",), ("vmdk",), ("raw", "lazy", "qcow2"))
ENDS = (0, 40, 43, UNFINISHED, -9)


def draw(dice: random.Random, boundaries: int, disks: int) -> tuple[str, Strike]:
    """A fault and its name."""
    which = dice.randint(1, disks)
    calls = dice.choice((WRITES, SYNCS, (*WRITES, *SYNCS)))
    kind = dice.choice(("boundary", "moment", "daemon", "error"))
    if kind == "boundary":
        number = dice.randint(1, boundaries)
        return f"killed at boundary {number}", at_crossing(number)
    if kind == "moment":
        seconds = dice.uniform(0, 0.06)
        return f"killed {seconds:.4f} s after commit {which} began", in_commit(die_after(seconds), which)
    when = dice.randint(1, 5)
    if kind == "daemon":
        return f"daemon killed at call {when} ({calls[0]}) of commit {which}", in_commit(killed_at(calls, when), which)
    error, more = dice.choice(("EIO", "ENOSPC")), dice.choice(("", "+"))
    what = f"{error} at call {when}{more} ({calls[0]}) of commit {which}"
    return what, in_commit(failing_at(calls, error, f"{when}{more}"), which)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    dice, end = random.Random(arguments.seed), time.monotonic() + 60 * arguments.minutes
    seen: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="unxen-faults-") as scratch:
        os.environ["UNXEN_CONFIG"] = str(Path(scratch) / "unxen.toml")
        master = make_master(Path(scratch) / "master.raw")
        benches = [_bench(master, Path(scratch), kinds) for kinds in GUESTS]
        counts: dict[tuple[int, str], int] = {}
        while time.monotonic() < end:
            index, (start, verb) = dice.randrange(len(benches)), dice.choice((("start", "repair"), ("repaired", "undo")))
            bench = benches[index]
            os.environ["UNXEN_STATE_DIR"] = str(bench.state)
            argv = [verb, *bench.disks]
            if (index, verb) not in counts:
                bench.restore(start)
                counts[index, verb] = len(crossings(argv))
            what, strike = draw(dice, counts[index, verb], len(bench.kinds))
            name = f"seed {arguments.seed}, {'+'.join(bench.kinds)}, {verb}, {what}"
            try:
                seen[bench.strike(name, start, argv, strike, ENDS)] += 1
            except AssertionError as error:
                sys.stderr.write(f"{error}\n")
                return 1
        finished = sum(each.finished for each in benches)
    sys.stdout.write(f"seed {arguments.seed}: {sum(seen.values())} faults, {finished} in a commit, ends {dict(seen)}\n")
    return 0


def _bench(master: Path, scratch: Path, kinds: tuple[str, ...]) -> Bench:
    directory = scratch / "-".join(kinds)
    directory.mkdir()
    return Bench.make(master, directory, directory / "state", kinds)


if __name__ == "__main__":
    sys.exit(main())
