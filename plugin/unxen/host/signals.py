# SPDX-License-Identifier: Apache-2.0
"""There are moments in which an impatient Ctrl-C would do more harm than half a second of waiting, and work that has only so long.

Touches signals: this thread's mask and the process's alarm, which it gives back, and what the process does when it is to end.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)
POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


class TimeUp(KeyboardInterrupt):
    """An interruption by the clock: what was begun is cleaned up as after one by a person."""


def end_by_interruption() -> None:
    """Termination is an interruption from here on: what was begun gets cleaned up, once."""
    for number in ENDING:
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Requests to end wait until the block is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, POLITE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def limited(seconds: float) -> Iterator[Callable[[], None]]:
    """TimeUp in this block when it takes longer; what it gives, called, lets it take as long as it needs. Of the main thread."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeUp

    def let_go() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield let_go
    finally:
        let_go()
        signal.signal(signal.SIGALRM, before)
