# SPDX-License-Identifier: Apache-2.0
"""What in a VM's configuration forbids to write its disks, each as a reason with its cause.

Reads the configurations of all VMs of the cluster; changes nothing.
"""

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from unxen.model.reason import Reason, ReasonKind, reason
from unxen.platforms.proxmox.config import VmConfig, parse
from unxen.platforms.proxmox.drives import volumes
from unxen.platforms.proxmox.guests import disks_of
from unxen.platforms.proxmox.node import LocalNode
from unxen.platforms.proxmox.switch import pending_trouble


def obstacles(target: str, vmid: str, config: VmConfig, node: LocalNode, *, locked_by_us: bool) -> tuple[Reason, ...]:
    """Every reason not to touch this VM's disks."""
    shared = other_users(vmid, set(disks_of(config).values()), node.places.etc)
    others = tuple(reason(ReasonKind.DISK_SHARED, volume, others=f"VM {other}") for volume, other in shared)
    return own_obstacles(target, vmid, config, locked_by_us=locked_by_us) + others


def own_obstacles(target: str, vmid: str, config: VmConfig, *, locked_by_us: bool) -> tuple[Reason, ...]:
    """Those that stand in its own configuration."""
    return tuple(_own_obstacles(target, vmid, config, locked_by_us))


def _own_obstacles(target: str, vmid: str, config: VmConfig, locked_by_us: bool) -> Iterator[Reason]:
    if config.is_template:
        yield reason(ReasonKind.PLATFORM_REFUSED, target, problem="it is a template, the base of other virtual machines")
    if config.lock and not locked_by_us:
        yield reason(ReasonKind.GUEST_LOCKED, target, lock=config.lock, command=f"qm unlock {vmid}")
    if config.has_memory_image:
        yield reason(ReasonKind.SAVED_STATE, target)
    if waiting := pending_trouble(config):
        problem = f"changes of its disks wait for its next start: {', '.join(waiting)} (qm pending {vmid} shows them)"
        yield reason(ReasonKind.PLATFORM_REFUSED, target, problem=problem)


def other_users(vmid: str, wanted: Collection[str], etc: Path) -> Iterator[tuple[str, str]]:
    """(volume, VMID) of every other VM of the cluster that has one of the volumes as a disk, or lists it as unused."""
    for path in sorted(etc.glob("nodes/*/qemu-server/*.conf")):
        if path.stem == vmid:
            continue
        with suppress(OSError):
            data = path.read_bytes()
            # Parsing 500 files would cost more than all the rest.
            if any(volume.encode() in data for volume in wanted):
                yield from ((volume, path.stem) for volume in sorted(volumes(parse(data)) & set(wanted)))
