# SPDX-License-Identifier: Apache-2.0
"""Chooses how each edited hive gets into the overlay's file system, and has it done.

Writes to the overlays' exports only. What was asked for and cannot be is Refused(DELIVERY_IMPOSSIBLE); a kind of file that no
delivery may write was refused long before, and is once more. An appliance is for layout and room: no volume's state leads to it.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from unxen.errors import refused
from unxen.host.nbd_client import NbdClient
from unxen.model.facts import GuestFacts, Installation
from unxen.model.ids import DiskNumber
from unxen.model.progress import Listener, Remark
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.model.settings import Delivery
from unxen.model.volume_facts import HARMLESS_JOURNALS, FileRecord, Volume
from unxen.repair.delivery.appliance import ApplianceJob, deliver_by_appliance
from unxen.repair.delivery.in_place import SECTOR, deliver_in_place, obstacle
from unxen.repair.delivery.unlocked import Unlocked
from unxen.repair.holding import HeldDisk
from unxen.repair.verification import EditedHive

NEITHER = ("resident", "compressed", "encrypted", "sparse", "wof")
"""Kinds of file that neither way may write: a driver that writes them allocates, converts, or writes what Windows does not read."""


@dataclass(frozen=True)
class Parcel:
    """An edited hive with the place that it is for."""

    hive: EditedHive
    installation: Installation
    record: FileRecord
    volume: Volume
    held: HeldDisk

    @property
    def unclean(self) -> bool:
        """Whether the volume was accepted though Windows has not let go of it: a driver that mounts it empties its journal."""
        return self.volume.dirty is not False or self.volume.journal not in HARMLESS_JOURNALS

    @property
    def obstacle(self) -> str:
        """What keeps it from being written in place."""
        return obstacle(self.record, self.volume, self.hive.after)


@dataclass(frozen=True)
class Delivered:
    """How the hives got in; `cause` is what kept them from being written in place, where that was left to us."""

    way: Delivery
    cause: str


def parcels(hives: Sequence[EditedHive], facts: GuestFacts, held: Sequence[HeldDisk]) -> tuple[Parcel, ...]:
    """Every edited hive with its installation, record, volume and disk."""
    by_number = {each.disk.number: each for each in held}
    return tuple(_parcel(hive, facts, by_number) for hive in hives)


def _parcel(hive: EditedHive, facts: GuestFacts, held: dict[DiskNumber, HeldDisk]) -> Parcel:
    (found,) = (each for each in facts.installations if each.id == hive.plan.installation)
    (disk,) = (each for each in facts.disks if each.number == found.disk)
    (volume,) = (each for each in disk.volumes if each.partition == found.partition)
    if found.record is None:
        raise refused(ReasonKind.HIVE_FILE_NOT_EDITABLE, found.id, what="record")
    return Parcel(hive, found, found.record, volume, held[found.disk])


def deliver(each: Sequence[Parcel], wanted: Delivery, listener: Listener, view: Unlocked | None = None) -> Delivered:
    """Delivers all hives of a guest in one way. `view` has the encrypted volumes open."""
    for parcel in each:
        if parcel.obstacle in NEITHER:
            raise refused(ReasonKind.HIVE_FILE_NOT_EDITABLE, parcel.installation.id, what=parcel.obstacle)
    cause = next((parcel.obstacle for parcel in each if parcel.obstacle), "")
    if wanted is Delivery.IN_PLACE and cause:
        raise refused(ReasonKind.DELIVERY_IMPOSSIBLE, wanted.value, cause=cause)
    way = Delivery.APPLIANCE if cause or wanted is Delivery.APPLIANCE else Delivery.IN_PLACE
    WAYS[way](each, listener, view)
    return Delivered(way, cause if wanted is Delivery.AUTO else "")


def _in_place(each: Sequence[Parcel], _listener: Listener, view: Unlocked | None) -> None:
    for parcel in each:
        with _door(parcel, view) as client:
            deliver_in_place(client, parcel.record, parcel.volume, parcel.hive.after)


def _by_appliance(each: Sequence[Parcel], listener: Listener, view: Unlocked | None) -> None:
    """A volume that was not left clean, or that this kind of machine would not see, is nothing for a file system's driver."""
    cause = next((parcel.obstacle for parcel in each if parcel.obstacle), "")
    _refuse_unclean(each, "growth" if cause else "appliance")
    _refuse_large_sectors(each)
    if view is not None:
        raise refused(ReasonKind.DELIVERY_IMPOSSIBLE, Delivery.APPLIANCE.value, cause="encrypted-volume")
    if cause:
        listener(Remark("appliance-needed", (("cause", cause),)))
    deliver_by_appliance([_job(parcel) for parcel in each], listener)


WAYS: dict[Delivery, Callable[[Sequence[Parcel], Listener, Unlocked | None], None]] = {
    Delivery.IN_PLACE: _in_place,
    Delivery.APPLIANCE: _by_appliance,
}


def _door(parcel: Parcel, view: Unlocked | None) -> AbstractContextManager[NbdClient]:
    """Where the parcel's volume can be written as what it is."""
    place = f"{parcel.volume.disk}:{parcel.volume.partition}"
    return view.client(parcel.volume.disk) if view and place in view.opened else parcel.held.daemon.client()


def _refuse_unclean(parcels: Sequence[Parcel], obstacle: str) -> None:
    for parcel in parcels:
        if parcel.unclean:
            where = f"{parcel.volume.disk}:{parcel.volume.partition}"
            kind = ReasonKind.JOURNAL_UNCLEAN if parcel.volume.dirty is False else ReasonKind.VOLUME_DIRTY
            raise refused(kind, parcel.installation.id, volume=where, obstacle=obstacle)


def _refuse_large_sectors(parcels: Sequence[Parcel]) -> None:
    """An appliance sees the disk with sectors of 512 bytes, so it would not find the partitions of one that had larger ones."""
    if any(parcel.volume.sector_size != SECTOR for parcel in parcels):
        raise refused(ReasonKind.DELIVERY_IMPOSSIBLE, Delivery.APPLIANCE.value, cause="large-sectors")


def _job(parcel: Parcel) -> ApplianceJob:
    found = parcel.installation
    # What came out of a replay is not what the file holds.
    before = parcel.hive.before if found.hive is not None and found.hive.replay is None else b""
    return ApplianceJob(parcel.held.daemon.address, "", found.partition, found.hive_path, parcel.hive.after, before)
