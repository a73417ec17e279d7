# SPDX-License-Identifier: Apache-2.0
"""What happens between a plan and a repaired disk, step by step, for all disks of a guest together.

Writes overlays and the journal, and disks only in `_commit`. A failure before drops the overlays and says so in the journal; the
error goes on to the caller.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.files import free_bytes, private_directory, remove
from unxen.host.nbd_client import Range
from unxen.host.sandbox import Box
from unxen.journal.records import DiskRow, EntryKind, EntryState, RangeRow
from unxen.journal.retention import purge
from unxen.journal.store import Journal
from unxen.knowledge.tables import Knowledge
from unxen.model.codec import encode
from unxen.model.ids import Bus, DiskNumber
from unxen.model.judgement import Judgement
from unxen.model.progress import Listener, Step
from unxen.model.reason import ReasonKind
from unxen.model.settings import Delivery, Settings
from unxen.probe.footprint import footprint
from unxen.probe.look import Look
from unxen.probe.registry_box import edit_hive
from unxen.probe.wanted import wanted_from
from unxen.repair.commit import commit, finish, settle, take_back
from unxen.repair.delivery.delivering import Parcel, deliver, parcels
from unxen.repair.delivery.in_place import hive_ranges
from unxen.repair.holding import UNDO, HeldDisk
from unxen.repair.looking import look_through
from unxen.repair.transaction import Transaction
from unxen.repair.undo_data import BEFORE, OVERLAY, keep, open_before
from unxen.repair.verification import (
    EditedHive,
    failed,
    verify_chains,
    verify_hive,
    verify_installations,
    verify_ranges,
)

RECORD_BYTES = 1024
BASE_BLOCK_BYTES = 4096
# Overlay and undo data hold whole clusters of 64 KiB around what changes; an appliance touches a few more.
SPARE_BYTES = 32 << 20

Decide = Callable[[Look, Bus | None], Judgement]
Stepping = Callable[[Step], AbstractContextManager[None]]


@dataclass(frozen=True)
class Result:
    """The journal's number of what was done, and how the hives got in."""

    entry: int
    delivery: str


@dataclass(frozen=True)
class Pipeline:
    """Everything that the steps share."""

    journal: Journal
    settings: Settings
    knowledge: Knowledge
    held: tuple[HeldDisk, ...]
    first: Look
    judgement: Judgement
    decide: Decide
    step: Stepping
    listener: Listener

    def run(self, target: Sequence[str], delivery: Delivery, dry_run: bool) -> Result:
        """From the plan to the committed disks; with `dry_run` to the verified overlays."""
        self._check_room()
        purge(self.journal, self.settings.undo_days)
        plan = self.judgement.plan
        rows = [_row(each) for each in self.held]
        entry = self.journal.begin(EntryKind.REPAIR, target, plan.id, json.dumps(encode(plan)), rows)
        transaction = Transaction(self.journal, entry)
        with self._rolled_back_on_failure(transaction):
            way = self._until_verified(transaction, delivery)
            if not dry_run:
                self._commit(transaction)
        if dry_run:
            self._drop(transaction)
        return Result(entry, way)

    def _until_verified(self, transaction: Transaction, delivery: Delivery) -> str:
        with self.step(Step.OVERLAY):
            self._stage(transaction)
        with self.step(Step.EDIT):
            each = parcels(self._edit(), self.first.facts, self.held)
        with self.step(Step.DELIVER):
            way = deliver(each, delivery, self.listener)
            transaction.move(EntryState.DELIVERED)
        with self.step(Step.VERIFY):
            self._verify(each, way)
            transaction.move(EntryState.VERIFIED)
        return way

    def _check_room(self) -> None:
        needed = sum(len(hive) for hive in self.first.hives.values()) + SPARE_BYTES * len(self.held)
        free = free_bytes(private_directory(self.settings.state_dir))
        if free < needed:
            raise refused(ReasonKind.NO_SPACE, str(self.settings.state_dir), needed=needed, free=free)

    def _stage(self, transaction: Transaction) -> None:
        for each in self.held:
            self.journal.set_files(transaction.entry, each.disk.number, work=str(each.daemon.directory))
            each.daemon.create_image(OVERLAY, each.chain.virtual_size, above_base=True)
            each.daemon.export(OVERLAY, writable=True)
            open_before(each.daemon)
        transaction.move(EntryState.STAGED)

    def _edit(self) -> list[EditedHive]:
        planned = [each for each in self.judgement.plan.installations if each.edits]
        with Box.open() as box:
            hives = [(each, self.first.hives[each.installation]) for each in planned]
            return [EditedHive(each, hive, edit_hive(box, hive, each.edits)) for each, hive in hives]

    def _verify(self, done: Sequence[Parcel], way: str) -> None:
        second = look_through(self.held, wanted_from(self.knowledge))
        verify_installations(self.first.facts, second.facts)
        bus = self.judgement.bus
        verify_chains(self.decide(second, bus), bus, [each.installation.id for each in done])
        with Box.open() as box:
            for each in done:
                verify_hive(box, each.hive, second.hives.get(each.installation.id))
        self._verify_nothing_else(done, through_files=way != Delivery.IN_PLACE.value)

    def _verify_nothing_else(self, done: Sequence[Parcel], *, through_files: bool) -> None:
        """In place only the hive's clusters may differ; a file system that wrote them may have kept its books, too."""
        for held in self.held:
            mine = [each for each in done if each.held is held]
            allowed = [
                place for each in mine for place in (_books(each) if through_files else hive_ranges(each.record, each.volume))
            ]
            with held.daemon.client("", depths=True) as above, held.daemon.client(BEFORE) as below:
                verify_ranges(above, below, allowed)

    def _commit(self, transaction: Transaction) -> None:
        with self.step(Step.UNDO_DATA):
            rows = {each.disk.number: self._keep(transaction, each) for each in self.held}
        with self.step(Step.COMMIT):
            for each in self.held:
                each.daemon.unexport()
                each.daemon.unexport(BEFORE)
            transaction.move(EntryState.COMMITTING)
            self._write(transaction, rows)
            for each in self.held:
                finish(each.daemon)
                settle(each)
            transaction.move(EntryState.COMMITTED)
            self._remove_overlays(transaction)

    def _keep(self, transaction: Transaction, held: HeldDisk) -> tuple[RangeRow, ...]:
        place = private_directory(self.settings.state_dir / UNDO) / f"{transaction.entry}-{held.disk.number}.qcow2"
        rows = keep(held.daemon, held.disk.number, self._witnesses(held), place)
        self.journal.add_ranges(transaction.entry, rows)
        self.journal.set_files(transaction.entry, held.disk.number, undo=str(place))
        return rows

    def _witnesses(self, held: HeldDisk) -> list[Range]:
        """Each edited hive's own record and base block: nobody runs this Windows without changing them."""
        planned = {each.installation for each in self.judgement.plan.installations if each.edits}
        found = []
        for each in self.first.facts.installations:
            if each.id in planned and each.disk == held.disk.number and each.record:
                (disk,) = (disk for disk in self.first.facts.disks if disk.number == each.disk)
                (volume,) = (volume for volume in disk.volumes if volume.partition == each.partition)
                found.append(Range(each.record.record_offset, RECORD_BYTES))
                found.append(Range(hive_ranges(each.record, volume)[0].start, min(BASE_BLOCK_BYTES, volume.cluster_size)))
        return found

    def _write(self, transaction: Transaction, rows: dict[DiskNumber, tuple[RangeRow, ...]]) -> None:
        """Merges every overlay; when one cannot be, all disks get their old bytes back."""
        for index, each in enumerate(self.held):
            if not (cause := commit(each)):
                continue
            for written in self.held[: index + 1]:
                self._back(transaction, written, rows[written.disk.number])
            transaction.move(EntryState.ROLLED_BACK)
            raise failed("the disk could not be written", each.disk.path, cause=cause)

    def _back(self, transaction: Transaction, held: HeldDisk, rows: tuple[RangeRow, ...]) -> None:
        kept = self.settings.state_dir / UNDO / f"{transaction.entry}-{held.disk.number}.qcow2"
        os.link(kept, held.daemon.directory / "undo.qcow2")
        take_back(held, rows)

    @contextmanager
    def _rolled_back_on_failure(self, transaction: Transaction) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with suppress(Refused):
                if transaction.unwritten or transaction.state is EntryState.ROLLED_BACK:
                    self._drop(transaction)
            raise

    def _drop(self, transaction: Transaction) -> None:
        """No overlay and no undo data of a repair that did not happen; the disks are as they came."""
        if transaction.unwritten:
            transaction.move(EntryState.ROLLED_BACK)
        with ExitStack() as stack:
            for each in self.held:
                stack.callback(remove, self.settings.state_dir / UNDO / f"{transaction.entry}-{each.disk.number}.qcow2")
        self._remove_overlays(transaction)

    def _remove_overlays(self, transaction: Transaction) -> None:
        for each in self.held:
            for name in (OVERLAY, "undo"):
                remove(each.daemon.directory / f"{name}.qcow2")
            self.journal.set_files(transaction.entry, each.disk.number, work="")


def _books(parcel: Parcel) -> tuple[Range, ...]:
    """What the overlay's file system may change when it writes this hive."""
    with Box.open() as box, parcel.held.daemon.connect() as sock:
        return footprint(box, sock.fileno(), parcel.volume, parcel.installation.hive_path)


def _row(held: HeldDisk) -> DiskRow:
    disk = held.disk
    path = str(Path(disk.path).absolute())
    return DiskRow(disk.number, held.key, path, disk.format, held.chain.virtual_size, held.file_size)
