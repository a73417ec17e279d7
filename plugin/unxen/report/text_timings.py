# SPDX-License-Identifier: Apache-2.0
"""Where the time of a call went, for those who ask: the steps, and below them what takes time whatever step it belongs to.

Touches nothing.
"""

from unxen.model.outcome import Outcome
from unxen.model.progress import Spent, Step
from unxen.report.step_messages import PART_TITLES, STEP_TITLES

WIDTH = 44


def timings_text(outcome: Outcome) -> str:
    """A table of steps and parts in milliseconds."""
    steps = [_line(STEP_TITLES[Step(name)], seconds) for name, seconds in outcome.timings]
    total = [_line("all steps", sum(seconds for _, seconds in outcome.timings))]
    parts = [_line(PART_TITLES[each.part], each.seconds, _detail(each)) for each in outcome.spent]
    return "".join(["Steps\n", *steps, *total, "Parts of them, some beside each other\n", *parts])


def _line(title: str, seconds: float, detail: str = "") -> str:
    return f"  {title:<{WIDTH}}{1000 * seconds:8.1f} ms  {detail}".rstrip() + "\n"


def _detail(each: Spent) -> str:
    times = f"{each.times} times" if each.times > 1 else ""
    return ", ".join(filter(None, (times, f"{each.amount / 1e6:.1f} MB" if each.amount else "")))
