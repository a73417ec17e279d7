# SPDX-License-Identifier: Apache-2.0
"""A repair is a walk through states, each of which stands in the journal before the step that leaves it: all or nothing.

Touches the journal, an overlay above each disk, and, in `commit` alone, the disks. Left before the commit in whatever way, it takes
the overlays away and the disks are as they came. A move that the table does not know is a defect and raises.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from unxen.errors import Refused, refused
from unxen.host.files import remove, sync_directory, sync_file
from unxen.host.nbd_client import Range
from unxen.host.signals import uninterrupted
from unxen.host.storage_daemon import BASE
from unxen.journal.records import DefinitionRow, DiskRow, Entry, EntryKind, EntryState, RangeRole, RangeRow
from unxen.journal.store import Journal
from unxen.model.ids import DiskNumber
from unxen.model.reason import ReasonKind
from unxen.repair.commit import OVERLAY, Change, commit
from unxen.repair.holding import HeldDisk
from unxen.repair.undo_data import BEFORE, keep, place_of

LOG = logging.getLogger(__name__)
MOVES: dict[EntryState, tuple[EntryState, ...]] = {
    EntryState.PLANNED: (EntryState.STAGED, EntryState.ROLLED_BACK),
    EntryState.STAGED: (EntryState.DELIVERED, EntryState.ROLLED_BACK),
    EntryState.DELIVERED: (EntryState.VERIFIED, EntryState.ROLLED_BACK),
    EntryState.VERIFIED: (EntryState.COMMITTING, EntryState.ROLLED_BACK),
    # Back from here only when every old byte was written back, or when a person says that the disk was put right by other means.
    EntryState.COMMITTING: (EntryState.COMMITTED, EntryState.ROLLED_BACK, EntryState.ABANDONED),
    EntryState.COMMITTED: (EntryState.SWITCHED,),
    EntryState.SWITCHED: (),
    EntryState.ROLLED_BACK: (),
    EntryState.ABANDONED: (),
}


class IllegalMove(Exception):
    """A step was taken out of order."""


class Transaction:
    """One entry of the journal on its way; `disks` are those that will be written."""

    def __init__(
        self,
        journal: Journal,
        entry: int,
        state_dir: Path,
        disks: Sequence[HeldDisk],
        rows: Sequence[DiskRow] = (),
    ) -> None:
        self._journal = journal
        self._state_dir = state_dir
        self._disks = disks
        self._disk_rows = tuple(rows)
        self._rows: tuple[RangeRow, ...] = ()
        self.entry = entry
        self.state = EntryState.PLANNED

    @classmethod
    def resumed(cls, journal: Journal, entry: Entry, state_dir: Path, disks: Sequence[HeldDisk]) -> "Transaction":
        """An entry that another process left, as far as it came."""
        found = cls(journal, entry.id, state_dir, disks, entry.disks)
        found._rows = entry.ranges
        found.state = entry.state
        return found

    def stage(self) -> None:
        """An empty overlay above every disk, writable at the unnamed export; the disk itself is read at `before`."""
        self.move(EntryState.STAGED)
        for each in self._disks:
            each.daemon.unexport_all()
            each.daemon.create_image(OVERLAY, each.chain.virtual_size, above_base=True)
            each.daemon.export(OVERLAY, writable=True)
            each.daemon.export(BASE, BEFORE)

    def delivered(self) -> None:
        """The overlays hold what was to be written; from here on they are only read."""
        for each in self._disks:
            with each.daemon.client() as client:
                client.flush()
            each.daemon.unexport()
            each.daemon.export(OVERLAY)
        self.move(EntryState.DELIVERED)

    def verified(self) -> None:
        """The overlays were looked at and are right."""
        self.move(EntryState.VERIFIED)

    def keep_undo_data(self, witnesses: Mapping[DiskNumber, Sequence[Range]]) -> None:
        """The old bytes of every range, and hashes, on stable storage; and the overlays too, which can finish a broken commit."""
        for each in self._disks:
            number = each.disk.number
            place = place_of(self._state_dir, self.entry, number)
            self._journal.set_files(self.entry, number, undo=str(place))
            self._rows += keep(each.daemon, number, witnesses.get(number, ()), place)
            sync_file(_overlay(each))
            sync_directory(each.daemon.directory)
        self._journal.add_ranges(self.entry, self._rows)

    def commit(self) -> None:
        """Writes the disks. Ends in COMMITTED, or in ROLLED_BACK with the old bytes, or raises and stays in COMMITTING."""
        for each in self._disks:
            each.daemon.unexport_all()
        with uninterrupted():
            self.move(EntryState.COMMITTING)
            self.commit_overlays()

    def commit_overlays(self) -> None:
        """The second half of `commit`, which a recovery takes up again after a crash: overlays are open, state is COMMITTING."""
        try:
            commit([self._change(each) for each in self._disks])
        except Refused as error:
            if error.first.kind is ReasonKind.ROLLED_BACK:
                self._ended(EntryState.ROLLED_BACK)
            raise
        self._ended(EntryState.COMMITTED)

    def _ended(self, state: EntryState) -> None:
        """What was done to the disks is done; a journal that cannot be told leaves it to a recovery to tell."""
        try:
            self._clean_up(state)
        except (Refused, OSError) as error:
            if self.state is EntryState.COMMITTING:
                cause = error.first.detail("cause") if isinstance(error, Refused) else error.strerror
                path = self._disks[0].disk.path
                raise refused(ReasonKind.COMMIT_UNFINISHED, path, entry=self.entry, cause=cause) from error
            # What is left lying is taken away by the next recovery.
            LOG.debug("working files stay", exc_info=True)

    def forget_undo_data(self) -> None:
        """There will be no way back from this one."""
        for each in self._disks:
            remove(place_of(self._state_dir, self.entry, each.disk.number))
            self._journal.set_files(self.entry, each.disk.number, undo="")

    def _change(self, held: HeldDisk) -> Change:
        number = held.disk.number
        rows = [each for each in self._rows if each.disk == number and each.role is RangeRole.WRITTEN]
        (row,) = (each for each in self._disk_rows if each.number == number)
        place = place_of(self._state_dir, self.entry, number)
        return Change(held, tuple(rows), place, row.file_size, row.final_size)

    def _clean_up(self, after: EntryState) -> None:
        """The overlays go only after the state is durable; old bytes of what did not happen go too."""
        self.move(after)
        for each in self._disks:
            remove(_overlay(each))
            self._journal.set_files(self.entry, each.disk.number, work="")
        if after is EntryState.ROLLED_BACK:
            self.forget_undo_data()

    def move(self, after: EntryState) -> None:
        """Records the next state, durably."""
        if after not in MOVES[self.state]:
            raise IllegalMove(f"{self.state.value} to {after.value}")
        self._journal.move(self.entry, self.state, after)
        self.state = after

    def __enter__(self) -> "Transaction":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if EntryState.ROLLED_BACK not in MOVES[self.state] or self.state is EntryState.COMMITTING:
            return
        with uninterrupted():
            for each in self._disks:
                # A daemon that is gone holds nothing open; its overlay goes all the same.
                with suppress(Refused):
                    _drop_overlay(each)
            self._clean_up(EntryState.ROLLED_BACK)


def begin(
    journal: Journal,
    state_dir: Path,
    disks: Sequence[HeldDisk],
    *,
    kind: EntryKind,
    target: Sequence[str],
    plan_id: str = "",
    plan: str = "",
    undoes: int | None = None,
    final_sizes: Mapping[DiskNumber, int] | None = None,
    definition: DefinitionRow | None = None,
) -> Transaction:
    """A new entry, durable, with nothing done yet. `final_sizes`: lengths that raw files are cut to at the end.

    Refused when one of the disks is only to be read.
    """
    if against := tuple(each for held in disks for each in held.against):
        raise Refused(*against)
    rows = [_row(each, (final_sizes or {}).get(each.disk.number)) for each in disks]
    entry = journal.begin(kind, target, plan_id, plan, rows, undoes, definition)
    return Transaction(journal, entry, state_dir, disks, rows)


def _row(held: HeldDisk, final_size: int | None) -> DiskRow:
    return DiskRow(
        number=held.disk.number,
        key=held.key,
        path=held.disk.path if held.disk.remote else str(Path(held.disk.path).absolute()),
        format=held.disk.format,
        size=held.chain.virtual_size,
        file_size=held.file_size,
        work=str(held.daemon.directory),
        final_size=final_size,
        window=held.disk.window,
        remote=held.disk.remote,
        backing_dirs=tuple(sorted({str(Path(os.path.realpath(layer.path)).parent) for layer in held.chain.layers[1:]})),
    )


def _overlay(held: HeldDisk) -> Path:
    return held.daemon.directory / f"{OVERLAY}.qcow2"


def _drop_overlay(held: HeldDisk) -> None:
    held.daemon.unexport_all()
    held.daemon.close_all()
    held.daemon.open_base(read_only=True)
