# SPDX-License-Identifier: Apache-2.0
"""There are moments in which an impatient Ctrl-C would do more harm than half a second of waiting, and work that has only so long.

Touches this thread's signal mask, or the process's alarm, and gives it back; what arrived meanwhile takes effect then.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


class TimeUp(KeyboardInterrupt):
    """An interruption by the clock: what was begun is cleaned up as after one by a person."""


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
