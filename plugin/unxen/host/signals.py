# SPDX-License-Identifier: Apache-2.0
"""There are moments in which an impatient Ctrl-C would do more harm than half a second of waiting.

Touches this thread's signal mask and gives it back; what arrived meanwhile takes effect then.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

POLITE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Requests to end wait until the block is over."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, POLITE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
