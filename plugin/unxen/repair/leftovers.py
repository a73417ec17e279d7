# SPDX-License-Identifier: Apache-2.0
"""What is of no more use goes, in an order that can be cut off anywhere and taken up again by whoever comes next.

Removes files of the state directory and says so in the journal; never touches a disk. Every call may be repeated.
"""

from contextlib import suppress
from pathlib import Path

from unxen.errors import Refused
from unxen.host.files import remove
from unxen.host.locks import locks_named
from unxen.journal.place import WORK
from unxen.journal.records import DONE_STATES, OPEN_STATES, Entry, EntryKind, EntryState
from unxen.journal.store import Journal

LOCKS = "locks"


def throw_away(journal: Journal, entry: Entry) -> None:
    """An entry before its commit. Its process is dead: a living one would hold a lock on every disk that it names."""
    for disk in entry.disks:
        # An empty name would be the directory that we happen to stand in.
        for file in sorted(Path(disk.work).glob("*.qcow2")) if disk.work else []:
            remove(file)
    forget_undo_data(journal, entry)
    journal.move(entry.id, entry.state, EntryState.ROLLED_BACK)


def forget_undo_data(journal: Journal, entry: Entry) -> None:
    """There is no way back from this entry any more."""
    for disk in entry.disks:
        if disk.undo:
            remove(Path(disk.undo))
            journal.set_files(entry.id, disk.number, undo="")


def forget_undone(journal: Journal, undo: Entry) -> None:
    """After an undo: what it kept itself goes last, for its presence says that this was not finished.

    A repair that was undone on a copy of its disks can still be undone on the disks themselves.
    """
    if undo.undoes is not None:
        repair = journal.entry(undo.undoes)
        if {disk.key for disk in repair.disks} == {disk.key for disk in undo.disks}:
            forget_undo_data(journal, repair)
    forget_undo_data(journal, undo)


def tidy(journal: Journal, state_dir: Path) -> None:
    """Everything that nobody will ask for any more, of entries that nobody works on."""
    for entry in journal.in_states(DONE_STATES):
        if entry.kind is EntryKind.UNDO and any(disk.undo for disk in entry.disks):
            with suppress(Refused), locks_named(state_dir / LOCKS, {disk.key: disk.path for disk in entry.disks}):
                forget_undone(journal, entry)
    for entry in journal.in_states((EntryState.ROLLED_BACK,)):
        forget_undo_data(journal, entry)
    tidy_directories(journal, state_dir)


def tidy_directories(journal: Journal | None, state_dir: Path) -> None:
    """Working directories in which nobody works; without a journal nobody ever came far in one."""
    place = state_dir / WORK
    for directory in sorted(place.iterdir()) if place.is_dir() else []:
        with suppress(Refused), locks_named(state_dir / LOCKS, {directory.name: str(directory)}):
            if journal is None or not _is_needed(journal, directory):
                _empty(directory)


def _is_needed(journal: Journal, directory: Path) -> bool:
    """Whether an open entry has its overlay there."""
    return any(disk.work == str(directory) for entry in journal.in_states(OPEN_STATES) for disk in entry.disks)


def _empty(directory: Path) -> None:
    with suppress(OSError):
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
