# SPDX-License-Identifier: Apache-2.0
"""Many disks at once: what twenty looks and twenty repairs take, one after another and beside each other.

Starts unxen with `--each`; every repair works on a copy of its own.
"""

import os
import shutil
import statistics
from pathlib import Path

from bench_disks import GIB, Shape, make_bench_disk
from process_tree import seconds_of
from setting import Setting, table

DISKS = 20
REPAIRABLE = 3


def many(setting: Setting) -> str:
    """One line per number of jobs."""
    setting.tell("making twenty disks")
    first = setting.folder / "one.qcow2"
    make_bench_disk(first, setting.hive, Shape(size=GIB, files=1_000))
    disks = [setting.folder / f"many-{number}.qcow2" for number in range(DISKS)]
    cores = os.cpu_count() or 1
    took = {(verb, jobs): _took(setting, verb, jobs, first, disks) for verb in ("inspect", "repair") for jobs in (1, cores, DISKS)}
    lines = []
    for verb in ("inspect", "repair"):
        alone = took[verb, 1]
        for jobs in (1, cores, DISKS):
            lines.append((f"`unxen {verb} --each --jobs {jobs}`", f"{took[verb, jobs]:.1f} s", f"{alone / took[verb, jobs]:.2f}"))
    return f"{DISKS} disks of 1 GB, {cores} cores.\n\n" + table(("", "wall", "times as fast as one by one"), lines)


def _took(setting: Setting, verb: str, jobs: int, first: Path, disks: list[Path]) -> float:
    """The median of all rounds; every round repairs fresh copies."""
    times = []
    for number in range(min(setting.rounds, 3)):
        setting.tell(f"{verb} of twenty disks, {jobs} at a time, round {number + 1}")
        if verb == "repair" or not disks[0].exists():
            for disk in disks:
                shutil.copyfile(first, disk)
            os.sync()
        command = [setting.unxen, verb, "--each", "--quiet", "--jobs", str(jobs), *map(str, disks)]
        times.append(seconds_of(command, setting.env, (0, REPAIRABLE)))
    return statistics.median(times)
