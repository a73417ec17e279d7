# SPDX-License-Identifier: Apache-2.0
"""From a configuration and a bus to the configuration that has the disks there, and from two configurations to the one request.

Touches nothing. Refused(PLATFORM_REFUSED) where the machine cannot have it.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from unxen.errors import Refused, refused
from unxen.model.definition import DefinitionChange, DefinitionPart
from unxen.model.ids import Bus
from unxen.model.machine import Clock
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.boot_order import moved_order
from unxen.platforms.proxmox.buses import bus_of, clock_of, places, translated
from unxen.platforms.proxmox.config import VmConfig
from unxen.platforms.proxmox.drives import EFI_DISK, UNUSED, Drive, hard_disks, is_slot, kind_of, unused_volumes
from unxen.platforms.proxmox.update import Update

CLOCK = "localtime"
# The keys beside slots that a switch may change, and those that decide with them.
_DECIDING = ("boot", "bootdisk", "scsihw", "bios", EFI_DISK)
_OURS = (*_DECIDING, CLOCK)
_MACHINE_KEYS = (*_DECIDING, "machine")


def switched(config: VmConfig, volumes: Collection[str], bus: Bus, drivers: Collection[Bus]) -> dict[str, str]:
    """The values of the main part with these volumes on the bus, and every other disk on it whose own bus has no driver.

    A disk that only lies among the unused is attached. Where the others find no slot any more they stay; Windows starts without.
    """
    moving = where(config, volumes)
    if not moving:
        raise refused(ReasonKind.GUEST_CHANGED, bus.value, cause="The disk is not in its configuration any more.")
    others = {slot: drive for slot, drive in hard_disks(config.values) if slot not in moving and _lost(slot, config, drivers)}
    try:
        return _moved(config, {**moving, **others}, bus)
    except Refused:
        if not others:
            raise
    return _moved(config, moving, bus)


def with_clock(values: Mapping[str, str], wanted: Clock | None) -> dict[str, str]:
    """The values with the clock that Windows needs; a clock that is right by itself gets no line."""
    if wanted is None or clock_of(values) is wanted:
        return dict(values)
    return {**values, CLOCK: "1" if wanted is Clock.LOCALTIME else "0"}


def _lost(slot: str, config: VmConfig, drivers: Collection[Bus]) -> bool:
    return bus_of(slot, config.values) not in drivers


def _moved(config: VmConfig, moving: Mapping[str, Drive], bus: Bus) -> dict[str, str]:
    values = dict(config.values)
    found = places(bus, values, tuple(moving), [key for key in values if is_slot(key)])
    moves = {old: place.slot for old, place in zip(moving, found, strict=True) if old != place.slot}
    order = moved_order(config.values, moves)
    for old, new in moves.items():
        values[new] = translated(old, moving[old], new).text()
        del values[old]
    if scsihw := next((place.scsihw for place in found if place.scsihw), ""):
        values["scsihw"] = scsihw
    if moves:
        values["boot"] = f"order={';'.join(order)}"
        values.pop("bootdisk", None)
    return values


def request(before: VmConfig, after: Mapping[str, str], digest: str) -> Update | None:
    """What has to be asked of Proxmox so that `before` becomes `after`; None when nothing has to be.

    Unused volumes are in no request: attaching one takes it off the list, detaching one puts it there, deleting would destroy it.
    """
    mine = {key for key in chain(before.values, after) if is_slot(key) or key in _OURS}
    sets = tuple((key, value) for key, value in after.items() if key in mine and before.values.get(key) != value)
    # Proxmox drops `bootdisk` by itself when an order is set.
    deletes = (key for key in before.values if key in mine and key not in after and not _goes_by_itself(key, sets))
    # Slots first: deleting one writes a new boot order, which the deletion of the order has to follow.
    ordered = tuple(sorted(deletes, key=lambda key: (not is_slot(key), key)))
    return Update(sets, ordered, digest) if sets or ordered else None


def definition_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[DefinitionChange, ...]:
    """What people are told of a switch: the slots that disks leave and get, lost options, controller and boot order."""
    old = {drive.volume: (slot, drive) for slot, drive in (*_unused(before), *hard_disks(before))}
    made = []
    for slot, drive in hard_disks(after):
        was, former = old.get(drive.volume, ("", drive))
        if was != slot:
            made.append(DefinitionChange(DefinitionPart.DISK_BUS, drive.volume, was, slot))
            lost = [f"{name}={value}" for name, value in former.options if name not in dict(drive.options)]
            made += [DefinitionChange(DefinitionPart.DISK_OPTION, slot, each, "") for each in lost]
    parts = {
        "scsihw": DefinitionPart.CONTROLLER,
        "bios": DefinitionPart.FIRMWARE,
        EFI_DISK: DefinitionPart.FIRMWARE,
        "boot": DefinitionPart.BOOT_ORDER,
    }
    for key, part in parts.items():
        if before.get(key) != after.get(key):
            made.append(DefinitionChange(part, key, before.get(key, ""), after.get(key, "")))
    if before.get(CLOCK) != after.get(CLOCK):
        made.append(DefinitionChange(DefinitionPart.CLOCK, CLOCK, clock_of(before).value, clock_of(after).value))
    return tuple(made)


def _unused(values: Mapping[str, str]) -> Iterator[tuple[str, Drive]]:
    return ((key, Drive(value)) for key, value in values.items() if kind_of(key) == UNUSED)


def _goes_by_itself(key: str, sets: Collection[tuple[str, str]]) -> bool:
    return key == "bootdisk" and any(name == "boot" and "order=" in value for name, value in sets)


def pending_trouble(config: VmConfig) -> tuple[str, ...]:
    """Keys that wait for the next change of the VM and would then decide about its disks beside our own request."""
    keys = (*config.pending, *config.pending_deletes)
    return tuple(key for key in keys if is_slot(key) or key in _MACHINE_KEYS)


def where(config: VmConfig, volumes: Collection[str]) -> dict[str, Drive]:
    """The slots on which these volumes are, and for one that is on none its key among the unused."""
    found = {slot: drive for slot, drive in hard_disks(config.values) if drive.volume in volumes}
    attached = {drive.volume for drive in found.values()}
    unused = {key: Drive(volume) for key, volume in unused_volumes(config) if volume in volumes and volume not in attached}
    return {**found, **unused}
