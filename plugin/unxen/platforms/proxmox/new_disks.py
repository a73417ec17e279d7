# SPDX-License-Identifier: Apache-2.0
"""Disks that arrive: volumes are made for them, filled by somebody else, and attached; until then all of it can be taken back.

Makes volumes and, for a whole machine, a VM, through Proxmox. What it made itself it destroys again when it is told to, and nothing
else. Raises Refused.
"""

import logging
from collections.abc import Mapping, Sequence

from unxen.errors import Refused, refused
from unxen.model.ids import Bus
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.boot_order import moved_order
from unxen.platforms.proxmox.buses import offered, places
from unxen.platforms.proxmox.config import parse
from unxen.platforms.proxmox.drives import is_slot
from unxen.platforms.proxmox.node import LocalNode
from unxen.platforms.proxmox.update import Update
from unxen.platforms.proxmox.volumes import Location, locate

LOG = logging.getLogger(__name__)


class NewDisks:
    """The volumes of one import."""

    def __init__(self, node: LocalNode, vmid: str, storage: str) -> None:
        self._node = node
        self._vmid = vmid
        self._storage = storage
        self._volumes: list[str] = []
        self._created = False

    def check_guest(self) -> None:
        """The VM is there, stopped, and nobody has it locked."""
        target = f"proxmox:{self._vmid}"
        config = parse(self._node.config(self._vmid))
        if config.is_template:
            raise refused(ReasonKind.PLATFORM_REFUSED, target, problem="it is a template, the base of other virtual machines")
        if config.lock:
            raise refused(ReasonKind.GUEST_LOCKED, target, lock=config.lock, command=f"qm unlock {self._vmid}")
        if self._node.is_running(self._vmid):
            raise refused(ReasonKind.IN_USE, target)

    def create_guest(self, name: str) -> None:
        """A VM of that number that has nothing yet, so that nobody else takes the number."""
        self._node.create((self._vmid, "--name", name))
        self._created = True

    def make(self, size: int) -> tuple[str, Location]:
        """A volume for a disk of so many bytes, and where it is."""
        volume = self._node.allocate(self._storage, self._vmid, size)
        self._volumes.append(volume)
        place = locate(volume, self._node)
        if place.remote is not None:
            problem = "its volumes are no files and no devices of this node; import elsewhere, and move the disk (qm disk move)"
            raise refused(ReasonKind.PLATFORM_REFUSED, self._storage, problem=problem)
        return volume, place

    def attach(self, volume: str, preference: Sequence[Bus]) -> None:
        """Attaches a disk on the first of these buses that the VM has; where no other disk boots, this one shall."""
        config = parse(self._node.config(self._vmid))
        loose = "unused"
        bus = next((bus for bus in preference if bus in offered(config.values, [loose])), Bus.SATA)
        (place,) = places(bus, config.values, [loose], [key for key in config.values if is_slot(key)])
        values = [(place.slot, volume), *((("scsihw", place.scsihw),) if place.scsihw else ())]
        order = moved_order({**config.values, loose: volume}, {loose: place.slot})
        if place.slot in order:
            values.append(("boot", f"order={';'.join(order)}"))
        self._node.update(self._vmid, Update(tuple(values), (), config.digest), under_lock=False)

    def furnish(self, values: Mapping[str, str]) -> None:
        """The VM that was created gets its hardware, disks included."""
        config = parse(self._node.config(self._vmid))
        self._node.update(self._vmid, Update(tuple(values.items()), (), config.digest), under_lock=False)

    def take_back(self) -> None:
        """What was made goes again; what cannot is logged, the cause of it all being told already."""
        for volume in self._volumes:
            try:
                self._node.free(volume)
            except Refused as error:
                LOG.error("the volume %s is left over (pvesm free %s): %s", volume, volume, error)
        if self._created:
            try:
                self._node.destroy(self._vmid)
            except Refused as error:
                LOG.error("VM %s is left over (qm destroy %s): %s", self._vmid, self._vmid, error)
