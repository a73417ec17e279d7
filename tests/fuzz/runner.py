# SPDX-License-Identifier: Apache-2.0
"""Bends inputs of one target after another, in a process that may die, and keeps what was found.

Writes found inputs into the directory given; nothing else. The same seed finds the same.
"""

import hashlib
import multiprocessing
import multiprocessing.connection
import resource
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz.targets import TARGETS

SECONDS = 60
"""For one input; a look at a whole disk takes a tenth of one on a quiet machine."""
MEMORY = 3 << 30
BATCH = 50


@dataclass(frozen=True)
class Finding:
    """An input that a target could not take, and what happened."""

    target: str
    data: bytes
    what: str


class NoEnd(BaseException):
    """An input took too long; no `except Exception` may hide that."""


def run_one(target: str, data: bytes) -> str:
    """What went wrong, or nothing."""
    before = signal.signal(signal.SIGALRM, _no_end)
    signal.alarm(SECONDS)
    try:
        TARGETS[target].run(data)
    except NoEnd:
        return f"no end after {SECONDS} s: {traceback.format_exc(limit=-4)}"
    except Exception:
        return traceback.format_exc(limit=-6)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return ""


def _no_end(_number: int, _frame: object) -> None:
    raise NoEnd


def inputs(target: str, seed: int) -> Iterator[bytes]:
    """Bent inputs without end; now and then one that was bent before is bent once more."""
    rng, chosen = Random(f"{target} {seed}"), TARGETS[target]
    pool = list(chosen.seeds())
    while True:
        data = chosen.bend(rng.choice(pool), rng)
        if len(pool) < 40 and rng.random() < 0.02:
            pool.append(data)
        yield data


def hunt(target: str, seed: int, seconds: float, kept: Path) -> tuple[int, list[Finding]]:
    """How many inputs were tried in the time, and what they found; a process that dies is a finding too."""
    # What the seeds need is made once, before the processes that inherit it.
    next(inputs(target, seed))
    context = multiprocessing.get_context("fork")
    end, number, found = time.monotonic() + seconds, 0, []
    while time.monotonic() < end:
        seed += 1
        ours, theirs = context.Pipe(False)
        process = context.Process(target=_batch, args=(target, seed, end, theirs))
        process.start()
        theirs.close()
        last = b""
        try:
            while True:
                message = ours.recv()
                last, number = (message, number + 1) if isinstance(message, bytes) else (last, number)
                if isinstance(message, Finding):
                    found.append(message)
        except EOFError:
            process.join()
        if process.exitcode:
            found.append(Finding(target, last, f"died with {process.exitcode}"))
    for each in found:
        _keep(each, kept)
    return number, found


def _batch(target: str, seed: int, end: float, line: multiprocessing.connection.Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for data, _ in zip(inputs(target, seed), range(BATCH), strict=False):
        if time.monotonic() > end:
            break
        line.send(data)
        if what := run_one(target, data):
            line.send(Finding(target, data, what))


def _keep(finding: Finding, kept: Path) -> None:
    place = kept / finding.target
    place.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(finding.data).hexdigest()[:16]
    (place / f"{name}.input").write_bytes(finding.data)
    (place / f"{name}.txt").write_text(finding.what)
