# SPDX-License-Identifier: Apache-2.0
"""The VMs of a Proxmox cluster elsewhere as a platform whose guests have no disks: what needs none can be done from anywhere.

Changes configurations by the same single request as on the node. A token cannot lock a VM, so a start in that very moment cannot be
kept off: it is looked for before and after. Missing privileges are named before anything is changed: Refused(PRIVILEGE_MISSING).
What else is refused is as on the node: IN_USE, GUEST_LOCKED, GUEST_CHANGED, SWITCH_FAILED, PLATFORM_REFUSED.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from unxen.errors import Refused, refused
from unxen.model.definition import Switch, Wish
from unxen.model.disk import Disk
from unxen.model.guest import Guest, Machine
from unxen.model.ids import Bus, DiskNumber, Firmware
from unxen.model.reason import Reason, ReasonKind
from unxen.platforms.base import Ability, GuestState, HookCall, StillStopped
from unxen.platforms.proxmox.access import TASK_OF_KEY, Task
from unxen.platforms.proxmox.api import STOPPED, RemoteCluster
from unxen.platforms.proxmox.boot_order import order_of
from unxen.platforms.proxmox.compare import meaning, stamp
from unxen.platforms.proxmox.config import VmConfig, parse, written
from unxen.platforms.proxmox.guests import disks_of, identity, machine_of
from unxen.platforms.proxmox.node import is_vmid
from unxen.platforms.proxmox.notes import with_note, with_tag
from unxen.platforms.proxmox.obstacles import own_obstacles
from unxen.platforms.proxmox.switch import definition_changes, request, switched
from unxen.platforms.proxmox.update import Update

LOG = logging.getLogger(__name__)


class RemotePlatform:
    """The VMs of the cluster behind one host."""

    abilities: frozenset[Ability] = frozenset({Ability.LIST, Ability.SWITCH, Ability.NOTE})

    def __init__(self, cluster: RemoteCluster) -> None:
        self._cluster = cluster

    def describe(self, targets: Sequence[str], _formats: Sequence[str], /) -> Guest:
        """One VM by its configuration; its disks are out of reach."""
        (target,) = targets
        vmid = target.partition(":")[2]
        if not is_vmid(vmid):
            raise refused(ReasonKind.USAGE, target, problem="the number of a virtual machine is expected, such as proxmox:100")
        self._cluster.need((Task.LOOK,), vmid)
        config = self._cluster.config(vmid)
        slots = disks_of(config)
        return Guest((target,), (), machine_of(config, slots) if slots else Machine(), identity(vmid, config))

    def obstacles(self, guest: Guest, /) -> tuple[Reason, ...]:
        """What in its own configuration forbids a change; whether another VM has the same disk is seen on a node only."""
        vmid = _vmid(guest)
        return own_obstacles(guest.target[0], vmid, self._cluster.config(vmid), locked_by_us=False)

    def neighbours(self, _guest: Guest, /) -> tuple[Disk, ...]:
        """Nobody's disks are within reach."""
        return ()

    @contextmanager
    def locked(self, guest: Guest, /) -> Iterator[StillStopped]:
        """Looked at, not locked: a token cannot."""
        if found := self.obstacles(guest):
            raise Refused(*found)
        self._refuse_running(guest)
        yield lambda: self._refuse_running(guest)

    def plan_switch(self, guest: Guest, wish: Wish, /) -> Switch:
        """The configuration with the disk that boots on the wished bus, for nobody knows from here which one Windows is on."""
        config = self._cluster.config(_vmid(guest))
        values = switched(config, [_boot_volume(guest, config)], wish.bus, wish.drivers)
        changes = definition_changes(config.values, values)
        return Switch(_text(config), _text(config, values), changes) if changes else Switch(_text(config), _text(config))

    def check(self, guest: Guest, switch: Switch) -> None:
        """Refused, with the names, where the token may not make this switch."""
        update = _update(switch, "")
        keys = update.keys if update else ()
        self._cluster.need((Task.LOOK, Task.MOVE, *(TASK_OF_KEY[key] for key in keys if key in TASK_OF_KEY)), _vmid(guest))

    def switch(self, guest: Guest, switch: Switch, /) -> str:
        """One request; what it left half done is taken back."""
        self.check(guest, switch)
        vmid = _vmid(guest)
        now = self._cluster.config(vmid)
        if meaning(now) != meaning(_parsed(switch.before)):
            raise refused(ReasonKind.SWITCH_FAILED, guest.target[0], cause="somebody changed its configuration meanwhile")
        if update := _update(switch, now.digest):
            self._refuse_running(guest)
            self._cluster.put(vmid, update.parameters(), update.keys)
        return _text(self._cluster.config(vmid))

    def stands(self, guest: Guest, definition: str, /) -> bool:
        """Whether the VM is configured as in this text; sizes, notes and locks do not count."""
        return meaning(self._cluster.config(_vmid(guest))) == meaning(_parsed(definition))

    def note(self, guest: Guest, text: str, /) -> None:
        """A line in our section of the notes, and our tag; each by itself, since a cluster may forbid new tags."""
        vmid = _vmid(guest)
        self._cluster.need((Task.NOTE,), vmid)
        config = self._cluster.config(vmid)
        line = f"{time.strftime('%Y-%m-%d %H:%M')} {text.removeprefix(f'{guest.target[0]}: ')}"
        if (notes := with_note(config.description, line)) is not None:
            self._cluster.put(vmid, [("description", notes), ("digest", config.digest)], ["description"])
        config = self._cluster.config(vmid)
        if (tags := with_tag(config.values.get("tags", ""))) is not None:
            self._cluster.put(vmid, [("tags", tags), ("digest", config.digest)], ["tags"])

    def states(self) -> Mapping[str, GuestState]:
        """Every VM that the token may see; asks for each configuration, so this is for a call, not for a watcher."""
        rows = self._cluster.guests()
        return {row.vmid: GuestState(stamp(self._cluster.config(row.vmid)), row.status == STOPPED) for row in rows}

    def wait(self, _seconds: float, /) -> frozenset[str]:
        """Nothing is told from there."""
        raise refused(ReasonKind.PLATFORM_REFUSED, self._cluster.host, problem="a watcher runs on the node")

    def hook_call(self, _arguments: Sequence[str], _stdin: bytes, /) -> HookCall:
        """Nobody calls from there."""
        raise refused(ReasonKind.PLATFORM_REFUSED, self._cluster.host, problem="a guard runs on the node")

    def _refuse_running(self, guest: Guest) -> None:
        if not self._cluster.is_stopped(_vmid(guest)):
            raise refused(ReasonKind.IN_USE, guest.target[0])


def boot_disk_to(bus: Bus) -> Wish:
    """The wish of somebody who knows what is on the disk: the disk that boots on this bus, all others where they are."""
    return Wish(bus, (DiskNumber(1),), frozenset(Bus), card="", firmware=Firmware.UNKNOWN)


def _boot_volume(guest: Guest, config: VmConfig) -> str:
    disks = disks_of(config)
    if not disks:
        raise refused(ReasonKind.PLATFORM_REFUSED, guest.target[0], problem="this virtual machine has no disk")
    first = next((device for device in order_of(config.values) if device in disks), next(iter(disks)))
    return disks[first]


def _update(switch: Switch, digest: str) -> Update | None:
    return request(_parsed(switch.before), _parsed(switch.after).values, digest)


def _vmid(guest: Guest) -> str:
    return guest.id.split(":")[1]


def _parsed(text: str) -> VmConfig:
    return parse(text.encode("utf-8", "surrogateescape"))


def _text(config: VmConfig, values: Mapping[str, str] | None = None) -> str:
    return written(config, config.values if values is None else values).decode("utf-8", "surrogateescape")
