# SPDX-License-Identifier: Apache-2.0
"""The disks of a Xen domain XML become drives in the order of their slots.

Touches nothing. Raises Unreadable for image formats that unxen does not read.
"""

from lxml import etree

from unxen.model.machine import Drive, Loss, Media
from unxen.platforms.xen.drives import ATTACH, DEVICES, image_format, unknown_driver
from unxen.platforms.xen.mappings import Mappings
from unxen.platforms.xen.vdev import slot_order

MEDIA = {"cdrom": Media.CDROM, "floppy": Media.FLOPPY}
LOST = {"shareable": "w!", "backenddomain": "backend"}
"""Elements of a disk, and the words of xl's table that say what is lost with them."""
TAKEN = ("source", "target", "driver", "readonly", "alias", "address", "boot", "serial", "wwn", "backingStore")


def xml_drives(domain: etree._Element, table: Mappings) -> tuple[tuple[Drive, ...], list[Loss]]:
    """Drives in slot order, and what of the disks has no counterpart."""
    drives: list[Drive] = []
    losses: list[Loss] = []
    disks = sorted(domain.findall("devices/disk"), key=lambda each: slot_order(_target(each)))
    for disk in disks:
        slot = _target(disk)
        losses += [_loss(str(each.tag), slot, table) for each in disk if each.tag not in TAKEN]
        elsewhere = _elsewhere(disk)
        if elsewhere:
            losses.append(Loss(f"disk {slot}", elsewhere, ATTACH))
        elif disk.get("device") == "floppy":
            losses.append(table.loss("xl_option", "fda", f"disk {slot}"))
        else:
            losses += unknown_driver(_driver(disk, "name"), slot, table)
            drives.append(_drive(disk, slot, table))
    return tuple(drives), losses


def _target(disk: etree._Element) -> str:
    target = disk.find("target")
    return "" if target is None else target.get("dev", "")


def _loss(tag: str, slot: str, table: Mappings) -> Loss:
    return table.loss("disk_key", LOST.get(tag, tag), f"disk {slot}: {tag}")


def _elsewhere(disk: etree._Element) -> str:
    """Why the disk is no path on this host; empty when it is one."""
    if disk.get("type", "file") not in ("file", "block"):
        return f"a disk of type {disk.get('type')} of the old host; it is left out"
    if disk.find("backenddomain") is not None:
        return "the disk came from another domain of the old host; it is left out"
    if disk.get("device") == "lun":
        return "a SCSI device of the old host, passed through; it is left out"
    return ""


def _driver(disk: etree._Element, name: str) -> str:
    driver = disk.find("driver")
    return "" if driver is None else driver.get(name, "")


def _drive(disk: etree._Element, slot: str, table: Mappings) -> Drive:
    source = disk.find("source")
    path = "" if source is None else source.get("file") or source.get("dev") or ""
    media = MEDIA.get(disk.get("device", ""), Media.DISK)
    return Drive(
        slot=slot,
        media=media,
        path=path,
        format=image_format(_driver(disk, "type"), slot, table),
        block_device=disk.get("type") == "block" or path.startswith(DEVICES),
        read_only=media is Media.CDROM or disk.find("readonly") is not None,
        discard=_driver(disk, "discard") == "unmap",
    )
