# SPDX-License-Identifier: Apache-2.0
"""Where the time of a call goes, below the steps that people see: kept always, because it costs microseconds, and told when asked.

Touches the clock. One ledger per process; what a box says of its own time is added to it and means nothing but time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from unxen.model.progress import Part, Spent

CLOCK_TICKS = 100
OF_BOXES = "box-"
LONGEST = 86400.0
_spent: dict[Part, Spent] = {}


def add(part: Part, seconds: float, amount: int = 0, times: int = 1) -> None:
    """Something took so long, and moved so many bytes."""
    before = _spent.get(part, Spent(part, 0.0, 0, 0))
    _spent[part] = Spent(part, before.seconds + seconds, before.times + times, before.amount + amount)


@contextmanager
def spending(part: Part) -> Iterator[None]:
    """The time until the block ends, however it does."""
    begun = time.perf_counter()
    try:
        yield
    finally:
        add(part, time.perf_counter() - begun)


def take() -> tuple[Spent, ...]:
    """Everything since the last time, in the order of the parts; the ledger is empty then."""
    found = tuple(_spent[part] for part in Part if part in _spent)
    _spent.clear()
    return found


def seconds_since_start() -> float:
    """How long this process has lived, to a hundredth; see proc(5), field 22."""
    # Boxes have no other use for pathlib.
    with open("/proc/self/stat") as file:  # noqa: PTH123
        fields = file.read().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / CLOCK_TICKS
