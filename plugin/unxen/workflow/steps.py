# SPDX-License-Identifier: Apache-2.0
"""Steps are told to the listener and timed at the same place, so the report and the terminal never disagree.

Touches nothing but the clock and the listener.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from unxen.model.progress import Listener, Step, StepBegun, StepEnded


class Stopwatch:
    """The steps of one guest and how long each took."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._timings: list[tuple[str, float]] = []

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """One step; it is timed and told as ended only when nothing went wrong in it."""
        begun = time.monotonic()
        self._listener(StepBegun(step))
        yield
        seconds = time.monotonic() - begun
        self._timings.append((step.value, seconds))
        self._listener(StepEnded(step, seconds))

    @property
    def timings(self) -> tuple[tuple[str, float], ...]:
        """What took how long until now."""
        return tuple(self._timings)
