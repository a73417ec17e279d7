# SPDX-License-Identifier: Apache-2.0
"""A machine that came from Xen becomes a `qm create` that makes it on a Proxmox node.

Touches nothing; reads the table of Windows versions beside it. Disks come along where Proxmox imports them by itself and tells
their format by their name; the others are left to `unxen import`, because a format must never be guessed from a disk's content.
"""

import re
import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import PurePath
from typing import Any

from unxen.errors import refused
from unxen.model.conversion import Conversion, Placed, Version
from unxen.model.ids import Bus, Firmware, MachineType
from unxen.model.machine import BootDevice, Clock, Loss, MachineDefinition, Media, NetworkCard
from unxen.model.reason import ReasonKind

MIB = 1 << 20
SLOTS = {
    Bus.IDE: "ide",
    Bus.SATA: "sata",
    Bus.VIRTIO_BLK: "virtio",
    Bus.VIRTIO_SCSI: "scsi",
    Bus.SCSI_LSI: "scsi",
    Bus.SCSI_MEGASAS: "scsi",
}
SCSI_MODELS = {Bus.VIRTIO_SCSI: "virtio-scsi-pci", Bus.SCSI_LSI: "lsi", Bus.SCSI_MEGASAS: "megasas"}
IMPORTED_BY_NAME = (".raw", ".qcow2", ".vmdk")
"""Endings by which Proxmox knows a format; for every other name it would ask the content."""
# What the web interface gives a new machine; the default of the command line, kvm64, lacks what Windows 11 24H2 asks for.
PROCESSOR = "x86-64-v2-AES"
EMPTY_DRIVE = "none,media=cdrom"
LONGEST_NAME = 63


@dataclass(frozen=True)
class NewVm:
    """What `qm create` is called with, which commands have to follow it for which disks, and what is lost."""

    arguments: tuple[str, ...]
    then: tuple[tuple[str, ...], ...]
    losses: tuple[Loss, ...]
    imported: tuple[Placed, ...] = ()


def new_vm(conversion: Conversion, vmid: str, storage: str) -> NewVm:
    """The VM under this number; `storage` takes its disks, and may be empty when there are none to take."""
    machine = conversion.machine
    name, losses = _name(machine.name)
    losses += _unheard_of(machine)
    options = [("name", name), *_hardware(conversion, storage), *_cards(machine.cards)]
    imported: list[Placed] = []
    for placed in conversion.placed:
        value = _drive(placed, storage)
        if value:
            options.append((f"{SLOTS[placed.bus]}{placed.index}", value))
        elif placed.drive.path:
            imported.append(placed)
        losses += _iso(placed)
    if boot := _boot(conversion, [key for key, _ in options]):
        options.append(("boot", boot))
    then = tuple(_import(each, vmid, storage) for each in imported)
    arguments = (vmid, *(word for key, value in options for word in (f"--{key}", value)))
    if not all(word.isprintable() for word in (*arguments, *chain(*then))):
        raise refused(ReasonKind.DEFINITION_INVALID, conversion.source, problem="a name in it has letters that are not printable")
    return NewVm(arguments, then, tuple(losses), tuple(imported))


def shell_lines(vm: NewVm) -> str:
    """The commands as they are typed, one option per line."""
    head, options = ("qm", "create", vm.arguments[0]), vm.arguments[1:]
    pairs = [f"{key} {shlex.quote(value)}" for key, value in zip(options[::2], options[1::2], strict=True)]
    lines = [" \\\n  ".join([shlex.join(head), *pairs]), *(shlex.join(each) for each in vm.then)]
    return "\n".join(lines) + "\n"


def ostype(windows: Version | None, server: bool) -> str:
    """Proxmox' word for this Windows; `other` where none was seen."""
    fitting = [row for row in _ostypes() if windows and tuple(row["from"]) <= windows]
    return str(fitting[-1]["server" if server else "client"]) if fitting else "other"


@cache
def _ostypes() -> Sequence[dict[str, Any]]:
    rows: list[dict[str, Any]] = tomllib.loads(files(__package__).joinpath("ostypes.toml").read_text("utf-8"))["ostype"]
    return rows


def _name(name: str) -> tuple[str, list[Loss]]:
    """Proxmox takes names as DNS has them."""
    fitting = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")[:LONGEST_NAME].rstrip("-.") or "vm"
    if fitting == name:
        return name, []
    why = f"Proxmox takes names as DNS has them, so the machine is called {fitting}"
    return fitting, [Loss(f"name {name}", why, "Nothing is to do.")]


def _unheard_of(machine: MachineDefinition) -> list[Loss]:
    """What libvirt could be told and Proxmox cannot."""
    found = []
    if machine.clock_zone:
        remedy = "Set localtime=1 where that is this node's zone too, or the clock inside Windows at the first start."
        found.append(Loss("clock", f"Proxmox knows no clock of a zone of its own ({machine.clock_zone}); it shows UTC", remedy))
    if machine.clock_shift:
        remedy = "Set the clock inside Windows at the first start."
        found.append(Loss("clock", f"Proxmox knows no clock that is {machine.clock_shift} s beside the time", remedy))
    if machine.sound:
        found.append(Loss("sound", f"the card {machine.sound} is left out", "Add an audio device if the guest needs sound."))
    if any(each.mtu for each in machine.cards):
        found.append(Loss("mtu", "Proxmox sets it for VirtIO cards only", "Set it inside Windows, and on the bridge."))
    if machine.hpet:
        found.append(Loss("hpet", "Proxmox turns it off for Windows", "Nothing is to do.", harmless=True))
    return found


def _hardware(conversion: Conversion, storage: str) -> list[tuple[str, str]]:
    machine = conversion.machine
    cores = machine.cores_per_socket if machine.cores_per_socket and not machine.max_vcpus % machine.cores_per_socket else 1
    options = [
        ("memory", str(max(machine.max_memory, machine.memory) // MIB)),
        ("sockets", str(machine.max_vcpus // cores)),
        ("cores", str(cores)),
        ("cpu", "host" if machine.nested else PROCESSOR),
        ("ostype", ostype(conversion.windows, conversion.server)),
        ("localtime", "1" if machine.clock is Clock.LOCALTIME else "0"),
        ("machine", "q35" if conversion.board is MachineType.Q35 else "pc"),
        ("bios", "ovmf" if machine.firmware is Firmware.UEFI else "seabios"),
    ]
    if machine.vcpus < machine.max_vcpus:
        options.append(("vcpus", str(machine.vcpus)))
    if machine.memory < machine.max_memory:
        options.append(("balloon", str(machine.memory // MIB)))
    if identity := _uuid(machine.uuid):
        options.append(("smbios1", f"uuid={identity}"))
    if model := SCSI_MODELS.get(conversion.bus):
        options.append(("scsihw", model))
    options += [(f"serial{number}", "socket") for number in range(min(machine.serial, 4))]
    options += _state_disks(machine, storage)
    options += [("vga", "cirrus")] if machine.video == "cirrus" else []
    return options


def _state_disks(machine: MachineDefinition, storage: str) -> list[tuple[str, str]]:
    """The small disks for the firmware's variables and the TPM, which are empty."""
    place, keys = storage or "STORAGE", int(machine.secure_boot)
    variables = [("efidisk0", f"{place}:1,efitype=4m,pre-enrolled-keys={keys}")] if machine.firmware is Firmware.UEFI else []
    return variables + ([("tpmstate0", f"{place}:1,version=v2.0")] if machine.tpm else [])


def _uuid(text: str) -> str:
    return text.lower() if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) else ""


CARD_MODELS = ("e1000", "e1000e", "ne2k_pci", "pcnet", "rtl8139", "virtio")


def _cards(cards: Sequence[NetworkCard]) -> list[tuple[str, str]]:
    found = []
    for number, card in enumerate(cards):
        model = card.model if card.model in CARD_MODELS else "e1000"
        parts = [f"{model}={card.mac.upper()}" if card.mac else f"model={model}"]
        parts += [f"bridge={card.bridge}"] if card.bridge else []
        parts += [f"tag={card.vlan}"] if card.vlan else []
        found.append((f"net{number}", ",".join(parts)))
    return found


def _drive(placed: Placed, storage: str) -> str:
    """The value of the slot; empty when the disk has to be imported by another command."""
    drive = placed.drive
    if drive.media is Media.CDROM:
        return EMPTY_DRIVE
    named = PurePath(drive.path).suffix.lower()
    plain = named in IMPORTED_BY_NAME and named[1:] == drive.format.value and not drive.block_device and "," not in drive.path
    if not (storage and plain):
        return ""
    return f"{storage}:0,import-from={drive.path}" + (",discard=on" if drive.discard else "")


def _import(placed: Placed, vmid: str, storage: str) -> tuple[str, ...]:
    how = ("--format", placed.drive.format.value, "--bus", placed.bus.value)
    return "unxen", "import", vmid, placed.drive.path, storage or "STORAGE", *how


def _iso(placed: Placed) -> list[Loss]:
    if placed.drive.media is Media.CDROM and placed.drive.path:
        remedy = "Upload the ISO to a storage and put it into the drive if it is needed."
        return [Loss(f"disc {placed.drive.path}", "Proxmox takes discs from its storages only; the drive is empty", remedy)]
    return []


def _boot(conversion: Conversion, keys: Sequence[str]) -> str:
    """The order in Proxmox' words; only what the command makes may stand in it, so a disk that comes later leaves it to Proxmox."""
    disks = [slot_of(each) for each in conversion.placed if each.drive.media is Media.DISK]
    if any(slot not in keys for slot in disks):
        return ""
    discs = [slot_of(each) for each in conversion.placed if each.drive.media is Media.CDROM]
    cards = [key for key in keys if key.startswith("net")]
    by_device = {BootDevice.DISK: disks[:1], BootDevice.CDROM: discs[:1], BootDevice.NETWORK: cards[:1]}
    order = [slot for device in conversion.machine.boot for slot in by_device.get(device, []) if slot in keys]
    return f"order={';'.join(order)}" if order else ""


def slot_of(placed: Placed) -> str:
    """The key of a drive's place in a configuration."""
    return f"{SLOTS[placed.bus]}{placed.index}"
