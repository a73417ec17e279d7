# SPDX-License-Identifier: Apache-2.0
"""A guest that arrives is looked at without anybody asking: one loop over events and polls, one treatment per real change.

Touches nothing itself: the platform tells what changed, `treat` does what is to be done, one guest after another. A guest whose
definition is as it was when it was last treated is not treated again, so our own changes and notes never make a loop. What failed
is tried again, later each time. Whatever one guest raises ends at that guest.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from unxen.errors import Refused
from unxen.platforms.base import GuestState, Platform

LOG = logging.getLogger(__name__)
MOST_DOUBLINGS = 20


def _nothing() -> None:
    """Nobody wants to know."""


class Treated(Enum):
    """What came of a guest: settled until it changes, not yet to be touched, to be tried again, or again when it stops."""

    SETTLED = "settled"
    NOT_YET = "not-yet"
    AGAIN = "again"
    WHEN_STOPPED = "when-stopped"


@dataclass(frozen=True)
class Rhythm:
    """Seconds: after a change before we act, between two polls, before a guest that is not ready is looked at again, and before
    the first and at most before any new attempt after a failure.
    """

    debounce: float = 1.0
    poll: float = 60.0
    not_yet: float = 5.0
    first_retry: float = 30.0
    last_retry: float = 3600.0


@dataclass
class _Known:
    """One guest: as it was when last treated, as it is, when it is due (None: not at all), and how often it failed in a row."""

    treated: GuestState | None = None
    seen: GuestState | None = None
    due: float | None = None
    failures: int = 0


class Watcher:
    """The loop of one platform. `treat` gets a name, and must not raise what is not an Exception; `rested` is called when the last
    guest that was due has been treated.
    """

    def __init__(
        self,
        platform: Platform,
        treat: Callable[[str], Treated],
        rhythm: Rhythm,
        clock: Callable[[], float] = time.monotonic,
        rested: Callable[[], None] = _nothing,
    ) -> None:
        self._platform = platform
        self._treat = treat
        self._rhythm = rhythm
        self._clock = clock
        self._rested = rested
        self._guests: dict[str, _Known] = {}
        self._next_poll = clock()

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until `stopping`; asked between two guests and at least every second."""
        while not stopping():
            self.turn()

    def turn(self, longest_wait: float = 1.0) -> None:
        """Waits for something to happen, then treats at most one guest: events are never older than one treatment."""
        happened = self._platform.wait(max(0.0, min(self._pause(), longest_wait)))
        if happened or self._clock() >= self._next_poll:
            self._poll(happened)
        name = self._most_urgent()
        if name is not None:
            self._one(name)
            if self.idle:
                self._rested()

    @property
    def idle(self) -> bool:
        """Whether no guest is due now or soon after a change; those that wait for a new attempt do not count."""
        return all(each.due is None or each.failures for each in self._guests.values())

    def _pause(self) -> float:
        times = [each.due for each in self._guests.values() if each.due is not None]
        return min([self._next_poll, *times]) - self._clock()

    def _poll(self, happened: frozenset[str]) -> None:
        """Every guest as it is now. A platform that cannot be asked is asked again at the next poll; nothing is forgotten then."""
        self._next_poll = self._clock() + self._rhythm.poll
        try:
            states = self._platform.states()
        except Refused as error:
            LOG.warning("the guests cannot be listed: %s", error)
            return
        for gone in self._guests.keys() - states.keys():
            del self._guests[gone]
        for name, state in states.items():
            self._seen(name, state, told=name in happened)

    def _seen(self, name: str, state: GuestState, *, told: bool) -> None:
        known = self._guests.setdefault(name, _Known())
        changed, known.seen = state != known.seen, state
        if not state.stopped:
            known.due = None
        elif state != known.treated and (changed or told or known.due is None):
            known.due = self._clock() + self._rhythm.debounce
            known.failures = 0 if changed else known.failures

    def _most_urgent(self) -> str | None:
        now = self._clock()
        due = [(each.due, name) for name, each in self._guests.items() if each.due is not None and each.due <= now]
        return min(due)[1] if due else None

    def _one(self, name: str) -> None:
        known = self._guests[name]
        known.due = None
        try:
            treated = self._treat(name)
        except Exception:
            LOG.exception("%s: unxen failed", name)
            treated = Treated.AGAIN
        if treated is Treated.AGAIN:
            self._again(name, known)
        else:
            self._after(known, treated)

    def _again(self, name: str, known: _Known) -> None:
        """Later each time. What a failed attempt itself did to the guest's files is no news that would bring it forward."""
        delay = self._rhythm.first_retry * 2 ** min(known.failures, MOST_DOUBLINGS)
        known.due = self._clock() + min(delay, self._rhythm.last_retry)
        known.failures += 1
        with suppress(Refused):
            known.seen = self._platform.states().get(name, known.seen)

    def _after(self, known: _Known, treated: Treated) -> None:
        """What we changed ourselves is looked at once more, because somebody else may have changed it too; then it is settled."""
        known.failures = 0
        known.treated = known.seen if treated is Treated.SETTLED else None
        if treated is Treated.NOT_YET:
            known.due = self._clock() + self._rhythm.not_yet
