# SPDX-License-Identifier: Apache-2.0
"""What a watcher does with one guest: look, and repair where policy says so; what time may mend is tried again.

Looks first without a lock, so a guest that is fine costs a look and nothing is held. Repairs by the recipe that people use. A guest
whose repair somebody took back is only reported: a person decided. Raises what the recipes do not foresee, nothing else.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from unxen.errors import Refused
from unxen.knowledge.tables import Knowledge
from unxen.model.guest import Guest
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import nobody
from unxen.model.reason import Reason, ReasonKind
from unxen.model.settings import Settings, WatchPolicy
from unxen.platforms.base import Platform
from unxen.services.watch import Treated
from unxen.workflow.inspect import inspect
from unxen.workflow.noting import leave_note, sentence
from unxen.workflow.repair import Order, repair
from unxen.workflow.settling import settle
from unxen.workflow.switching import was_switched, was_undone

LOG = logging.getLogger(__name__)
# What time may mend; everything else stands until somebody changes the guest, which a watcher sees.
PASSING = frozenset(
    {
        ReasonKind.DISK_MISSING,
        ReasonKind.NO_PERMISSION,
        ReasonKind.BACKING_MISSING,
        ReasonKind.REMOTE_UNREACHABLE,
        ReasonKind.TOOL_MISSING,
        ReasonKind.TOOL_FAILED,
        ReasonKind.NO_SPACE,
        ReasonKind.APPLIANCE_FAILED,
        ReasonKind.BUSY,
        ReasonKind.ROLLED_BACK,
        ReasonKind.SWITCH_FAILED,
        ReasonKind.PLATFORM_REFUSED,
        ReasonKind.GUEST_CHANGED,
        ReasonKind.PROBE_FAILED,
        ReasonKind.DEFECT,
    }
)
QUIET = (Verdict.HEALTHY, Verdict.NO_WINDOWS)


def _untold(_outcome: Outcome, _seconds: float) -> None:
    """Nobody keeps it."""


@dataclass(frozen=True)
class Treatment:
    """The treatment of every guest of one platform, by its name behind the scheme."""

    platform: Platform
    scheme: str
    settings: Settings
    knowledge: Knowledge
    told: Callable[[Outcome, float], None] = _untold

    def __call__(self, name: str) -> Treated:
        """One guest, once; what came of it and how many seconds it took is told to whoever keeps it."""
        target, begun = f"{self.scheme}:{name}", time.monotonic()
        try:
            guest = self.platform.describe((target,), ())
            if _being_written(guest, self.settings.watch_quiet_seconds):
                return Treated.NOT_YET
            outcome = self._outcome(guest)
            settle(self.platform, guest, self.settings)
            LOG.log(logging.INFO if outcome.verdict in QUIET else logging.WARNING, sentence(outcome))
        except Refused as error:
            LOG.info("%s: %s", target, error)
            outcome = Outcome("watch", (target,), Verdict.REFUSED, reasons=error.reasons)
        self.told(outcome, time.monotonic() - begun)
        return _later(outcome.reasons)

    def _outcome(self, guest: Guest) -> Outcome:
        seen = inspect(guest, self.platform, self.settings, lambda: self.knowledge, bus=None, installation=None, listener=nobody)
        if seen.verdict is Verdict.REPAIRABLE and self._may_repair(guest, seen):
            order = Order(delivery=self.settings.delivery)
            return repair(guest, self.platform, self.settings, self.knowledge, order, nobody)
        leave_note(self.platform, guest, seen, self.settings)
        return seen

    def _may_repair(self, guest: Guest, seen: Outcome) -> bool:
        """A disk that is fine and in no slot is attached once: if it was there already, somebody took it out."""
        if self.settings.watch is not WatchPolicy.REPAIR or was_undone(guest, self.settings):
            return False
        fine = seen.judgement is not None and seen.judgement.plan.empty
        return guest.machine.attached or not fine or not was_switched(guest, self.settings)


def _being_written(guest: Guest, quiet: float) -> bool:
    """Whether a disk changed a moment ago: a copy may still be going on, and nothing tells when it ends but that it does."""
    return any(_age(disk.path) < quiet for disk in guest.disks)


def _age(path: str) -> float:
    try:
        return abs(time.time() - os.stat(path).st_mtime)  # noqa: PTH116
    except OSError:
        return float("inf")


def _later(reasons: tuple[Reason, ...]) -> Treated:
    kinds = {each.kind for each in reasons}
    if ReasonKind.IN_USE in kinds:
        return Treated.WHEN_STOPPED
    return Treated.AGAIN if kinds & PASSING else Treated.SETTLED
