# SPDX-License-Identifier: Apache-2.0
"""From a configuration to a guest: its disks where they lie, its present bus, board and firmware.

Asks the node where volumes are, and activates them; opens no disk. Refused where a disk cannot be reached or must not be written.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from unxen.errors import refused
from unxen.model.disk import Disk
from unxen.model.guest import Guest, Machine
from unxen.model.ids import Bus, DiskNumber
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.boot_order import order_of
from unxen.platforms.proxmox.buses import board_of, bus_of, clock_of, firmware_of, offered
from unxen.platforms.proxmox.config import VmConfig
from unxen.platforms.proxmox.drives import hard_disks, is_slot, unused_volumes
from unxen.platforms.proxmox.volumes import Storages, locate

_MAC = re.compile(r"(?<=[=,])[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}(?=,|$)")
_UUID = re.compile(r"(?:^|,)uuid=([0-9a-fA-F-]{36})")


@dataclass(frozen=True)
class Described:
    """A guest, the configuration that it was read from, and the volume behind each of its disks."""

    guest: Guest
    config: VmConfig
    volumes: Mapping[DiskNumber, str]


def describe_vm(target: str, vmid: str, config: VmConfig, storages: Storages) -> Described:
    """The guest. Where no disk is attached the unused volumes are its disks, as after an import."""
    slots = disks_of(config)
    if not slots:
        raise refused(ReasonKind.PLATFORM_REFUSED, target, problem="this virtual machine has no disk, neither attached nor unused")
    found = [locate(volume, storages) for volume in slots.values()]
    disks = tuple(Disk(DiskNumber(number), each.path, each.format, remote=each.remote) for number, each in enumerate(found, 1))
    guest = Guest(
        target=(target,),
        disks=disks,
        machine=machine_of(config, slots),
        id=identity(vmid, config),
        backing_dirs=tuple(dict.fromkeys(each.allowed for each in found if each.allowed)),
        macs=macs_of(config),
    )
    return Described(guest, config, {disk.number: volume for disk, volume in zip(disks, slots.values(), strict=True)})


def disks_of(config: VmConfig) -> Mapping[str, str]:
    """The volume behind each slot with a hard disk; where there is none, behind each key of an unused volume."""
    return {slot: drive.volume for slot, drive in hard_disks(config.values)} or dict(unused_volumes(config))


def macs_of(config: VmConfig) -> tuple[str, ...]:
    """The MAC addresses of its network cards, by the numbers of their keys."""
    found = [_MAC.search(value) for _, value in config.of("net")]
    return tuple(each[0].lower() for each in found if each)


def identity(vmid: str, config: VmConfig) -> str:
    """A number is given again when its VM is destroyed; the UUID that Proxmox makes for every VM is not."""
    found = _UUID.search(config.values.get("smbios1", ""))
    return f"proxmox:{vmid}:{found[1].lower()}" if found else f"proxmox:{vmid}"


def machine_of(config: VmConfig, slots: Mapping[str, str]) -> Machine:
    """The hardware as Windows will see it; `slots` is what `disks_of` gave, and not empty."""
    first = next((device for device in order_of(config.values) if device in slots), next(iter(slots)))
    return Machine(
        bus=bus_of(first, config.values) if is_slot(first) else Bus.UNKNOWN,
        board=board_of(config.values),
        firmware=firmware_of(config.values),
        offered=offered(config.values, list(slots)),
        attached=is_slot(first),
        clock=clock_of(config.values),
    )
