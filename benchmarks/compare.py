# SPDX-License-Identifier: Apache-2.0
"""unxen beside the tools that people use today, on the same disk in turn.

Starts every row's commands, round after round, so that a busy minute of the machine falls on all of them alike.
"""

import math
import os
import shutil
import statistics
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench_disks import Shape, make_bench_disk, make_small_disks
from process_tree import peak_of, seconds_of
from rows import AIMS, MOST_MEMORY, ROWS, Aim, Row
from setting import Setting, table

QUICK_START = 3.0
"""Seconds that an appliance may need under KVM, for what would then remain of the ratios."""
SHORT = 2.0
"""Rows that take less are measured several times a round: chance weighs more on them."""
SHORT_TIMES = 3


def compare(setting: Setting) -> str:
    """Both tables: what every row takes, and what became of the aims."""
    disks = _disks(setting)
    times: dict[str, list[float]] = {row.name: [] for row in ROWS}
    for number in range(setting.rounds):
        for row in ROWS:
            setting.tell(f"round {number + 1} of {setting.rounds}: {row.title}")
            times[row.name].append(_time(setting, row, disks))
            for _ in range(SHORT_TIMES - 1 if times[row.name][-1] < SHORT else 0):
                times[row.name].append(_time(setting, row, disks))
    peaks = {row.name: _peak(setting, row, disks) for row in ROWS}
    return f"{_about(setting)}\n{_rows_table(times, peaks)}\n{_aims_table(times, peaks)}"


def _disks(setting: Setting) -> Mapping[str, Path]:
    setting.tell("making disks")
    windows = setting.folder / "windows.qcow2"
    make_bench_disk(windows, setting.hive, Shape())
    empty, linux = make_small_disks(setting.folder)
    return {"windows": windows, "empty": empty, "linux": linux}


def _fresh(setting: Setting, row: Row, disks: Mapping[str, Path]) -> Path:
    """The disk to work on; a copy is on stable storage before the clock starts, or the tool would pay for our writing."""
    if not row.writes:
        return disks[row.disk]
    copy = setting.folder / "copy.qcow2"
    shutil.copyfile(disks[row.disk], copy)
    os.sync()
    return copy


def _time(setting: Setting, row: Row, disks: Mapping[str, Path]) -> float:
    """Seconds; not a number when a tool fails, which must not cost what was measured of the others."""
    disk = _fresh(setting, row, disks)
    try:
        return sum(seconds_of(each, setting.env, row.good) for each in row.commands(setting.unxen, disk))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        setting.tell(f"{row.title} failed: {error}")
        return math.nan


def _peak(setting: Setting, row: Row, disks: Mapping[str, Path]) -> int:
    setting.tell(f"memory: {row.title}")
    disk = _fresh(setting, row, disks)
    return max(peak_of(each, setting.env) for each in row.commands(setting.unxen, disk))


def _about(setting: Setting) -> str:
    kind = "real" if setting.corpus else "generated: no corpus"
    hive = f"{len(setting.hive) / 1e6:.1f} MB, {kind}"
    load = f"Rounds: {setting.rounds}. Load before: {os.getloadavg()[0]:.1f}."
    return f"Disk: qcow2, 20 GB, 100,000 files, SYSTEM hive of {hive}. {load}\n"


def _rows_table(times: Mapping[str, list[float]], peaks: Mapping[str, int]) -> str:
    lines = []
    for row in ROWS:
        took = times[row.name]
        span = f"{min(took):.2f} to {max(took):.2f}"
        lines.append((row.title, f"{statistics.median(took):.2f} s", span, f"{peaks[row.name] / 1e6:.0f} MB"))
    return table(("", "median", "from, to (s)", "peak memory"), lines)


def _aims_table(times: Mapping[str, list[float]], peaks: Mapping[str, int]) -> str:
    named = {row.name: row for row in ROWS}
    medians = {name: statistics.median(took) for name, took in times.items()}
    lines = [_aim_line(aim, named, medians) for aim in AIMS]
    memory = peaks["in-place"]
    met = "yes" if memory < MOST_MEMORY else "no"
    lines.append(
        (named["in-place"].title, "memory of all processes", f"under {MOST_MEMORY / 1e6:.0f} MB", f"{memory / 1e6:.0f} MB", "", met)
    )
    return table(("", "against", "aim", "measured", f"with an appliance start of {QUICK_START:.0f} s", "met"), lines)


def _aim_line(aim: Aim, named: Mapping[str, Row], medians: Mapping[str, float]) -> tuple[str, ...]:
    ours, theirs = named[aim.row], named[aim.against]
    now = _ratio(aim, medians[aim.row], medians[aim.against])
    quick = _ratio(aim, _quicker(ours, medians), _quicker(theirs, medians)) if ours.starts or theirs.starts else None
    goal = f"{aim.times:.0f} times faster" if aim.times else f"under {aim.most:g} times"
    met = now >= aim.times if aim.times else now < aim.most
    return (ours.title, theirs.title, goal, f"{now:.1f}", f"{quick:.1f}" if quick else "", "yes" if met else "no")


def _ratio(aim: Aim, ours: float, theirs: float) -> float:
    return theirs / ours if aim.times else ours / theirs


def _quicker(row: Row, medians: Mapping[str, float]) -> float:
    """The time that would be left if starting the bare appliance took as long as it may under KVM; the rest is taken as it is."""
    return medians[row.name] - row.starts * (medians["bare"] - QUICK_START)
