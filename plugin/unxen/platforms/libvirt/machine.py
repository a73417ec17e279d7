# SPDX-License-Identifier: Apache-2.0
"""Which board, firmware and buses a domain has, in the words of the model: libvirt's slots say little without board and controller.

Touches nothing. Sources: libvirt 9.0.0 src/qemu and src/conf; what is not known there is UNKNOWN here.
"""

from unxen.model.guest import Machine
from unxen.model.ids import Bus, Firmware, MachineType
from unxen.platforms.libvirt.clock import clock_of
from unxen.platforms.libvirt.domain_xml import (
    Element,
    bus_word,
    controllers,
    device_of,
    disks,
    drive_address,
    hard_disks,
    index_of,
)

BUSES = {"ide": Bus.IDE, "sata": Bus.SATA, "virtio": Bus.VIRTIO_BLK, "xen": Bus.XEN, "nvme": Bus.NVME}
# `auto`, and no model at all, is lsilogic on a PC (qemuDomainDefaultSCSIControllerModel).
SCSI_MODELS = {
    "virtio-scsi": Bus.VIRTIO_SCSI,
    "virtio-transitional": Bus.VIRTIO_SCSI,
    "virtio-non-transitional": Bus.VIRTIO_SCSI,
    "lsilogic": Bus.SCSI_LSI,
    "auto": Bus.SCSI_LSI,
    "": Bus.SCSI_LSI,
    "lsisas1068": Bus.SCSI_MPTSAS,
    "lsisas1078": Bus.SCSI_MEGASAS,
}
IDE_PLACES = 4
FIRMWARE_FILES = ("pflash",)


def machine_of(root: Element, leftovers: tuple[str, ...]) -> Machine:
    """The machine as Windows will see it; `bus` is that of the disk that the firmware tries first."""
    first = first_disk(root)
    return Machine(
        bus=bus_of(root, first) if first is not None else Bus.UNKNOWN,
        board=board_of(root),
        firmware=firmware_of(root),
        offered=offered(root),
        xen_leftovers=leftovers,
        clock=clock_of(root),
    )


def macs_of(root: Element) -> tuple[str, ...]:
    """The MAC addresses of its network cards, in their order."""
    found = [each.get("address", "").lower() for each in root.findall("devices/interface/mac")]
    return tuple(each for each in found if each)


def first_disk(root: Element) -> Element | None:
    """The hard disk with the lowest boot order; libvirt takes the first one where none has any."""
    found = hard_disks(root)
    ordered = [disk for disk in found if disk.find("boot") is not None]
    return min(ordered, key=_boot_order) if ordered else (found[0] if found else None)


def _boot_order(disk: Element) -> int:
    boot = disk.find("boot")
    order = boot.get("order", "") if boot is not None else ""
    return int(order) if order.isdecimal() else 1 << 30


def board_of(root: Element) -> MachineType:
    """i440fx for `pc` and its versions, q35 for `q35` and its versions."""
    element = root.find("os/type")
    machine = element.get("machine", "") if element is not None else ""
    if machine == "q35" or machine.startswith("pc-q35"):
        return MachineType.Q35
    return MachineType.I440FX if machine == "pc" or machine.startswith("pc-i440fx") else MachineType.UNKNOWN


def firmware_of(root: Element) -> Firmware:
    """UEFI where it is asked for or a flash is named, else BIOS: libvirt takes SeaBIOS where nothing is said."""
    system = root.find("os")
    loader = root.find("os/loader")
    if system is not None and system.get("firmware") == "efi":
        return Firmware.UEFI
    if loader is None:
        return Firmware.BIOS
    # A loader of type rom may hold OVMF as well as SeaBIOS; its name proves nothing.
    return Firmware.UEFI if loader.get("type") in FIRMWARE_FILES else Firmware.UNKNOWN


def bus_of(root: Element, disk: Element) -> Bus:
    """The controller behind a disk's slot. On q35 libvirt refuses IDE, so `ide` is the PIIX one wherever it stands."""
    word = bus_word(disk)
    return _scsi_bus(root, disk) if word == "scsi" else BUSES.get(word, Bus.UNKNOWN)


def _scsi_bus(root: Element, disk: Element) -> Bus:
    address = drive_address(disk)
    number = address["controller"] if address else 0
    model = next((each.get("model", "") for each in controllers(root, "scsi") if index_of(each) == number), "")
    return SCSI_MODELS.get(model, Bus.UNKNOWN)


def offered(root: Element) -> tuple[Bus, ...]:
    """The buses that libvirt can give this domain's disks: IDE only on i440fx, and only while four places are enough."""
    ide = (Bus.IDE,) if board_of(root) is MachineType.I440FX and _ide_places(root) <= IDE_PLACES else ()
    if board_of(root) is MachineType.UNKNOWN:
        return ()
    return (Bus.SATA, *ide, Bus.VIRTIO_SCSI, Bus.VIRTIO_BLK)


def _ide_places(root: Element) -> int:
    """Places that would be taken if every hard disk were on IDE, with the optical drives that are or must be there."""
    optical = [each for each in disks(root) if device_of(each) == "cdrom" and bus_word(each) in ("ide", "xen")]
    return len(hard_disks(root)) + len(optical)
