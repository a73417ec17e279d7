# SPDX-License-Identifier: Apache-2.0
"""The VMs of one Proxmox node, as the platform that the recipes speak to.

Changes configurations through the node's own programs only, and only under a lock in the configuration that keeps the VM from being
started, changed or moved by anybody else. What fails leaves the configuration as it was. Runs on the node itself, as root.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from unxen.errors import Refused, refused
from unxen.model.definition import Switch, Wish
from unxen.model.disk import Disk
from unxen.model.guest import Guest
from unxen.model.judgement import Note, NoteKind
from unxen.model.reason import Reason, ReasonKind
from unxen.model.settings import Settings
from unxen.platforms.base import Ability, GuestState, HookCall, HookPhase, StillStopped
from unxen.platforms.proxmox.changes import Changes
from unxen.platforms.proxmox.compare import meaning
from unxen.platforms.proxmox.config import VmConfig, parse, rewritten
from unxen.platforms.proxmox.drives import is_slot
from unxen.platforms.proxmox.firmware import with_firmware, without_efi_disk
from unxen.platforms.proxmox.guests import Described, describe_vm, disks_of
from unxen.platforms.proxmox.hook import parse_call, passes
from unxen.platforms.proxmox.node import LocalNode, is_vmid, local_node
from unxen.platforms.proxmox.notes import with_note, with_tag
from unxen.platforms.proxmox.obstacles import obstacles
from unxen.platforms.proxmox.own_lock import Mark, left_behind, marked, values_before
from unxen.platforms.proxmox.switch import definition_changes, pending_trouble, request, switched, where, with_clock
from unxen.platforms.proxmox.update import Update

LOG = logging.getLogger(__name__)
SCHEME = "proxmox"
# What unxen asks for beside disks, which Proxmox writes as pending first.
PASSING = ("lock", "tags")


class ProxmoxPlatform:
    """The VMs of the node that unxen runs on."""

    abilities: frozenset[Ability] = frozenset(Ability)

    def __init__(self, settings: Settings, node: LocalNode) -> None:
        self._settings = settings
        self._node = node
        self._described: dict[str, Described] = {}
        self._mark: Mark | None = None
        self._changes = Changes(node, self._is_left_behind)

    def describe(self, targets: Sequence[str], formats: Sequence[str], /) -> Guest:
        """One VM; what no disk is attached to is described with its unused volumes."""
        (target,) = targets
        vmid = target.partition(":")[2]
        if formats:
            raise refused(ReasonKind.USAGE, target, problem="the storage tells the format; --format is for files")
        if not is_vmid(vmid):
            raise refused(ReasonKind.USAGE, target, problem="the number of a virtual machine is expected, such as proxmox:100")
        config = self._config(vmid)
        made = describe_vm(target, vmid, self._with_lost_disks(vmid, config), self._node)
        self._described[made.guest.id] = replace(made, config=config)
        # Proxmox' QEMU takes no locks on images, so that a disk is in use shows nowhere but here.
        stale = (Note(NoteKind.STALE, target),) if self._node.is_running(vmid) else ()
        return replace(made.guest, notes=stale)

    def obstacles(self, guest: Guest, /) -> tuple[Reason, ...]:
        """What forbids a repair, the VM's running apart."""
        vmid = vmid_of(guest)
        config = self._config(vmid)
        ours = self._is_ours(vmid, config, self._mark) if self._mark else self._is_left_behind(vmid, config)
        return obstacles(guest.target[0], vmid, config, self._node, locked_by_us=ours)

    def neighbours(self, _guest: Guest, /) -> tuple[Disk, ...]:
        """The names of volumes tell which ones others are built on, and those are no obstacle to be looked for in files."""
        return ()

    @contextmanager
    def locked(self, guest: Guest, /) -> Iterator[StillStopped]:
        """Locked in its configuration, so that Proxmox starts, changes and moves it on no node of the cluster.

        A VM whose disk a failed commit left half written stays locked; one whose lock a crash left, until something went well.
        """
        vmid, keep = vmid_of(guest), False
        with marked(self._settings.state_dir, vmid, self._settings.wait_seconds) as mark:
            self._mark = mark
            try:
                keep = self._take(guest, vmid, mark)
                yield lambda: self._refuse_running(guest, vmid)
                keep = False
            except Refused as error:
                keep = keep or any(each.kind is ReasonKind.COMMIT_UNFINISHED for each in error.reasons)
                raise
            except Exception:
                # What nobody foresaw may have happened in the middle of a commit; unxen recover knows.
                LOG.error("VM %s stays locked; unxen recover lets it go if its disks are whole", vmid)
                keep = True
                raise
            finally:
                self._mark = None
                if not keep:
                    self._let_go(vmid, mark)

    def plan_switch(self, guest: Guest, wish: Wish, /) -> Switch:
        """The configuration with the disks where Windows can start from them."""
        data = self._unlocked_text(vmid_of(guest))
        config = parse(data)
        if wish.clock_only:
            return _changed(data, with_clock(config.values, wish.clock))
        volumes = [self._described[guest.id].volumes[number] for number in wish.disks]
        if not self._settings.proxmox_attach_unused and any(not is_slot(key) for key in where(config, volumes)):
            return Switch(_text(data), _text(data))
        values = with_firmware(switched(config, volumes, wish.bus, wish.drivers), wish.firmware, volumes)
        return _changed(data, with_clock(values, wish.clock))

    def switch(self, guest: Guest, switch: Switch, /) -> str:
        """One request to Proxmox; what it left half done is taken back."""
        vmid = vmid_of(guest)
        with nullcontext() if self._mark else self.locked(guest):
            now, before, after = self._config(vmid), parse(_data(switch.before)), parse(_data(switch.after))
            if meaning(now) != meaning(before):
                raise refused(ReasonKind.SWITCH_FAILED, guest.target[0], cause="somebody changed its configuration meanwhile")
            self._refuse_running(guest, vmid)
            update = request(before, after.values, now.digest)
            if update and self._mark:
                self._mark.expect(after, without_efi_disk(now, after))
                self._update(guest, vmid, update)
                # Whatever Proxmox made of it, it is the VM that our lock is on.
                self._mark.expect(self._config(vmid))
            kept = self._unlocked_text(vmid)
        if meaning(parse(kept)) not in (meaning(after), meaning(without_efi_disk(now, after))):
            LOG.warning("Proxmox made something else of the configuration of VM %s than was asked for", vmid)
        return _text(kept)

    def stands(self, guest: Guest, definition: str, /) -> bool:
        """Whether the VM is configured as in this text; sizes, notes and locks do not count."""
        return meaning(self._config(vmid_of(guest))) == meaning(parse(_data(definition)))

    def note(self, guest: Guest, text: str, /) -> None:
        """A line in our section of the VM's notes, and our tag."""
        vmid = vmid_of(guest)
        config = self._config(vmid)
        line = f"{time.strftime('%Y-%m-%d %H:%M')} {text.removeprefix(f'{guest.target[0]}: ')}"
        notes, tags = with_note(config.description, line), with_tag(config.values.get("tags", ""))
        values = [("description", notes)] if notes is not None else []
        values += [("tags", tags)] if tags is not None else []
        if values:
            if self._mark:
                self._mark.asking()
            self._node.describe(vmid, values, config.digest, under_lock=self._mark is not None)

    def states(self) -> Mapping[str, GuestState]:
        """Every VM of this node; one that is locked, a template or asleep counts as not stopped."""
        return self._changes.states()

    def wait(self, seconds: float, /) -> frozenset[str]:
        """The VMs that were written, started or stopped meanwhile."""
        time.sleep(seconds)
        return self._changes.since()

    def hook_call(self, arguments: Sequence[str], _stdin: bytes, /) -> HookCall:
        """A call of the hookscript: VMID and phase. Reads the configuration in the phase before a start only."""
        vmid, phase = parse_call(arguments)
        if phase is not HookPhase.BEFORE_START:
            return HookCall(vmid, phase)
        if passes(self._config(vmid)):
            return HookCall(vmid, phase, known_fine=True)
        return HookCall(vmid, phase, self.describe((f"{SCHEME}:{vmid}",), ()))

    def settle(self, guest: Guest, /) -> None:
        """Our lock goes where a dead unxen left it; a living one is waited for no longer than the settings say."""
        vmid = vmid_of(guest)
        if self._is_left_behind(vmid, self._config(vmid)):
            with marked(self._settings.state_dir, vmid, self._settings.wait_seconds) as mark:
                self._let_go(vmid, mark)

    def start(self, name: str, /) -> None:
        """Starts a VM, once its guard's worker has repaired it."""
        self._node.start(name)

    def _take(self, guest: Guest, vmid: str, mark: Mark) -> bool:
        """Locks the VM; whether a lock that a crash left was taken over."""
        config = self._config(vmid)
        if meaning(config) != meaning(self._described[guest.id].config):
            raise refused(ReasonKind.GUEST_CHANGED, guest.target[0])
        self._refuse_running(guest, vmid)
        if self._is_ours(vmid, config, mark):
            broken = mark.broken_from(config) is not None
            self._mend(vmid, mark)
            if broken:
                raise refused(ReasonKind.GUEST_CHANGED, guest.target[0])
            config = self._config(vmid)
        if found := self.obstacles(guest):
            raise Refused(*found)
        if config.lock:
            return True
        mark.forget()
        mark.expect(config)
        self._node.lock(vmid, config.digest)
        # Whoever started it in the moment before is seen now; whoever comes later finds the lock.
        self._refuse_running(guest, vmid)
        return False

    def _update(self, guest: Guest, vmid: str, update: Update) -> None:
        try:
            self._node.update(vmid, update)
        except Refused as error:
            raise refused(ReasonKind.SWITCH_FAILED, guest.target[0], cause=error.first.detail("cause") or error) from error

    def _let_go(self, vmid: str, mark: Mark) -> None:
        """Our lock goes; where it cannot, the mark stays, and the next unxen that works on this VM takes it away."""
        try:
            if self._is_ours(vmid, self._config(vmid), mark):
                self._mend(vmid, mark)
                if self._config(vmid).lock:
                    self._node.unlock(vmid)
            mark.forget()
        except Refused as error:
            LOG.error("VM %s could not be unlocked (qm unlock %s): %s", vmid, vmid, error)

    def _mend(self, vmid: str, mark: Mark) -> None:
        """What a request of ours left pending or half done when it died is taken back: under our lock nobody else asked for any."""
        config = self._config(vmid)
        left = [*pending_trouble(config), *(key for key in PASSING if key in config.pending)]
        if left:
            mark.asking()
            self._node.revert(vmid, left)
            config = self._config(vmid)
        values = mark.broken_from(config)
        if values is not None and (update := request(config, values, config.digest)):
            mark.asking()
            self._node.update(vmid, update)

    def _refuse_running(self, guest: Guest, vmid: str) -> None:
        if self._node.is_running(vmid):
            raise refused(ReasonKind.IN_USE, guest.target[0])

    def _with_lost_disks(self, vmid: str, config: VmConfig) -> VmConfig:
        """A request of ours that died between two slots may have left a disk in none, not even among the unused ones."""
        if disks_of(config) or not self._is_left_behind(vmid, config):
            return config
        lost = {key: value for key, value in values_before(self._settings.state_dir, vmid).items() if is_slot(key)}
        return replace(config, values={**config.values, **lost})

    def _is_left_behind(self, vmid: str, config: VmConfig) -> bool:
        return left_behind(self._settings.state_dir, vmid, config, self._node.written_at(vmid))

    def _is_ours(self, vmid: str, config: VmConfig, mark: Mark) -> bool:
        return mark.is_ours(config, self._node.written_at(vmid))

    def _config(self, vmid: str) -> VmConfig:
        return parse(self._node.config(vmid))

    def _unlocked_text(self, vmid: str) -> bytes:
        """The configuration as it is without our lock."""
        data = self._node.config(vmid)
        values = dict(parse(data).values)
        values.pop("lock", None)
        return rewritten(data, values)


def make(settings: Settings) -> ProxmoxPlatform:
    """What `schemes` asks for."""
    return ProxmoxPlatform(settings, local_node())


def _changed(data: bytes, values: Mapping[str, str]) -> Switch:
    """From a configuration to the same with these values."""
    changes = definition_changes(parse(data).values, values)
    return Switch(_text(data), _text(rewritten(data, values)) if changes else _text(data), changes)


def vmid_of(guest: Guest) -> str:
    """The VM's number in a guest's id."""
    return guest.id.split(":")[1]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _data(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
