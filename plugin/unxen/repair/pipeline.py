# SPDX-License-Identifier: Apache-2.0
"""What happens between a plan and a repaired disk, step by step, for all disks of a guest together.

Writes overlays and the journal, and disks only by the transaction's commit. A disk without an edit is only read.
A failure before the commit drops the overlays and says so in the journal; the error goes on to the caller.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from unxen.errors import Refused, refused
from unxen.host.files import free_bytes, private_directory
from unxen.host.ledger import spending
from unxen.host.nbd_client import Range
from unxen.host.sandbox import Box
from unxen.journal.records import DefinitionRow, EntryKind
from unxen.journal.retention import purge
from unxen.journal.store import Journal
from unxen.knowledge.tables import Knowledge
from unxen.model.codec import encode
from unxen.model.edit import InstallationPlan
from unxen.model.ids import Bus, DiskNumber
from unxen.model.judgement import Judgement
from unxen.model.progress import Listener, Part, Step
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass, field
from unxen.model.settings import STATE_SETTING, Delivery, Settings
from unxen.model.volume_facts import Partition
from unxen.probe.footprint import footprint
from unxen.probe.look import Look, load_ahead
from unxen.probe.look_protocol import Code
from unxen.probe.registry_box import edit_hive
from unxen.probe.wanted_names import wanted_from
from unxen.registry.flaws import Flaw, refuse_forbidding
from unxen.repair.delivery.delivering import Delivered, Parcel, deliver, parcels
from unxen.repair.delivery.in_place import hive_ranges
from unxen.repair.hive_checks import hive_checks
from unxen.repair.holding import HeldDisk
from unxen.repair.looking import look_behind, look_through, opened_view
from unxen.repair.transaction import Transaction, begin
from unxen.repair.undo_data import BEFORE
from unxen.repair.verification import (
    EditedHive,
    verify_chains,
    verify_hive,
    verify_installations,
    verify_others,
    verify_ranges,
)

RECORD_BYTES = 1024
BASE_BLOCK_BYTES = 4096
# Overlay and undo data hold whole clusters of 64 KiB around what changes; an appliance touches a few more.
SPARE_BYTES = 32 << 20

T = TypeVar("T")
Decide = Callable[[Look, Bus | None], Judgement]
Stepping = Callable[[Step], AbstractContextManager[None]]


@dataclass(frozen=True)
class Result:
    """The journal's number of what was done, how the hives got in, and the judgement of the repaired disks."""

    entry: int
    delivered: Delivered
    after: Judgement | None


@dataclass(frozen=True)
class Pipeline:
    """Everything that the steps share.

    `decide` judges the result, which must be whole then. An undo of registry values has nothing to judge: `undoes` is the entry
    that it takes back, and its own edits are all that it has to show.
    """

    journal: Journal
    settings: Settings
    knowledge: Knowledge
    held: tuple[HeldDisk, ...]
    first: Look
    judgement: Judgement
    decide: Decide | None
    step: Stepping
    listener: Listener
    opened: tuple[Partition, ...] = ()
    keys: tuple[str, ...] = field(default=(), repr=False)
    undoes: int | None = None

    def run(self, target: Sequence[str], delivery: Delivery, dry_run: bool, definition: DefinitionRow | None = None) -> Result:
        """From the plan to the committed disks; with `dry_run` to the verified overlays. The definition is only kept."""
        purge(self.journal, self.settings.undo_days, self.settings.undo_bytes)
        disks = self._disks_to_change()
        self._check_room(disks)
        plan = self.judgement.plan
        document = json.dumps(encode(plan))
        transaction = begin(
            self.journal,
            self.settings.state_dir,
            disks,
            kind=EntryKind.REPAIR if self.undoes is None else EntryKind.REGISTRY_UNDO,
            target=target,
            plan_id=plan.id,
            plan=document,
            undoes=self.undoes,
            definition=definition,
        )
        with transaction:
            done, delivered, after = self._until_verified(transaction, disks, delivery)
            if not dry_run:
                with self.step(Step.UNDO_DATA):
                    transaction.keep_undo_data(_witnesses(done))
                with self.step(Step.COMMIT):
                    transaction.commit()
        return Result(transaction.entry, delivered, after)

    def _disks_to_change(self) -> tuple[HeldDisk, ...]:
        planned = {each.installation for each in self.judgement.plan.installations if each.edits}
        numbers = {each.disk for each in self.first.facts.installations if each.id in planned}
        return tuple(each for each in self.held if each.disk.number in numbers)

    def _check_room(self, disks: Sequence[HeldDisk]) -> None:
        """Room for overlays and old bytes here, and for what a sparse image grows by there."""
        hives = sum(len(hive) for hive in self.first.hives.values())
        state = private_directory(self.settings.state_dir)
        _check_free(state, 2 * hives + SPARE_BYTES * len(disks), setting=STATE_SETTING)
        for each in disks:
            if each.disk.remote is None and not Path(each.disk.path).is_block_device():
                _check_free(Path(each.disk.path).absolute().parent, hives)

    def _until_verified(
        self, transaction: Transaction, disks: Sequence[HeldDisk], delivery: Delivery
    ) -> tuple[Sequence[Parcel], Delivered, Judgement | None]:
        with hive_checks() as checks, Box.open(edits=True, ahead="edit") as editor, Box.open(ahead="look") as eyes:
            with self.step(Step.OVERLAY):
                transaction.stage()
            load_ahead(eyes, Code.WINDOWS)
            with self.step(Step.EDIT):
                audits = checks.begin_audits([hive for _, hive in self._planned()])
                edited = self._edit(editor, audits)
                proofs = checks.begin_proofs(edited)
                done = parcels(edited, self.first.facts, self.held)
                if self.opened:
                    # An appliance without KVM takes longer than a box may take for an answer that waits.
                    audits, proofs = _had(audits()), _had(proofs())
            with self.step(Step.DELIVER):
                delivered, second = self._deliver(done, disks, delivery)
                transaction.delivered()
            with self.step(Step.VERIFY):
                with spending(Part.SECOND_LOOK):
                    second = second or look_through(self.held, wanted_from(self.knowledge), eyes)
                after = self._verify(done, disks, delivered.way, second)
                for each, flaws, proof in zip(edited, audits(), proofs(), strict=True):
                    verify_hive(each, second.hives.get(each.plan.installation), flaws, proof)
                transaction.verified()
            return done, delivered, after

    def _deliver(self, done: Sequence[Parcel], disks: Sequence[HeldDisk], delivery: Delivery) -> tuple[Delivered, Look | None]:
        """The way it was done; behind encryption the second look too, with nothing answered from memory, while all is open."""
        if not self.opened:
            return deliver(done, delivery, self.listener), None
        with opened_view(self.held, self.opened, self.keys, self.listener, staged=disks) as view:
            delivered = deliver(done, delivery, self.listener, view)
            view.forget()
            return delivered, look_behind(self.held, wanted_from(self.knowledge), view)

    def _planned(self) -> list[tuple[InstallationPlan, bytes]]:
        """What is to be edited, and where it comes from."""
        planned = [each for each in self.judgement.plan.installations if each.edits]
        return [(each, self.first.hives[each.installation]) for each in planned]

    def _number(self, plan: InstallationPlan) -> int:
        """Past everything in the hive and its logs: with a lower one Windows could lay old pages over the edit one day."""
        (hive,) = (each.hive for each in self.first.facts.installations if each.id == plan.installation and each.hive)
        return hive.highest + 1

    def _edit(self, box: Box, audits: Callable[[], list[tuple[Flaw, ...]]]) -> list[EditedHive]:
        """The edited hives, and the end of the box; an edit that fails on a hive that is not sound is refused for what that is."""
        try:
            with box:
                return [
                    EditedHive(each, hive, edit_hive(box, hive, each.edits, self._number(each), audited=False))
                    for each, hive in self._planned()
                ]
        except Refused:
            for (each, _), flaws in zip(self._planned(), audits(), strict=True):
                refuse_forbidding(flaws, each.installation)
            raise

    def _verify(self, done: Sequence[Parcel], disks: Sequence[HeldDisk], way: Delivery, second: Look) -> Judgement | None:
        planned = [each.installation.id for each in done]
        verify_installations(self.first.facts, second.facts)
        verify_others(self.first.facts, second.facts, planned)
        bus = self.judgement.bus
        # Asked for a bus, the same judge would want of the boot path what nobody asked for.
        after = self.decide(second, None if self.judgement.fixes_only else bus) if self.decide else None
        if after is not None:
            verify_chains(self.judgement, after, planned)
        for held in disks:
            _verify_nothing_else(held, [each for each in done if each.held is held], through_files=way is not Delivery.IN_PLACE)
        return after


@spending(Part.CLUSTERS)
def _had(value: T) -> Callable[[], T]:
    return lambda: value


def _verify_nothing_else(held: HeldDisk, done: Sequence[Parcel], *, through_files: bool) -> None:
    """In place only the hive's clusters may differ; a file system that wrote them may have kept its books, too."""
    allowed = [place for each in done for place in (_books(each) if through_files else hive_ranges(each.record, each.volume))]
    with held.daemon.client(depths=True) as above, held.daemon.client(BEFORE) as below:
        verify_ranges(above, below, allowed)


def _books(parcel: Parcel) -> tuple[Range, ...]:
    """What the overlay's file system may change when it writes this hive."""
    with Box.open() as box, parcel.held.daemon.connect() as sock:
        return footprint(box, sock.fileno(), parcel.volume, parcel.installation.hive_path)


def _check_free(place: Path, needed: int, **more: str) -> None:
    free = free_bytes(place)
    if free < needed:
        raise refused(ReasonKind.NO_SPACE, str(place), needed=needed, free=free, **more)


def _witnesses(done: Sequence[Parcel]) -> dict[DiskNumber, list[Range]]:
    """Each edited hive's own record and base block: nobody runs this Windows without changing them."""
    found: dict[DiskNumber, list[Range]] = {}
    for each in done:
        base_block = Range(hive_ranges(each.record, each.volume)[0].start, min(BASE_BLOCK_BYTES, each.volume.cluster_size))
        found.setdefault(each.installation.disk, []).extend((Range(each.record.record_offset, RECORD_BYTES), base_block))
    return found
