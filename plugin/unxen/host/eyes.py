# SPDX-License-Identifier: Apache-2.0
"""The box that a look needs may start before the program has loaded its own code: with two cores neither waits for the other.

Starts that one box. What keeps it from being made is said when it is taken, not before.
"""

import os
from contextlib import suppress

from unxen.errors import Refused
from unxen.host.sandbox import Box

OPERATION = "look"
_started: list[tuple[int, Box]] = []


def start() -> None:
    """A box that the next `take` of this process gets."""
    with suppress(Refused):
        _started.append((os.getpid(), Box.open(ahead=OPERATION)))


def take() -> Box:
    """A box that knows how to look, as a context manager; started now if none was."""
    while _started:
        process, box = _started.pop()
        # A forked worker has its parent's list, and no right to its parent's box.
        if process == os.getpid():
            return box
    return Box.open(ahead=OPERATION)


def close() -> None:
    """Ends a box that nobody took."""
    for process, box in _started:
        if process == os.getpid():
            box.close()
    _started.clear()
