# SPDX-License-Identifier: Apache-2.0
"""The devices that an HVM guest of Xen shows to Windows, and those of KVM for guests that have moved, as rows of Enum."""

from dataclasses import dataclass

from generators.windows_tables import CDROM, DISK, HDC, KEYBOARD, NET, SCSI, SYSTEM, VOLUME


@dataclass(frozen=True)
class Device:
    """One instance below Enum, as an HVM guest of Xen has it."""

    id: str
    instance: str
    service: str
    class_guid: str
    hardware: tuple[str, ...]
    compatible: tuple[str, ...] = ()


PIIX3 = r"PCI\VEN_8086&DEV_7010"
DEVICES = (
    Device(r"ACPI\PNP0A03", "0", "pci", SYSTEM, (r"ACPI\PNP0A03", "*PNP0A03")),
    Device(
        r"PCI\VEN_8086&DEV_1237&SUBSYS_11001AF4&REV_02",
        "3&267a616a&0&00",
        "",
        SYSTEM,
        (r"PCI\VEN_8086&DEV_1237",),
        (r"PCI\CC_0600",),
    ),
    Device(
        rf"{PIIX3}&SUBSYS_11001AF4&REV_00",
        "3&267a616a&0&09",
        "intelide",
        HDC,
        (rf"{PIIX3}&SUBSYS_11001AF4&REV_00", rf"{PIIX3}&SUBSYS_11001AF4", rf"{PIIX3}&CC_010180", rf"{PIIX3}&CC_0101"),
        (rf"{PIIX3}&REV_00", PIIX3, r"PCI\VEN_8086&CC_0101", r"PCI\VEN_8086", r"PCI\CC_010180", r"PCI\CC_0101"),
    ),
    Device(r"PCIIDE\IDEChannel", "4&2617aeae&0&0", "atapi", HDC, ("Intel-PIIX3", "Internal_IDE_Channel"), ("*PNP0600",)),
    Device(r"PCIIDE\IDEChannel", "4&2617aeae&0&1", "atapi", HDC, ("Intel-PIIX3", "Internal_IDE_Channel"), ("*PNP0600",)),
    Device(
        r"IDE\CdRomQEMU_DVD-ROM_________________________2.5+____",
        "5&2c2ab6c8&0&1.0.0",
        "cdrom",
        CDROM,
        (r"IDE\CdRomQEMU_DVD-ROM", "GenCdRom"),
    ),
    Device(
        r"IDE\DiskQEMU_HARDDISK___________________________2.5+____",
        "5&38db5d29&0&0.0.0",
        "disk",
        DISK,
        (r"IDE\DiskQEMU_HARDDISK", "GenDisk"),
    ),
    Device(r"ACPI\PNP0303", "4&1d401fb5&0", "i8042prt", KEYBOARD, (r"ACPI\PNP0303", "*PNP0303")),
    Device(r"STORAGE\Volume", "1&19f7e59c&0&Signature5D3A", "volsnap", VOLUME, (r"STORAGE\Volume",)),
)
PLATFORM = Device(
    r"PCI\VEN_5853&DEV_0001&SUBSYS_00015853&REV_01",
    "3&267a616a&0&10",
    "",
    SYSTEM,
    (r"PCI\VEN_5853&DEV_0001&SUBSYS_00015853&REV_01", r"PCI\VEN_5853&DEV_0001&SUBSYS_00015853", r"PCI\VEN_5853&DEV_0001"),
    (r"PCI\VEN_5853&DEV_0001&REV_01", r"PCI\VEN_5853&DEV_0001", r"PCI\CC_FF8000"),
)
VIRTIO = (
    Device(r"PCI\VEN_1AF4&DEV_1001&SUBSYS_00021AF4&REV_00", "3&13c0b0c5&0&28", "viostor", SCSI, (r"PCI\VEN_1AF4&DEV_1001",)),
    Device(r"PCI\VEN_1AF4&DEV_1000&SUBSYS_00011AF4&REV_00", "3&13c0b0c5&0&18", "netkvm", NET, (r"PCI\VEN_1AF4&DEV_1000",)),
)
