# SPDX-License-Identifier: Apache-2.0
"""Disk specifications become drives in the order of their slots, and what this host cannot open is told, not taken.

Touches nothing. Raises Unreadable for image formats that unxen does not read.
"""

from unxen.model.ids import ImageFormat
from unxen.model.machine import Drive, Loss, Media
from unxen.platforms.xen.disk_spec import DiskSpec
from unxen.platforms.xen.mappings import Mappings
from unxen.platforms.xen.unreadable import Unreadable
from unxen.platforms.xen.vdev import slot_order

DEVICES = "/dev/"
ATTACH = "Attach that storage to this host, and give the path of the disk."


def drives_of(specs: list[DiskSpec], table: Mappings) -> tuple[tuple[Drive, ...], tuple[Loss, ...]]:
    """Drives in slot order, and what of the specifications has no counterpart."""
    drives: list[Drive] = []
    losses: list[Loss] = []
    for spec in sorted(specs, key=lambda each: slot_order(each.vdev or "")):
        elsewhere = _elsewhere(spec)
        if elsewhere:
            losses.append(Loss(f"disk {spec.vdev}: {spec.target}", elsewhere, ATTACH))
            continue
        losses += [table.loss("disk_key", key, f"disk {spec.vdev}: {key}") for key in _lost(spec, table)]
        losses += unknown_driver(spec.backendtype, spec.vdev or "", table)
        drives.append(_drive(spec, table))
    return tuple(drives), tuple(losses)


def _lost(spec: DiskSpec, table: Mappings) -> list[str]:
    return [key for key in dict.fromkeys(spec.keys) if not table.keeps("disk_key", key)]


def _elsewhere(spec: DiskSpec) -> str:
    """Why the target is no path on this host; empty when it is one."""
    if spec.script:
        return "a script of the old host makes the disk out of this target; it is left out"
    if spec.backend not in ("", "0", "Domain-0", "dom0"):
        return f"the disk came from another domain of the old host ({spec.backend}); it is left out"
    if ":" in (spec.target or "") and not (spec.target or "").startswith("/"):
        return "a disk over the network; it is left out"
    return ""


def unknown_driver(name: str, slot: str, table: Mappings) -> list[Loss]:
    """QEMU itself reads what any of Xen's known drivers read; of another one nobody knows what it did."""
    if not name or table.kvm("disk_driver", name):
        return []
    return [Loss(f"disk {slot}: driver {name}", "unxen does not know it", "Make sure that the disk holds what its format says.")]


def _drive(spec: DiskSpec, table: Mappings) -> Drive:
    path = spec.target or ""
    if path and not path.startswith("/"):
        path = DEVICES + path
    return Drive(
        slot=spec.vdev or "",
        media=Media.CDROM if spec.cdrom else Media.DISK,
        path="" if spec.format == "empty" else path,
        format=image_format(spec.format or "", spec.vdev or "", table),
        block_device=path.startswith(DEVICES),
        read_only=spec.read_only,
        discard=spec.discard,
    )


def image_format(name: str, slot: str, table: Mappings) -> ImageFormat:
    """The image format of that name; an empty drive has none that matters."""
    found = table.image_format("" if name == "empty" else name)
    if found is None:
        raise Unreadable(
            f"disk {slot} is in the format {name}, which is not read", advice="qemu-img convert makes qcow2 or raw of it"
        )
    return found
