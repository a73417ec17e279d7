# SPDX-License-Identifier: Apache-2.0
"""Where a moved disk goes: a name that no other disk has, and an address that no other device holds, said outright.

Changes the elements it is given. libvirt would derive addresses from names, and a derived one may meet one that is written down,
which it refuses; so nothing is left to be derived. Limits: libvirt 9.0.0 and QEMU 7.2, defined and started.
"""

import string
from collections.abc import Iterator
from itertools import count

from lxml import etree

from unxen.errors import refused
from unxen.model.definition import DefinitionChange, DefinitionPart
from unxen.model.ids import Bus
from unxen.model.reason import ReasonKind
from unxen.platforms.libvirt.domain_xml import Element, bus_word, controllers, disks, drive_address, index_of, target_of
from unxen.platforms.libvirt.machine import SCSI_MODELS

WORDS = {Bus.IDE: "ide", Bus.SATA: "sata", Bus.VIRTIO_BLK: "virtio", Bus.VIRTIO_SCSI: "scsi"}
"""The buses that unxen moves disks to."""
PREFIXES = {"ide": "hd", "sata": "sd", "scsi": "sd", "virtio": "vd"}
SATA_PORTS, IDE_UNITS, SCSI_TARGETS = 6, 2, 256
VIRTIO_SCSI = "virtio-scsi"
Address = tuple[int, int, int, int]


def move(root: Element, disk: Element, bus: Bus) -> list[DefinitionChange]:
    """Puts one disk on the bus; its old address goes, the new one is free."""
    word = WORDS[bus]
    old, name = bus_word(disk), target_of(disk)
    target = disk.find("target")
    assert target is not None
    for address in disk.findall("address"):
        disk.remove(address)
    target.set("bus", word)
    target.set("dev", free_name(root, disk, PREFIXES[word]))
    added = _attach(root, disk, bus)
    now = "" if target_of(disk) == name else f" ({target_of(disk)})"
    return [DefinitionChange(DefinitionPart.DISK_BUS, name, old, f"{word}{now}"), *added]


def free_name(root: Element, disk: Element, prefix: str) -> str:
    """Its own name if it has the prefix, else the first that no disk has: names are one space over all buses."""
    if target_of(disk).startswith(prefix):
        return target_of(disk)
    taken = {target_of(each) for each in disks(root)}
    return next(name for name in _names(prefix) if name not in taken)


def _names(prefix: str) -> Iterator[str]:
    """sda to sdz, sdaa and on."""
    for first in ("", *string.ascii_lowercase):
        yield from (f"{prefix}{first}{letter}" for letter in string.ascii_lowercase)


def _attach(root: Element, disk: Element, bus: Bus) -> list[DefinitionChange]:
    if bus is Bus.VIRTIO_BLK:
        return []
    added: list[DefinitionChange] = []
    if bus is Bus.VIRTIO_SCSI:
        controller, added = _virtio_scsi(root)
        places: Iterator[Address] = ((controller, 0, number, 0) for number in range(SCSI_TARGETS))
    elif bus is Bus.IDE:
        places = ((0, channel, 0, unit) for channel in range(IDE_UNITS) for unit in range(IDE_UNITS))
    else:
        places = ((number, 0, 0, port) for number in count() for port in range(SATA_PORTS))
    taken = _taken(root, bus_word(disk))
    free = next((place for place in places if place not in taken), None)
    if free is None:
        raise refused(ReasonKind.PLATFORM_REFUSED, target_of(disk), problem=f"there is no free place on {bus.value}")
    values = dict(zip(("controller", "bus", "target", "unit"), map(str, free), strict=True))
    etree.SubElement(disk, "address", {"type": "drive", **values})
    return added


def _taken(root: Element, word: str) -> set[Address]:
    """Addresses of the bus; for SCSI those of passed-through devices too."""
    devices = [each for each in disks(root) if bus_word(each) == word]
    if word == "scsi":
        devices += [each for each in root.findall("devices/hostdev") if each.get("type") == "scsi"]
    found = (drive_address(each) for each in devices)
    return {(each["controller"], each["bus"], each["target"], each["unit"]) for each in found if each}


def _virtio_scsi(root: Element) -> tuple[int, list[DefinitionChange]]:
    """A virtio-scsi controller that is there, or a new one behind the others."""
    there = list(controllers(root, "scsi"))
    for each in there:
        if SCSI_MODELS.get(each.get("model", "")) is Bus.VIRTIO_SCSI:
            return index_of(each), []
    number = max((index_of(each) for each in there), default=-1) + 1
    devices = root.find("devices")
    assert devices is not None
    etree.SubElement(devices, "controller", {"type": "scsi", "index": str(number), "model": VIRTIO_SCSI})
    return number, [DefinitionChange(DefinitionPart.CONTROLLER, f"scsi {number}", "", VIRTIO_SCSI)]


def drop_idle_controllers(root: Element, before: set[int]) -> list[DefinitionChange]:
    """SCSI controllers that lost their last device: Windows would still see them. `before`: those that had one."""
    used = {place[0] for place in _taken(root, "scsi")}
    changes = []
    for each in list(controllers(root, "scsi")):
        if index_of(each) in before - used:
            parent = each.getparent()
            assert parent is not None
            parent.remove(each)
            changes.append(
                DefinitionChange(DefinitionPart.CONTROLLER, f"scsi {index_of(each)}", each.get("model") or "lsilogic", "")
            )
    return changes


def scsi_in_use(root: Element) -> set[int]:
    """The numbers of SCSI controllers with a device."""
    return {place[0] for place in _taken(root, "scsi")}
