# SPDX-License-Identifier: Apache-2.0
"""What was asked for and cannot be done is said, with the cause: silence would pass for success.

Touches nothing. What is so already needs no word.
"""

from collections.abc import Callable, Iterator

from unxen.model.fix import Fix, Fixes
from unxen.model.ids import Missing
from unxen.model.judgement import Note, NoteKind
from unxen.plan.clock import clock_of
from unxen.plan.examined import Examined
from unxen.plan.san import ONLINE_ALL, has_policy
from unxen.plan.stock_filters import classes_seen, gaps, obstacle, restored


def left_out(examined: Examined, fixes: Fixes) -> tuple[Note, ...]:
    """A note for every fix that is wanted and does not come to pass, about the control set that Windows starts with."""
    found = ((fix, dict.fromkeys(cause(examined, fixes))) for fix, cause in CAUSES.items() if fix in fixes)
    return tuple(Note(NoteKind.FIX_LEFT_OUT, fix.value, (("cause", each),)) for fix, causes in found for each in causes)


def _data_disks(examined: Examined, fixes: Fixes) -> Iterator[str]:
    found = examined.deciding.control_set.first_start
    if not has_policy(examined.deciding):
        yield "no-san-policy"
    elif found.san_policy == ONLINE_ALL:
        return
    elif found.cluster:
        yield "cluster"
    elif found.san_policy is Missing.UNREADABLE:
        yield "no-number"
    elif found.san_policy is Missing.ABSENT and Fix.DATA_DISKS not in fixes.asked:
        yield "needs-room"


def _crash_screen(examined: Examined, _fixes: Fixes) -> Iterator[str]:
    found = examined.deciding.control_set.first_start
    if found.crash_key is None or found.auto_reboot is Missing.ABSENT:
        yield "no-value"
    elif found.auto_reboot is Missing.UNREADABLE:
        yield "no-number"


def _stock_filters(examined: Examined, fixes: Fixes) -> Iterator[str]:
    view = examined.deciding
    if not classes_seen(view):
        yield "no-classes"
        return
    for gap in gaps(view):
        if restored(view, gap) is None:
            yield obstacle(gap)
        elif not gap.row.vital and Fix.STOCK_FILTERS not in fixes.asked:
            yield "needs-room"


def _clock(examined: Examined, _fixes: Fixes) -> Iterator[str]:
    if examined.machine.clock is Missing.NOT_LOOKED_AT:
        yield "no-definition"
    elif examined.machine.clock is Missing.UNREADABLE:
        yield "own-clock"
    elif clock_of(examined.system) is None:
        yield "no-number"


CAUSES: dict[Fix, Callable[[Examined, Fixes], Iterator[str]]] = {
    Fix.DATA_DISKS: _data_disks,
    Fix.CLOCK: _clock,
    Fix.CRASH_SCREEN: _crash_screen,
    Fix.STOCK_FILTERS: _stock_filters,
}
