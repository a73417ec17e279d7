# SPDX-License-Identifier: Apache-2.0
"""The recipe of `undo`: give the disks back as they were, if they still are as the repair left them, and the definition with them.

Writes the old bytes through an overlay and a commit of its own, as a repair does. Refused(NO_UNDO_DATA) when nothing was
kept, Refused(WRITTEN_SINCE) when anybody wrote since, Refused(DEFINITION_CHANGED) when the guest was defined anew since; nothing
has changed then.
"""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from unxen.errors import Refused, refused
from unxen.journal.place import has_journal
from unxen.journal.records import VOID_STATES, DefinitionRow, Entry, EntryKind, EntryState
from unxen.journal.store import Journal, open_journal
from unxen.model.definition import Switch
from unxen.model.guest import Guest
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.reason import ReasonKind
from unxen.model.settings import Settings
from unxen.platforms.base import Platform
from unxen.repair.holding import hold
from unxen.repair.undo import find_repair, take_back
from unxen.workflow.noting import leave_note
from unxen.workflow.steps import Stopwatch
from unxen.workflow.switching import begin_switch, failed_switch, pending, perform


def undo(guest: Guest, platform: Platform, settings: Settings, listener: Listener) -> Outcome:
    """Takes back the newest repair of these disks and of this guest's definition."""
    watch = Stopwatch(listener)
    with ExitStack() as stack:
        with watch.step(Step.LOCK):
            still_stopped = stack.enter_context(platform.locked(guest))
            held = stack.enter_context(hold(guest, settings, listener))
            still_stopped()
            if not has_journal(settings.state_dir):
                raise refused(ReasonKind.NO_UNDO_DATA, " + ".join(guest.target))
            journal = stack.enter_context(open_journal(settings.state_dir))
        back = way_back(journal, platform, guest)
        if back.only:
            entry = back.entry if back.entry is not None else _begin(journal, guest, back)
        else:
            with watch.step(Step.VERIFY):
                found = find_repair(journal, held, guest.target)
            # The newest repair of the disks may have been made by their paths, without the platform.
            back = back if found.repair.id == back.repair else NO_DEFINITION
            with watch.step(Step.COMMIT):
                entry = take_back(journal, settings.state_dir, found, guest.target, back.row)
        outcome = Outcome("undo", guest.target, Verdict.REPAIRED, changed=not back.only, entry=entry)
        if back.row is not None:
            with watch.step(Step.SWITCH):
                outcome = _switch_back(journal, platform, guest, back.row, outcome)
        outcome = replace(outcome, timings=watch.timings)
        leave_note(platform, guest, outcome, settings)
    return outcome


@dataclass(frozen=True)
class Back:
    """What becomes of the definition: `row` as the undo's own entry will have it, `repair` whose it was. `only`: no disk is meant.
    `entry` is an undo whose switch back is still to be made.
    """

    row: DefinitionRow | None = None
    repair: int | None = None
    only: bool = False
    entry: int | None = None


NO_DEFINITION = Back()


def way_back(journal: Journal, platform: Platform, guest: Guest) -> Back:
    """Asked before anything is changed: a definition that somebody changed since is not overwritten, nor half a guest undone."""
    waiting = pending(journal, platform, guest)
    if waiting is not None and waiting.kind is EntryKind.UNDO:
        return Back(waiting.definition, waiting.undoes, only=True, entry=waiting.id)
    repair = _newest_repair(journal, guest)
    if repair is None or repair.definition is None:
        return NO_DEFINITION
    row, made = repair.definition, repair.state is EntryState.SWITCHED
    if not platform.stands(guest, row.after if made else row.before):
        raise refused(ReasonKind.DEFINITION_CHANGED, " + ".join(guest.target), entry=repair.id)
    if not made:
        return NO_DEFINITION
    return Back(replace(row, before=row.after, after=row.before), repair.id, only=not repair.disks)


def _newest_repair(journal: Journal, guest: Guest) -> Entry | None:
    """The newest repair of this guest that was not taken back."""
    entries = [each for each in (journal.of_guest(guest.id) if guest.id else ()) if each.state not in VOID_STATES]
    undone = {each.undoes for each in entries if each.kind is EntryKind.UNDO}
    return next((each for each in entries if each.kind is EntryKind.REPAIR and each.id not in undone), None)


def _begin(journal: Journal, guest: Guest, back: Back) -> int:
    assert back.row is not None
    return begin_switch(journal, guest, back.row, undoes=back.repair)


def _switch_back(journal: Journal, platform: Platform, guest: Guest, row: DefinitionRow, outcome: Outcome) -> Outcome:
    assert outcome.entry is not None
    try:
        perform(journal, platform, guest, outcome.entry, Switch(row.before, row.after))
    except Refused as error:
        return replace(outcome, reasons=failed_switch(error, guest, row.bus))
    return replace(outcome, switched=True)
