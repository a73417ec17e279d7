# SPDX-License-Identifier: Apache-2.0
"""The recipe of `repair`: take the disks, look, decide, and if need be work in an overlay, verify, commit, switch.

Until the commit not one byte of a disk changes, and whatever goes wrong before it leaves no trace but a line in the journal. Raises
Refused; a guest that is healthy or refused by judgement is an Outcome, and so is one whose disk is repaired and whose definition
could not be switched.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack

from unxen.errors import Refused
from unxen.host import eyes
from unxen.host.sandbox import Box
from unxen.journal.records import EntryKind
from unxen.journal.store import Journal, open_journal
from unxen.knowledge.tables import Knowledge
from unxen.model.definition import Switch
from unxen.model.fix import Fix, Fixes, fixes
from unxen.model.guest import Guest, Machine
from unxen.model.ids import Bus, InstallationId
from unxen.model.judgement import Judgement, Note, NoteKind, Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.record import dataclass, field, replace
from unxen.model.settings import Delivery, Settings
from unxen.plan.judge import judge
from unxen.platforms.base import Platform
from unxen.probe.look import Look
from unxen.probe.wanted_names import wanted_from
from unxen.repair.holding import HeldDisk, hold
from unxen.repair.looking import FirstLook, look_first
from unxen.repair.pipeline import Pipeline
from unxen.workflow.asked import Asked
from unxen.workflow.keys import with_keys_told
from unxen.workflow.noting import leave_note
from unxen.workflow.obstacles import built_upon
from unxen.workflow.steps import Stopwatch
from unxen.workflow.switching import begin_switch, failed_switch, pending, perform, row_of, waiting_bus
from unxen.workflow.wishing import judge_fitted, planned_switch

LOG = logging.getLogger(__name__)
Decide = Callable[[Look, Bus | None], Judgement]


@dataclass(frozen=True)
class Order:
    """What was asked for on the command line, or by a service."""

    bus: Bus | None = None
    installation: InstallationId | None = None
    delivery: Delivery = Delivery.AUTO
    dry_run: bool = False
    accept_unclean_volume: bool = False
    keys: tuple[str, ...] = field(default=(), repr=False)
    fix: tuple[Fix, ...] = ()


def repair(guest: Guest, platform: Platform, settings: Settings, knowledge: Knowledge, order: Order, listener: Listener) -> Outcome:
    """Makes the guest start on the chosen bus; with `dry_run` everything but the commit and the switch."""
    watch = Stopwatch(listener)
    with ExitStack() as stack:
        box = stack.enter_context(eyes.take())
        with watch.step(Step.LOCK):
            still_stopped = stack.enter_context(platform.locked(guest))
            held = stack.enter_context(hold(guest, settings, listener, box))
            still_stopped()
        outcome = _Repair(guest, platform, settings, knowledge, order, listener, watch, held, stack).run(box)
        outcome = replace(outcome, timings=watch.timings)
        if not order.dry_run:
            leave_note(platform, guest, outcome, settings)
    return outcome


@dataclass(frozen=True)
class _Repair:
    """One repair with all that its steps share; the disks are held."""

    guest: Guest
    platform: Platform
    settings: Settings
    knowledge: Knowledge
    order: Order
    listener: Listener
    watch: Stopwatch
    held: tuple[HeldDisk, ...]
    stack: ExitStack

    def run(self, box: Box) -> Outcome:
        with self.watch.step(Step.LOOK), box:
            seen = look_first(self.held, wanted_from(self.knowledge), box, self.order.keys, self.listener)
            first = seen.look
        bus = self.order.bus or waiting_bus(self.guest, self.platform, self.settings)
        with self.watch.step(Step.DECIDE):
            judgement = self._decide(first, bus)
            switch = self._planned_switch(judgement, first, bus)
        outcome = with_keys_told(self._outcome(first, judgement, switch), seen.opening, self.order.keys)
        if judgement.verdict is not Verdict.REPAIRABLE and not switch.changes:
            return outcome
        if judgement.verdict is not Verdict.REPAIRABLE and self.order.dry_run:
            return replace(outcome, verdict=Verdict.REPAIRABLE)
        return self._work(seen, judgement, switch, outcome)

    def _work(self, seen: FirstLook, judgement: Judgement, switch: Switch, outcome: Outcome) -> Outcome:
        if judgement.verdict is Verdict.REPAIRABLE and (against := built_upon(self.guest, self.platform, self.settings)):
            raise Refused(*against)
        journal = self.stack.enter_context(open_journal(self.settings.state_dir))
        if judgement.verdict is Verdict.REPAIRABLE:
            outcome = self._repair_disks(journal, seen, judgement, switch, outcome)
        if self.order.dry_run or not switch.changes:
            return outcome
        return self._switch(journal, _bus_of(judgement), switch, outcome)

    def _repair_disks(self, journal: Journal, seen: FirstLook, judgement: Judgement, switch: Switch, outcome: Outcome) -> Outcome:
        pipeline = Pipeline(
            journal,
            self.settings,
            self.knowledge,
            self.held,
            seen.look,
            judgement,
            self._decide,
            self.watch.step,
            self.listener,
            seen.opening.opened,
            self.order.keys,
        )
        row = row_of(self.guest, _bus_of(judgement), switch)
        done = pipeline.run(self.guest.target, self.order.delivery, self.order.dry_run, row)
        outcome = replace(outcome, delivery=done.delivered.way.value, after=done.after)
        if done.delivered.cause:
            note = Note(NoteKind.APPLIANCE_NEEDED, details=(("cause", done.delivered.cause),))
            outcome = replace(outcome, notes=(*outcome.notes, note))
        if self.order.dry_run:
            return replace(outcome, verdict=Verdict.REPAIRABLE)
        return replace(outcome, verdict=Verdict.REPAIRED, changed=True, entry=done.entry)

    def _switch(self, journal: Journal, bus: Bus, switch: Switch, outcome: Outcome) -> Outcome:
        entry = outcome.entry if outcome.entry is not None else self._entry_for_switch(journal, bus, switch)
        try:
            with self.watch.step(Step.SWITCH):
                perform(journal, self.platform, self.guest, entry, switch)
        except Refused as error:
            LOG.debug("switch failed", exc_info=True)
            verdict = Verdict.REPAIRED if outcome.changed else Verdict.FAILED
            return replace(outcome, verdict=verdict, entry=entry, reasons=failed_switch(error, self.guest, bus))
        return replace(outcome, verdict=Verdict.REPAIRED, entry=entry, switched=True)

    def _entry_for_switch(self, journal: Journal, bus: Bus, switch: Switch) -> int:
        """The entry whose switch waits, or a new one."""
        waiting = pending(journal, self.platform, self.guest)
        if waiting is not None and waiting.kind is EntryKind.REPAIR:
            return waiting.id
        row = row_of(self.guest, bus, switch)
        assert row is not None
        return begin_switch(journal, self.guest, row)

    def _planned_switch(self, judgement: Judgement, first: Look, bus: Bus | None) -> Switch:
        asked = Asked(bus, self.settings.repair_guests_that_ran_on_kvm, self._fixes)
        return planned_switch(self.platform, self.guest, judgement, first.facts, asked)

    def _decide(self, look: Look, chosen: Bus | None) -> Judgement:
        return judge_fitted(self.guest, look.facts, self.platform, lambda machine: self._judge(look, machine, chosen))

    def _judge(self, look: Look, machine: Machine, chosen: Bus | None) -> Judgement:
        return judge(
            look.facts,
            machine,
            self.knowledge,
            bus=chosen,
            installation=self.order.installation,
            preference=self.settings.preference,
            repair_kvm_guests=self.settings.repair_guests_that_ran_on_kvm,
            accept_unclean_volume=self.order.accept_unclean_volume,
            accept_stale_hive=self.settings.accept_stale_hive,
            fixes=self._fixes,
        )

    @property
    def _fixes(self) -> Fixes:
        return fixes(self.order.fix, self.settings.fix)

    def _outcome(self, look: Look, judgement: Judgement, switch: Switch) -> Outcome:
        return Outcome(
            verb="repair",
            target=self.guest.target,
            verdict=judgement.verdict,
            facts=look.facts,
            judgement=judgement,
            reasons=judgement.reasons,
            notes=self.guest.notes,
            dry_run=self.order.dry_run,
            definition=switch.changes,
        )


def _bus_of(judgement: Judgement) -> Bus:
    """The bus that an entry stands for: none where nothing but fixes was wanted, so that no later look is bound to one."""
    return Bus.UNKNOWN if judgement.fixes_only else judgement.bus
