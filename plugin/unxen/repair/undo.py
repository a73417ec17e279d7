# SPDX-License-Identifier: Apache-2.0
"""A repair is taken back range by range, all of them or none.

Writes an overlay, the journal, and the disks by a commit. Every range, the hive's record and its base block must hash as the
repair left them, and the kept bytes as they were kept; else it is refused and nothing has changed.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from unxen.errors import refused
from unxen.host.files import remove
from unxen.host.storage_daemon import BASE, CommitFailed
from unxen.journal.records import DONE_STATES, DiskRow, Entry, EntryKind, EntryState, RangeRow
from unxen.journal.store import Journal
from unxen.model.ids import ImageFormat
from unxen.model.reason import ReasonKind
from unxen.repair.commit import finish, settle
from unxen.repair.holding import HeldDisk
from unxen.repair.transaction import Transaction
from unxen.repair.undo_data import OLD, OVERLAY, restore, unchanged_since

CHECK, SECTOR = "check", 512


def find_repair(journal: Journal, held: Sequence[HeldDisk], target: Sequence[str]) -> Entry:
    """The newest repair of exactly these disks whose old bytes are still there."""
    wanted = {each.key for each in held}
    for entry in journal.in_states(DONE_STATES):
        kept = [disk for disk in entry.disks if disk.undo and Path(disk.undo).is_file()]
        if entry.kind is EntryKind.REPAIR and {disk.key for disk in entry.disks} == wanted and len(kept) == len(wanted):
            return journal.with_ranges(entry)
    raise refused(ReasonKind.NO_UNDO_DATA, " + ".join(target))


class Undo:
    """One repair on its way back."""

    def __init__(self, journal: Journal, held: Sequence[HeldDisk], repair: Entry) -> None:
        self.journal = journal
        self.repair = repair
        by_key = {each.key: each for each in held}
        self.pairs = [(by_key[row.key], row) for row in repair.disks]

    def check(self) -> None:
        """Nobody wrote to what the repair wrote or watched."""
        for held, row in self.pairs:
            held.daemon.export(BASE, CHECK)
            with held.daemon.client(CHECK) as client:
                if held.chain.virtual_size != row.size or not unchanged_since(client, self._rows(row)):
                    raise refused(ReasonKind.WRITTEN_SINCE, held.disk.path, entry=self.repair.id)
            held.daemon.unexport(CHECK)

    def run(self, target: Sequence[str]) -> None:
        """Stages the old bytes for every disk, then commits them."""
        rows = [DiskRow(row.number, row.key, row.path, row.format, row.size, held.file_size) for held, row in self.pairs]
        entry = self.journal.begin(EntryKind.UNDO, target, self.repair.plan_id, "", rows, undoes=self.repair.id)
        transaction = Transaction(self.journal, entry)
        try:
            self._stage(transaction)
        except BaseException:
            self._remove_work(transaction)
            transaction.move(EntryState.ROLLED_BACK)
            raise
        self._commit(transaction)

    def _rows(self, row: DiskRow) -> tuple[RangeRow, ...]:
        return tuple(each for each in self.repair.ranges if each.disk == row.number)

    def _stage(self, transaction: Transaction) -> None:
        for held, row in self.pairs:
            self.journal.set_files(transaction.entry, row.number, work=str(held.daemon.directory))
            shutil.copyfile(row.undo, held.daemon.directory / f"{OLD}.qcow2")
            self._own(held)
            held.daemon.create_image(OVERLAY, held.chain.virtual_size, above_base=True)
            held.daemon.export(OVERLAY, writable=True)
            with held.daemon.client() as client:
                if not restore(held.daemon, client, self._rows(row)):
                    raise refused(ReasonKind.NO_UNDO_DATA, held.disk.path, cause="the kept bytes are damaged")
            held.daemon.unexport()
        transaction.move(EntryState.STAGED)
        transaction.move(EntryState.DELIVERED)
        transaction.move(EntryState.VERIFIED)

    def _own(self, held: HeldDisk) -> None:
        """The daemon must be able to read the copy."""
        seen = held.daemon.directory.stat()
        os.chown(held.daemon.directory / f"{OLD}.qcow2", seen.st_uid, seen.st_gid)

    def _commit(self, transaction: Transaction) -> None:
        transaction.move(EntryState.COMMITTING)
        try:
            for held, _ in self.pairs:
                held.daemon.commit(OVERLAY)
        except CommitFailed as error:
            raise refused(ReasonKind.COMMIT_UNFINISHED, held.disk.path, cause=error.cause, entry=transaction.entry) from error
        for held, row in self.pairs:
            finish(held.daemon)
            _cut(held, row)
            settle(held)
        transaction.move(EntryState.COMMITTED)
        self._remove_work(transaction)
        for _, row in self.pairs:
            remove(Path(row.undo))
            self.journal.set_files(self.repair.id, row.number, undo="")

    def _remove_work(self, transaction: Transaction) -> None:
        for held, row in self.pairs:
            for name in (OVERLAY, OLD):
                remove(held.daemon.directory / f"{name}.qcow2")
            self.journal.set_files(transaction.entry, row.number, work="")


def _cut(held: HeldDisk, row: DiskRow) -> None:
    """A raw file gets its length back: QEMU rounds up to whole sectors when it writes the last one."""
    path = Path(held.disk.path)
    if held.disk.format is ImageFormat.RAW and path.is_file() and 0 < path.stat().st_size - row.file_size < SECTOR:
        os.truncate(path, row.file_size)
