# SPDX-License-Identifier: Apache-2.0
"""An export's ova.xml tells the whole machine, and which disks the export carries: read from it, not from names or order.

Touches nothing; runs in the parser's box. What KVM has no counterpart for becomes a Loss by the rows of xva_fields.toml. Raises
Broken, and Refused(PARAVIRTUAL_GUEST) for a guest that is no whole machine.
"""

from dataclasses import dataclass

from unxen.model.ids import Firmware
from unxen.model.machine import Clock, Drive, GuestKind, Loss, MachineDefinition, Media, NetworkCard
from unxen.platforms.xen.addresses import mac_address, network_name
from unxen.platforms.xen.hvm_only import hvm_only
from unxen.platforms.xen.mappings import Mappings, boot_order, mappings
from unxen.platforms.xen.ova_values import NULL, Objects, Record, read_objects
from unxen.platforms.xen.pieces import Broken
from unxen.platforms.xen.unreadable import Unreadable

MOST_DISKS = 255
XEN_STRINGS = ("", "Xen", "HVM domU")
"""What the firmware shows unless somebody copied the strings of a maker."""


@dataclass(frozen=True)
class XvaDisk:
    """A disk whose bytes are in the export: its name there, its slot in the machine, and its size in bytes."""

    reference: str
    slot: str
    name: str
    size: int


@dataclass(frozen=True)
class XvaContents:
    """What an export says that it holds.

    `disks` in the order of their slots, as in the definition; `skipped` are streams that belong to no disk.
    """

    definition: MachineDefinition
    disks: tuple[XvaDisk, ...]
    skipped: tuple[str, ...] = ()


def read_ova(data: bytes) -> XvaContents:
    """The machine of an export."""
    _, objects = read_objects(data)
    machines = objects.all("VM")
    if len(machines) != 1:
        raise Broken(f"it holds {len(machines)} machines; one is expected")
    vm = next(iter(machines.values()))
    hvm_only(_kind(vm), vm.text("name_label"))
    disks, drives = _drives(vm, objects)
    suspended = tuple(ref for ref, vdi in objects.all("VDI").items() if vdi.text("type").lower() == "suspend")
    definition = _definition(vm, objects, drives, bool(suspended))
    return XvaContents(definition, disks, tuple(each for each in suspended if each not in {disk.reference for disk in disks}))


def _kind(vm: Record) -> GuestKind:
    """xapi derives an unspecified type from the HVM boot policy."""
    kinds = {"hvm": GuestKind.HVM, "pv": GuestKind.PV, "pvh": GuestKind.PVH, "pv_in_pvh": GuestKind.PVH}
    told = kinds.get(vm.text("domain_type").lower())
    return told or (GuestKind.HVM if vm.text("HVM_boot_policy") else GuestKind.PV)


def _definition(vm: Record, objects: Objects, drives: tuple[Drive, ...], suspended: bool) -> MachineDefinition:
    table, platform, boot = mappings(), vm.map("platform"), vm.map("HVM_boot_params")
    vcpus = max(vm.number("VCPUs_max", 1), 1)
    return MachineDefinition(
        name=vm.text("name_label") or "unnamed",
        uuid=vm.text("uuid"),
        description=vm.text("name_description"),
        memory=vm.number("memory_static_max"),
        max_memory=vm.number("memory_static_max"),
        vcpus=min(max(vm.number("VCPUs_at_startup", vcpus), 1), vcpus),
        max_vcpus=vcpus,
        cores_per_socket=platform.number("cores-per-socket"),
        firmware=Firmware.UEFI if boot.text("firmware").lower() == "uefi" else Firmware.BIOS,
        secure_boot=platform.text("secureboot").lower() in ("true", "1"),
        tpm=bool(objects.all("VTPM")) or platform.flag("vtpm"),
        hpet=platform.flag("hpet") if platform.text("hpet") else None,
        hyperv=table.hyperv_all() if platform.flag("viridian") else (),
        boot=boot_order(boot.text("order") or "cd"),
        # Windows guests of XenServer keep local time by an offset in seconds; without one the guest was given UTC.
        clock=Clock.LOCALTIME if platform.text("timeoffset").strip() not in ("", "0") else Clock.UTC,
        on_poweroff=_action(vm, "actions_after_shutdown", "destroy", table),
        on_reboot=_action(vm, "actions_after_reboot", "restart", table),
        on_crash=_action(vm, "actions_after_crash", "destroy", table),
        cards=_cards(vm, objects),
        drives=drives,
        losses=_losses(table, vm, objects, suspended),
    )


def _action(vm: Record, name: str, default: str, table: Mappings) -> str:
    """xapi spells Xen's words with underscores."""
    found = table.kvm("action", vm.text(name).lower().replace("_and_", "-").replace("_", "-"))
    return found[0] if found else default


def _cards(vm: Record, objects: Objects) -> tuple[NetworkCard, ...]:
    cards = [objects.find("VIF", each) for each in vm.references("VIFs")]
    cards.sort(key=lambda each: each.number("device"))
    try:
        return tuple(_card(each, objects) for each in cards)
    except Unreadable as error:
        raise Broken(error.problem) from error


def _card(card: Record, objects: Objects) -> NetworkCard:
    bridge = objects.find("network", card.text("network")).text("bridge")
    return NetworkCard(mac_address(card.text("MAC")), "", network_name(bridge), _mtu(card))


def _mtu(card: Record) -> int:
    """1500 is what every card has."""
    mtu = card.number("MTU")
    return 0 if mtu in (0, 1500) or mtu > 65535 else mtu


def _drives(vm: Record, objects: Objects) -> tuple[tuple[XvaDisk, ...], tuple[Drive, ...]]:
    """Slot by slot: disks that the export carries, and drives, whose discs are never exported."""
    devices = [objects.find("VBD", each) for each in vm.references("VBDs")]
    devices.sort(key=lambda each: each.number("userdevice", 1 << 16))
    if len(devices) > MOST_DISKS:
        raise Broken(f"the machine has {len(devices)} disks")
    disks: list[XvaDisk] = []
    drives: list[Drive] = []
    for device in devices:
        slot = device.text("userdevice")
        if not _carried(device, objects):
            drives.append(Drive(slot, Media.CDROM, "", read_only=True))
            continue
        reference = device.text("VDI")
        vdi = objects.find("VDI", reference)
        if reference in {each.reference for each in disks}:
            raise Broken(f"the disk {reference} is attached twice")
        disks.append(XvaDisk(reference, slot, vdi.text("name_label"), _size(vdi, reference)))
        drives.append(Drive(slot, Media.DISK, "", read_only=device.text("mode").upper() == "RO", size=vdi.number("virtual_size")))
    return tuple(disks), tuple(drives)


def _carried(device: Record, objects: Objects) -> bool:
    """Whether the bytes behind this device are in the export: not for drives, nor for anything in a library of ISO images."""
    if device.text("type").lower() == "cd" or device.flag("empty") or device.text("VDI") in ("", NULL):
        return False
    storage = objects.find("SR", objects.find("VDI", device.text("VDI")).text("SR"))
    return storage.text("content_type").lower() != "iso"


def _size(vdi: Record, reference: str) -> int:
    size = vdi.number("virtual_size")
    if size <= 0 or not reference or "/" in reference:
        raise Broken(f"the disk {reference} has no size")
    return size


def _said_elsewhere(vm: Record) -> dict[str, bool]:
    """What the tables know and no plain text field says."""
    strings = vm.map("bios_strings")
    return {
        "other_config/pci": bool(vm.map("other_config").text("pci")),
        "vm/attached_PCIs": bool(vm.references("attached_PCIs")),
        "vm/has_vendor_device": vm.flag("has_vendor_device"),
        "vm/bios_strings": any(
            strings.text(name) not in XEN_STRINGS and not _is_certificate(strings.text(name)) for name in strings.names()
        ),
    }


def _is_certificate(text: str) -> bool:
    """Every machine of XenServer shows this one."""
    return text.startswith("MS_VM_CERT/")


def _losses(table: Mappings, vm: Record, objects: Objects, suspended: bool) -> tuple[Loss, ...]:
    """What of this machine has no counterpart, one Loss per row that applies."""
    found = {f"platform/{name}" for name in vm.map("platform").names()}
    found |= {f"nvram/{name}" for name in vm.map("NVRAM").names()}
    found |= {f"object/{kind}" for kind in ("VTPM", "VGPU", "PVS_proxy") if objects.all(kind)}
    found |= {f"vm/{name}" for name in ("PCI_bus", "user_version", "generation_id") if vm.text(name)}
    found |= {name for name, said in _said_elsewhere(vm).items() if said}
    if suspended:
        found.add("object/suspended")
    return table.xva_losses(found)
