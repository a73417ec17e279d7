# SPDX-License-Identifier: Apache-2.0
"""The recipe of `recover`: every entry that a dead unxen left open, the oldest first, comes to an end of its own.

Writes disks only where a commit was begun and every byte is known; see `repair.recover`. Refused(RECOVERY_REFUSED) when somebody
else wrote, with nothing changed.
"""

import json

from unxen.journal.place import has_journal
from unxen.journal.records import OPEN_STATES, Entry, EntryKind
from unxen.journal.retention import purge
from unxen.journal.store import open_journal
from unxen.model.codec import CodecError, decode
from unxen.model.edit import Plan
from unxen.model.ids import Bus
from unxen.model.judgement import Note, NoteKind, Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.settings import Settings
from unxen.repair.leftovers import tidy, tidy_directories
from unxen.repair.recover import Ending, abandon, recover_entry
from unxen.workflow.steps import Stopwatch

NOTES = {
    Ending.FINISHED: NoteKind.COMMIT_FINISHED,
    Ending.THROWN_AWAY: NoteKind.OVERLAY_THROWN_AWAY,
    Ending.AT_WORK: NoteKind.STILL_AT_WORK,
}


def interrupted(settings: Settings) -> tuple[Entry, ...]:
    """Every entry that has not come to its end, the oldest first; some may belong to a living unxen."""
    if not has_journal(settings.state_dir):
        return ()
    with open_journal(settings.state_dir) as journal:
        return tuple(reversed(journal.in_states(OPEN_STATES)))


def recover(entry: Entry, settings: Settings, listener: Listener) -> Outcome:
    """One entry to its end."""
    watch = Stopwatch(listener)
    with open_journal(settings.state_dir) as journal, watch.step(Step.RECOVER):
        ending = recover_entry(journal, entry.id, settings)
    note = Note(NOTES[ending], entry.kind.value, _bus(entry) if ending is Ending.FINISHED else ())
    finished = ending is Ending.FINISHED
    return Outcome(
        "recover", entry.target, Verdict.RECOVERED, notes=(note,), changed=finished, entry=entry.id, timings=watch.timings
    )


def forget(number: int, settings: Settings) -> Outcome:
    """An entry is closed because a person put its disks right by other means."""
    with open_journal(settings.state_dir) as journal:
        entry = abandon(journal, number, settings)
    return Outcome("recover", entry.target, Verdict.RECOVERED, notes=(Note(NoteKind.ABANDONED, str(number)),), entry=number)


def nothing_interrupted() -> Outcome:
    """There was nothing to recover."""
    return Outcome("recover", (), Verdict.RECOVERED, notes=(Note(NoteKind.NOTHING_INTERRUPTED),))


def tidy_up(settings: Settings) -> None:
    """Files that nobody will ask for any more go."""
    if not has_journal(settings.state_dir):
        tidy_directories(None, settings.state_dir)
    else:
        with open_journal(settings.state_dir) as journal:
            tidy(journal, settings.state_dir)
            purge(journal, settings.undo_days, settings.undo_bytes)


def _bus(entry: Entry) -> tuple[tuple[str, str], ...]:
    """The bus that a finished repair was made for."""
    if entry.kind is not EntryKind.REPAIR:
        return ()
    try:
        bus = decode(Plan, json.loads(entry.plan)).bus
    except (CodecError, ValueError):
        return ()
    return () if bus is Bus.UNKNOWN else (("bus", bus.value),)
