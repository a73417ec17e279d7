# SPDX-License-Identifier: Apache-2.0
"""What a dead unxen left is brought to one of two ends: a begun commit is finished, everything else is thrown away.

Takes only entries whose locks nobody holds. Writes disks by the same commit as a repair, and only after every disk of the entry was
compared, byte for byte, with what it was and what it was to be. Refused: nothing was written, and overlay, old bytes and entry
stay. May itself be cut off at any moment and be run again.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.files import private_directory
from unxen.host.locks import disk_key, locks_named
from unxen.host.sandbox import Box
from unxen.host.signals import uninterrupted
from unxen.host.storage_daemon import storage_daemon
from unxen.journal.records import OPEN_STATES, DiskRow, Entry, EntryKind, EntryState
from unxen.journal.store import Journal
from unxen.model.disk import Disk, ImageChain
from unxen.model.reason import ReasonKind
from unxen.model.settings import Settings
from unxen.probe.images import UNREADABLE_WHEN_DIRTY, check_images, check_writable_headers
from unxen.repair.commit import OVERLAY
from unxen.repair.holding import HeldDisk, forbid_others
from unxen.repair.leftovers import LOCKS, forget_undo_data, forget_undone, throw_away
from unxen.repair.torn import TornDisk, check_torn
from unxen.repair.transaction import Transaction


class Ending(Enum):
    """What became of an entry that was found open."""

    FINISHED = "finished"
    THROWN_AWAY = "thrown-away"
    AT_WORK = "at-work"


def recover_entry(journal: Journal, number: int, settings: Settings) -> Ending:
    """Brings one entry to its end; AT_WORK when a living unxen holds it."""
    entry = journal.entry(number)
    try:
        with locks_named(settings.state_dir / LOCKS, _lock_names(entry)):
            # It may have come to its end while we asked.
            entry = journal.entry(number)
            if entry.state not in OPEN_STATES:
                return Ending.AT_WORK
            if entry.state is not EntryState.COMMITTING:
                throw_away(journal, entry)
                return Ending.THROWN_AWAY
            _finish(journal, entry, settings)
            return Ending.FINISHED
    except Refused as error:
        if error.first.kind is ReasonKind.BUSY:
            return Ending.AT_WORK
        raise


def abandon(journal: Journal, number: int, settings: Settings) -> Entry:
    """The entry is closed as it is, its files go: a person has put the disk right by other means. Touches no disk."""
    entry = next((each for each in journal.in_states((EntryState.COMMITTING,)) if each.id == number), None)
    if entry is None:
        raise refused(ReasonKind.USAGE, verb="recover", problem=f"there is no interrupted entry {number}")
    with locks_named(settings.state_dir / LOCKS, _lock_names(entry)):
        journal.move(number, EntryState.COMMITTING, EntryState.ABANDONED)
        forget_undo_data(journal, entry)
    return entry


def _lock_names(entry: Entry) -> dict[str, str]:
    """The names under which its process held the disks, and those that their files have now."""
    names = {disk.key: disk.path for disk in entry.disks}
    for disk in entry.disks:
        if _is_there(disk):
            names[disk_key(disk.path)] = disk.path
    return names


def _is_there(row: DiskRow) -> bool:
    """Whether there is something to be opened; whether a server has its image, only the opening tells."""
    return row.remote is not None or os.path.exists(row.path)  # noqa: PTH110


def _finish(journal: Journal, entry: Entry, settings: Settings) -> None:
    with ExitStack() as stack:
        torn = [_torn(stack, entry, row, settings) for row in entry.disks]
        for each in torn:
            check_torn(each)
        for each in torn:
            _make_ready(each)
        with uninterrupted():
            Transaction.resumed(journal, entry, settings.state_dir, [each.held for each in torn]).commit_overlays()
    if entry.kind is EntryKind.UNDO:
        forget_undone(journal, journal.entry(entry.id))


def _torn(stack: ExitStack, entry: Entry, row: DiskRow, settings: Settings) -> TornDisk:
    if not _is_there(row):
        raise refused(ReasonKind.DISK_MISSING, row.path, entry=entry.id)
    with Box.open() as box:
        disk = Disk(row.number, row.path, row.format, row.window, row.remote)
        allowed = (*settings.backing_dirs, *map(Path, row.backing_dirs))
        (chain,) = check_images([disk], box, allowed, after_crash=True)
    check_writable_headers(chain, after_crash=True)
    forbid_others(stack, chain)
    held = stack.enter_context(_held(chain, row))
    return TornDisk(entry.id, held, row, tuple(each for each in entry.ranges if each.disk == row.number))


@contextmanager
def _held(chain: ImageChain, row: DiskRow) -> Iterator[HeldDisk]:
    header = chain.layers[0].header
    aside = header.dirty and header.format in UNREADABLE_WHEN_DIRTY
    with storage_daemon(chain, private_directory(Path(row.work)), aside=aside) as daemon:
        daemon.check_size()
        yield HeldDisk(chain, daemon, row.key, row.file_size)


def _make_ready(torn: TornDisk) -> None:
    """As before the commit; opened for writing once, because only that repairs what the crash left of an image's own books.

    A second commit onto a qcow2 whose reference counts are not up to date ends without an error, and the guest's next writes
    destroy what was committed (shown with QEMU 7.2).
    """
    daemon = torn.held.daemon
    daemon.close_all()
    daemon.open_base(read_only=False)
    daemon.reopen_base(read_only=True)
    daemon.open_image(OVERLAY, above_base=True)
