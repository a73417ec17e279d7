# SPDX-License-Identifier: Apache-2.0
"""A repair is taken back range by range, all or none, by a transaction of its own: old bytes go the way the new ones came.

Writes an overlay, the journal, and the disks by a commit. Every range, the hive's record and its base block must hash as the
repair left them, and the kept bytes as they were kept; else it is refused and nothing has changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unxen.errors import refused
from unxen.journal.records import DONE_STATES, DefinitionRow, DiskRow, Entry, EntryKind, RangeRole, RangeRow
from unxen.journal.store import Journal
from unxen.model.reason import ReasonKind
from unxen.repair.holding import HeldDisk
from unxen.repair.leftovers import forget_undone
from unxen.repair.transaction import begin
from unxen.repair.undo_data import all_as, disk_is, write_back
from unxen.repair.verification import failed


@dataclass(frozen=True)
class Pair:
    """A disk in hand, what the journal says of it, and the ranges that it remembers."""

    held: HeldDisk
    row: DiskRow
    ranges: tuple[RangeRow, ...]

    @property
    def written(self) -> tuple[RangeRow, ...]:
        """What the repair wrote."""
        return tuple(each for each in self.ranges if each.role is RangeRole.WRITTEN)

    @property
    def as_left(self) -> bool:
        """Nobody wrote to what the repair wrote or watched."""
        same_size = self.held.chain.virtual_size == self.row.size and self.held.disk.format is self.row.format
        return same_size and disk_is(self.held.daemon, self.ranges, after=True)


@dataclass(frozen=True)
class Found:
    """The repair to be taken back, and its disks."""

    repair: Entry
    pairs: tuple[Pair, ...]


def find_repair(journal: Journal, held: Sequence[HeldDisk], target: Sequence[str]) -> Found:
    """The newest repair of these disks whose old bytes are still there, by their files, else by what is on them."""
    entries = [each for each in journal.in_states(DONE_STATES) if each.kind is not EntryKind.UNDO and _is_kept(each)]
    # Two guests may have different parts of one file.
    by_place = {(each.key, each.disk.window): each for each in held}
    same = [entry for entry in entries if all((row.key, row.window) in by_place for row in entry.disks)]
    for entry in same[:1]:
        found = Found(entry, tuple(_pair(journal, entry, by_place[row.key, row.window], row) for row in entry.disks))
        if all(pair.as_left for pair in found.pairs):
            return found
    # A device that got another's number since is told from it by what is on it, like a disk that was moved.
    for entry in (each for each in entries if each not in same):
        pairs = [_by_content(journal, entry, held, row) for row in entry.disks]
        if all(pairs):
            return Found(entry, tuple(each for each in pairs if each))
    if same:
        raise refused(ReasonKind.WRITTEN_SINCE, " + ".join(target), entry=same[0].id)
    raise refused(ReasonKind.NO_UNDO_DATA, " + ".join(target))


def _is_kept(entry: Entry) -> bool:
    return bool(entry.disks) and all(disk.undo and Path(disk.undo).is_file() for disk in entry.disks)


def _pair(journal: Journal, entry: Entry, held: HeldDisk, row: DiskRow) -> Pair:
    return Pair(held, row, tuple(each for each in journal.with_ranges(entry).ranges if each.disk == row.number))


def _by_content(journal: Journal, entry: Entry, held: Sequence[HeldDisk], row: DiskRow) -> Pair | None:
    """A disk that was moved or copied since shows the repair's own bytes."""
    pairs = (_pair(journal, entry, each, row) for each in held)
    return next((pair for pair in pairs if pair.ranges and pair.as_left), None)


def take_back(
    journal: Journal, state_dir: Path, found: Found, target: Sequence[str], definition: DefinitionRow | None = None
) -> int:
    """Old bytes into overlays, looked at, committed; gives the undo's own entry. The kept bytes of these very files are of no more
    use then. `definition` is the guest's to be put back afterwards.
    """
    transaction = begin(
        journal,
        state_dir,
        [pair.held for pair in found.pairs],
        kind=EntryKind.UNDO,
        target=target,
        plan_id=found.repair.plan_id,
        undoes=found.repair.id,
        final_sizes={pair.held.disk.number: pair.row.file_size for pair in found.pairs},
        definition=definition,
    )
    with transaction:
        transaction.stage()
        for pair in found.pairs:
            with pair.held.daemon.client() as client:
                write_back(pair.held.daemon, client, pair.written, Path(pair.row.undo))
        transaction.delivered()
        _verify(found.pairs)
        transaction.verified()
        transaction.keep_undo_data({})
        transaction.commit()
    forget_undone(journal, journal.entry(transaction.entry))
    return transaction.entry


def _verify(pairs: Sequence[Pair]) -> None:
    for pair in pairs:
        with pair.held.daemon.client() as client:
            if not all_as(client, pair.ranges, after=False):
                raise failed("other bytes than kept", pair.held.disk.path)
