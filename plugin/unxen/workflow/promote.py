# SPDX-License-Identifier: Apache-2.0
"""The recipe of `promote` and `demote`: a Windows with the driver of another bus moves there; not a byte of its disk changes.

Takes the guest's locks, looks, asks for proof (`plan.promotion`), and only then has the platform define the guest anew, with both
definitions in the journal, so that `undo` takes it back. Raises Refused; a Windows of which nothing shows that it would start from
the new bus is an Outcome. Files have no bus: they get the verdict alone, read as `inspect` reads them.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from unxen.errors import Refused, refused
from unxen.host import eyes
from unxen.journal.records import EntryState
from unxen.journal.store import open_journal
from unxen.knowledge.tables import Knowledge
from unxen.model.definition import Switch
from unxen.model.facts import GuestFacts
from unxen.model.guest import Guest
from unxen.model.ids import Bus, InstallationId
from unxen.model.judgement import Judgement, Note, NoteKind, Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.settings import Settings
from unxen.model.volume_facts import Opening
from unxen.plan.judge import judge
from unxen.plan.promotion import not_shown
from unxen.platforms.base import Ability, Platform
from unxen.probe.wanted_names import wanted_from
from unxen.repair.holding import hold
from unxen.repair.looking import FirstLook, look_first
from unxen.workflow.keys import with_keys_told
from unxen.workflow.looking import look_at
from unxen.workflow.noting import leave_note
from unxen.workflow.obstacles import unfinished
from unxen.workflow.steps import Stopwatch
from unxen.workflow.switching import begin_switch, perform, row_of
from unxen.workflow.wishing import wish_of


@dataclass(frozen=True)
class Move:
    """What was asked for: `verb` is promote or demote; of `buses` the first one that is shown to work is taken."""

    verb: str
    buses: tuple[Bus, ...]
    installation: InstallationId | None = None
    dry_run: bool = False
    keys: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class _Shown:
    """One bus judged: `reasons` why the guest must not move there; empty when its boot path is shown to hold."""

    judgement: Judgement
    reasons: tuple[Reason, ...]


def move(guest: Guest, platform: Platform, settings: Settings, knowledge: Knowledge, order: Move, listener: Listener) -> Outcome:
    """Moves the guest's disk to the first bus that it is shown to start from."""
    watch = Stopwatch(listener)
    mover = _Mover(guest, platform, settings, knowledge, order, listener, watch)
    outcome = mover.move() if Ability.SWITCH in platform.abilities else mover.tell()
    return replace(outcome, timings=watch.timings)


@dataclass(frozen=True)
class _Mover:
    """One move with all that its steps share."""

    guest: Guest
    platform: Platform
    settings: Settings
    knowledge: Knowledge
    order: Move
    listener: Listener
    watch: Stopwatch

    def tell(self) -> Outcome:
        """The verdict alone."""
        with self.watch.step(Step.LOOK):
            seen = look_at(self.guest, self.settings, lambda: self.knowledge, self.order.keys, self.listener)
        with self.watch.step(Step.DECIDE):
            outcome = self._outcome(seen.facts, self._shown(seen.facts), seen.opening)
        if against := unfinished(seen.chains, self.settings):
            return replace(outcome, verdict=Verdict.REFUSED, reasons=against + outcome.reasons)
        stale = (Note(NoteKind.STALE, " + ".join(self.guest.target)),) if seen.facts.stale else ()
        return replace(outcome, notes=outcome.notes + stale)

    def move(self) -> Outcome:
        """Under the same locks as a repair, for the guest must neither start nor be changed meanwhile."""
        with ExitStack() as stack:
            seen = self._look_locked(stack)
            facts = seen.look.facts
            with self.watch.step(Step.DECIDE):
                shown = self._shown(facts)
                switch = self._planned(shown, facts)
            outcome = replace(self._outcome(facts, shown, seen.opening), definition=switch.changes)
            if not switch.changes or self.order.dry_run:
                return outcome
            outcome = self._switched(outcome, shown.judgement.bus, switch)
            leave_note(self.platform, self.guest, outcome, self.settings)
        return outcome

    def _look_locked(self, stack: ExitStack) -> FirstLook:
        """What lies on the disks, which are held as long as the stack."""
        box = stack.enter_context(eyes.take())
        with self.watch.step(Step.LOCK):
            still_stopped = stack.enter_context(self.platform.locked(self.guest))
            held = stack.enter_context(hold(self.guest, self.settings, self.listener, box))
            still_stopped()
        with self.watch.step(Step.LOOK), box:
            return look_first(held, wanted_from(self.knowledge), box, self.order.keys, self.listener)

    def _shown(self, facts: GuestFacts) -> _Shown:
        """The first bus with proof, else the first of all with what it lacks."""
        tried = [self._try(facts, bus) for bus in self.order.buses]
        return next((each for each in tried if not each.reasons), tried[0])

    def _try(self, facts: GuestFacts, bus: Bus) -> _Shown:
        judgement = judge(
            facts,
            self.guest.machine,
            self.knowledge,
            bus=bus,
            installation=self.order.installation,
            preference=self.settings.preference,
            accept_stale_hive=self.settings.accept_stale_hive,
        )
        reasons = not_shown(judgement, bus, self.knowledge)
        if not reasons and self.guest.id and bus not in self.guest.machine.offered and bus is not self.guest.machine.bus:
            reasons = (reason(ReasonKind.BUS_NOT_POSSIBLE, " + ".join(self.guest.target), bus=bus.value),)
        return _Shown(judgement, reasons)

    def _planned(self, shown: _Shown, facts: GuestFacts) -> Switch:
        if shown.reasons:
            return Switch("", "")
        return self.platform.plan_switch(self.guest, wish_of(shown.judgement, facts))

    def _switched(self, outcome: Outcome, bus: Bus, switch: Switch) -> Outcome:
        row = row_of(self.guest, bus, switch)
        assert row is not None
        with open_journal(self.settings.state_dir) as journal, self.watch.step(Step.SWITCH):
            entry = begin_switch(journal, self.guest, row)
            try:
                perform(journal, self.platform, self.guest, entry, switch)
            except Refused as error:
                # No disk waits for this switch, so nobody shall make it later: the definition is as it was.
                journal.move(entry, EntryState.COMMITTED, EntryState.ROLLED_BACK)
                raise _not_made(error, self.guest, bus) from error
        return replace(outcome, verdict=Verdict.REPAIRED, entry=entry, switched=True)

    def _outcome(self, facts: GuestFacts, shown: _Shown, opening: Opening) -> Outcome:
        nothing = shown.judgement.verdict is Verdict.NO_WINDOWS
        verdict = Verdict.NO_WINDOWS if nothing else Verdict.REFUSED if shown.reasons else Verdict.HEALTHY
        outcome = Outcome(
            verb=self.order.verb,
            target=self.guest.target,
            verdict=verdict,
            facts=facts,
            judgement=shown.judgement,
            reasons=shown.reasons,
            notes=self.guest.notes,
            dry_run=self.order.dry_run,
        )
        return with_keys_told(outcome, opening, self.order.keys)


def _not_made(error: Refused, guest: Guest, bus: Bus) -> Refused:
    """What a switch is refused with speaks of a repaired disk; here there is none."""
    if error.first.kind is not ReasonKind.SWITCH_FAILED:
        return error
    return refused(ReasonKind.MOVE_FAILED, " + ".join(guest.target), bus=bus.value, cause=error.first.detail("cause"))
