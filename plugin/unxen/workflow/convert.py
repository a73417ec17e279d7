# SPDX-License-Identifier: Apache-2.0
"""The recipe of `convert`: read the machine, look into its disks (or repair them), choose what fits this Windows.

Looks at the disks where they can be read. Writes nothing but, when it is asked to repair, the disks through the one recipe that
does, whose refusals it raises; a disk that cannot be looked at is a fact of the conversion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unxen.errors import Refused
from unxen.knowledge.tables import Knowledge
from unxen.model.conversion import Conversion, Version
from unxen.model.disk import Disk
from unxen.model.guest import Guest, Machine
from unxen.model.ids import Bus, DiskNumber, ImageFormat, MachineType
from unxen.model.judgement import Verdict
from unxen.model.machine import Loss, MachineDefinition, Media
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener
from unxen.model.reason import Reason
from unxen.model.settings import Settings
from unxen.plan.cards import card_models, shared_card
from unxen.platforms.files import FilesPlatform, mistaken_format
from unxen.workflow.fitting import Limits, board_for, fitted, place, usual_bus

_SCSI = {Bus.VIRTIO_SCSI: 31, Bus.SCSI_LSI: 7, Bus.SCSI_MEGASAS: 16, Bus.VIRTIO_BLK: 16}
LIBVIRT = Limits({Bus.IDE: 4, Bus.SATA: 24, **_SCSI})
PROXMOX = Limits({Bus.IDE: 4, Bus.SATA: 6, **_SCSI}, vlan_tags=True, whole_vhds=True)
NETWORKS = Path("/sys/class/net")


@dataclass(frozen=True)
class Asked:
    """What the caller wants: the platform's limits, a bus that it insists on, names of bridges, and whether to repair."""

    limits: Limits
    bus: Bus | None = None
    bridges: Mapping[str, str] | None = None
    repair: bool = False


def convert(
    source: str, machine: MachineDefinition, asked: Asked, settings: Settings, knowledge: Knowledge, listener: Listener
) -> Conversion:
    """The machine for KVM."""
    look, unlooked = _look(source, machine, asked, settings, knowledge, listener)
    windows, server = _windows(look)
    bus = asked.bus or _chosen(look) or usual_bus(windows)
    made = made_for(source, machine, asked, bus, windows, _card(look, windows, knowledge))
    return replace(made, server=server, look=look, unlooked=unlooked)


def made_for(source: str, machine: MachineDefinition, asked: Asked, bus: Bus, windows: Version | None, card: str) -> Conversion:
    """The machine as this Windows needs it, on this bus and with this model of network card, whatever told them."""
    new = fitted(machine, windows, card, asked.bridges or {})
    placed, no_place = place(new.drives, bus, asked.limits)
    losses = (*machine.losses, *no_place, *_vlans(new, asked.limits), *_vhds(new, asked.limits), *_bridges(new), *_memory(machine))
    return Conversion(source, new, bus, board_for(new, bus), placed, windows, losses=losses)


def guest_of(source: str, machine: MachineDefinition) -> Guest:
    """The machine's disks as a guest that was defined for Xen."""
    paths = [each for each in machine.drives if each.media is Media.DISK and each.path]
    disks = tuple(Disk(DiskNumber(number), each.path, each.format) for number, each in enumerate(paths, 1))
    offered = tuple(bus for bus in Machine().offered if not (machine.secure_boot and bus is Bus.IDE))
    hardware = Machine(
        board=MachineType.Q35 if machine.secure_boot else MachineType.UNKNOWN,
        firmware=machine.firmware,
        offered=offered,
        xen_leftovers=("definition",),
    )
    return Guest((source,), disks, hardware)


def _look(
    source: str, machine: MachineDefinition, asked: Asked, settings: Settings, knowledge: Knowledge, listener: Listener
) -> tuple[Outcome | None, Reason | None]:
    guest = guest_of(source, machine)
    if not guest.disks:
        return None, None
    if asked.repair:
        from unxen.workflow.repair import Order, repair

        order = Order(asked.bus, None, settings.delivery, False, False)
        outcome = repair(guest, FilesPlatform(), settings, knowledge, order, listener)
        if mistaken := _mistaken(outcome, guest):
            raise Refused(mistaken)
        return outcome, None
    from unxen.workflow.inspect import inspect

    try:
        outcome = inspect(guest, FilesPlatform(), settings, lambda: knowledge, bus=asked.bus, installation=None, listener=listener)
    except Refused as error:
        return None, error.first
    mistaken = _mistaken(outcome, guest)
    return (None, mistaken) if mistaken else (outcome, None)


def _mistaken(outcome: Outcome, guest: Guest) -> Reason | None:
    """Whether the definition names a format that the disk does not have; asked only when nothing was found."""
    return mistaken_format(guest.disks) if outcome.verdict is Verdict.NO_WINDOWS else None


def _windows(look: Outcome | None) -> tuple[Version | None, bool]:
    """The newest Windows on the disks, and whether it is a server."""
    found = [each.windows for each in look.facts.installations if each.windows] if look and look.facts else []
    if not found:
        return None, False
    newest = max(found, key=lambda each: each.version)
    return newest.version, newest.server is True


def _card(look: Outcome | None, windows: Version | None, knowledge: Knowledge) -> str:
    """The best card that every Windows on the disks has a driver for; where none could be judged, what its version brings."""
    judged = look.judgement.installations if look and look.judgement else ()
    seen = shared_card([each.cards for each in judged])
    return seen or usual_card(windows, knowledge)


def usual_card(windows: Version | None, knowledge: Knowledge) -> str:
    """The best card that a Windows of this version brings a driver for; the one that all have where it is not known."""
    return card_models(knowledge.network_cards, windows or (0, 0, 0), lambda _: False)[0]


def _chosen(look: Outcome | None) -> Bus | None:
    bus = look.judgement.bus if look and look.judgement else Bus.UNKNOWN
    return None if bus in (Bus.UNKNOWN, Bus.XEN) else bus


def _bridges(machine: MachineDefinition) -> Sequence[Loss]:
    """Bridges that this host does not have: reported, never guessed."""
    names = dict.fromkeys(each.bridge for each in machine.cards if each.bridge)
    return [
        Loss(
            f"bridge {name}",
            "this host has no network of that name",
            f"Make it before the first start, or name another one: --bridge {name}=NAME.",
        )
        for name in names
        if "/" in name or not (NETWORKS / name).exists()
    ]


def _vlans(machine: MachineDefinition, limits: Limits) -> Sequence[Loss]:
    """A bridge of Linux under libvirt takes no tag for a guest; Proxmox sets it."""
    if limits.vlan_tags:
        return []
    remedy = "Make a bridge on that tagged network and name it: --bridge."
    tagged = [each for each in machine.cards if each.vlan]
    return [Loss(f"vlan {each.vlan} on {each.bridge}", "libvirt sets no tag on a bridge of Linux", remedy) for each in tagged]


def _vhds(machine: MachineDefinition, limits: Limits) -> Sequence[Loss]:
    """QEMU rounds down the size of a VHD whose maker it does not know; libvirt has no word for the option that prevents it."""
    if limits.whole_vhds:
        return []
    return [
        Loss(
            f"disk {each.slot}: {each.path}",
            "QEMU cuts off the end of a VHD that XenServer exported",
            "Make a qcow2 of it before the first start (docs/convert.md), and name that.",
        )
        for each in machine.drives
        if each.format is ImageFormat.VHD
    ]


def _memory(machine: MachineDefinition) -> Sequence[Loss]:
    """Xen's driver gave memory back; until KVM's is there the guest has all of it."""
    if machine.memory >= machine.max_memory:
        return []
    why = "the guest could be given more while it ran, by a driver that KVM has its own of; without that it has the larger amount"
    return [Loss("memory below maxmem", why, "Set both to the same if the host has not that much.")]


def with_disks(machine: MachineDefinition, paths: Mapping[str, str], kind: ImageFormat = ImageFormat.RAW) -> MachineDefinition:
    """The machine with the disks of these slots at these paths, all of them of that format."""
    drives = [replace(each, path=paths[each.slot], format=kind) if each.slot in paths else each for each in machine.drives]
    return replace(machine, drives=tuple(drives))
