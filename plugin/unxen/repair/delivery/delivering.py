# SPDX-License-Identifier: Apache-2.0
"""Chooses how each edited hive gets into the overlay's file system, and has it done.

Writes to the overlays' exports only. What was asked for and cannot be is Refused(DELIVERY_IMPOSSIBLE); a kind of file that no
delivery may write was refused long before.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from unxen.errors import refused
from unxen.host.nbd_client import NbdClient
from unxen.model.facts import GuestFacts, Installation
from unxen.model.ids import DiskNumber
from unxen.model.progress import Listener, Remark
from unxen.model.reason import ReasonKind
from unxen.model.settings import Delivery
from unxen.model.volume_facts import HARMLESS_JOURNALS, FileRecord, Volume
from unxen.repair.delivery.appliance import ApplianceJob, deliver_by_appliance
from unxen.repair.delivery.in_place import SECTOR, deliver_in_place, obstacle
from unxen.repair.delivery.unlocked import Unlocked
from unxen.repair.holding import HeldDisk
from unxen.repair.verification import EditedHive


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


def deliver(each: Sequence[Parcel], wanted: Delivery, listener: Listener, view: Unlocked | None = None) -> str:
    """Delivers all hives of a guest in one way; gives its name. `view` has the encrypted volumes open."""
    blocked = next((parcel for parcel in each if parcel.obstacle), None)
    if wanted is Delivery.IN_PLACE and blocked:
        raise refused(ReasonKind.DELIVERY_IMPOSSIBLE, wanted.value, cause=blocked.obstacle)
    if wanted is Delivery.APPLIANCE or blocked:
        _refuse_unclean(each, "growth" if blocked else "appliance")
        _refuse_large_sectors(each)
        if view is not None:
            raise refused(ReasonKind.DELIVERY_IMPOSSIBLE, Delivery.APPLIANCE.value, cause="encrypted-volume")
        if wanted is Delivery.AUTO and blocked:
            listener(Remark("appliance-needed", (("cause", blocked.obstacle),)))
        deliver_by_appliance([_job(parcel) for parcel in each], listener)
        return Delivery.APPLIANCE.value
    for parcel in each:
        with _door(parcel, view) as client:
            deliver_in_place(client, parcel.record, parcel.volume, parcel.hive.after)
    return Delivery.IN_PLACE.value


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
    return ApplianceJob(parcel.held.daemon.address, "", found.partition, found.hive_path, parcel.hive.after)
