# SPDX-License-Identifier: Apache-2.0
"""Runs a command and says how long it took, or how much memory all its processes together had at their peak.

Starts the command. Time and memory are taken in runs of their own: looking at memory costs time.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SHORTEST_PAUSE, LONGEST_PAUSE = 0.002, 0.2
LONGEST_RUN = 900.0


def seconds_of(command: Sequence[str], env: Mapping[str, str], good: Sequence[int]) -> float:
    """Wall time from start to end; raises with what it said when the exit code is none of `good`."""
    begun = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=LONGEST_RUN, check=False)
    took = time.perf_counter() - begun
    if done.returncode not in good:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}: {done.stderr.strip()[-2000:]}")
    return took


def peak_of(command: Sequence[str], env: Mapping[str, str]) -> int:
    """Most bytes that the command and all it started held at one time: proportional set sizes, so shared pages count once."""
    # What a process leaves behind when it ends first, such as a daemon, becomes ours and is still found.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, begun = 0, time.monotonic()
    while process.poll() is None:
        peak = max(peak, sum(map(_memory, _descendants(os.getpid()))))
        time.sleep(min(LONGEST_PAUSE, max(SHORTEST_PAUSE, (time.monotonic() - begun) / 100)))
    _reap()
    return peak


def _descendants(process: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _memory(process: int) -> int:
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _reap() -> None:
    """Ends what was left to us."""
    for child in _descendants(os.getpid()):
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
