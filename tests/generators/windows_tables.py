# SPDX-License-Identifier: Apache-2.0
"""What of each Windows generation lies on the way to its system disk, as tables; nothing else of a real SYSTEM hive is here.

Start values, overrides, groups and lists are those of real hives (XP, 2003, 7, 8.1, 10 to 19041) where one could be read, and drawn
from the neighbour generation where not (Vista, 8, 11, servers after 2003).
"""

from dataclasses import dataclass

Version = tuple[int, int, int]
NT5: tuple[Version, Version] = ((5, 0, 0), (5, 99, 0))
NT6: tuple[Version, Version] = ((6, 0, 0), (6, 1, 99999))
UP_TO_7: tuple[Version, Version] = ((5, 0, 0), (6, 1, 99999))
FROM_VISTA: tuple[Version, Version] = ((6, 0, 0), (99, 0, 0))
FROM_7: tuple[Version, Version] = ((6, 1, 0), (99, 0, 0))
FROM_8: tuple[Version, Version] = ((6, 2, 0), (99, 0, 0))
FROM_81: tuple[Version, Version] = ((6, 3, 0), (99, 0, 0))
FROM_10: tuple[Version, Version] = ((10, 0, 0), (99, 0, 0))
ALL: tuple[Version, Version] = ((5, 0, 0), (99, 0, 0))


@dataclass(frozen=True)
class Generation:
    """One Windows: its version, what SYSTEM tells of it, and its control sets with the one of the last good start."""

    id: str
    version: Version
    arch: str
    server: bool
    service_pack: int
    csd_build: int
    sets: tuple[int, ...]
    last_good: int


GENERATIONS_TABLE = (
    Generation("xp", (5, 1, 2600), "x86", False, 0x300, 0, (1, 3), 3),
    Generation("2003", (5, 2, 3790), "x86", True, 0x100, 0, (1, 2), 2),
    Generation("vista", (6, 0, 6002), "amd64", False, 0x200, 18005, (1, 2), 2),
    Generation("2008", (6, 0, 6002), "amd64", True, 0x200, 18005, (1, 2), 2),
    Generation("7", (6, 1, 7601), "amd64", False, 0x100, 17514, (1, 2), 2),
    Generation("2008r2", (6, 1, 7601), "amd64", True, 0x100, 17514, (1, 2), 2),
    Generation("8", (6, 2, 9200), "amd64", False, 0, 16384, (1,), 1),
    Generation("2012", (6, 2, 9200), "amd64", True, 0, 16384, (1,), 1),
    Generation("8.1", (6, 3, 9600), "amd64", False, 0, 16384, (1,), 1),
    Generation("2012r2", (6, 3, 9600), "amd64", True, 0, 16384, (1,), 1),
    Generation("10", (10, 0, 19041), "amd64", False, 0, 1288, (1,), 1),
    Generation("2016", (10, 0, 14393), "amd64", True, 0, 1884, (1,), 1),
    Generation("2019", (10, 0, 17763), "amd64", True, 0, 1, (1,), 1),
    Generation("2022", (10, 0, 20348), "amd64", True, 0, 1, (1,), 1),
    Generation("11", (10, 0, 22621), "amd64", False, 0, 1, (1,), 1),
    Generation("2025", (10, 0, 26100), "amd64", True, 0, 1, (1,), 1),
)


@dataclass(frozen=True)
class Row:
    """One driver service. `role`: boot (always 0), used and unused controllers, system (1), demand (3), off (4)."""

    name: str
    span: tuple[Version, Version]
    role: str
    error_control: int
    group: str = ""
    file: str = ""
    type: int = 1


BUS, MINIPORT = "System Bus Extender", "SCSI Miniport"
SERVICES = (
    Row("ACPI", ALL, "boot", 3, "Boot Bus Extender", "ACPI.sys"),
    Row("pci", ALL, "boot", 3, "Boot Bus Extender"),
    Row("isapnp", ALL, "boot", 3, "Boot Bus Extender"),
    Row("vdrvroot", FROM_7, "boot", 3, "Boot Bus Extender"),
    Row("partmgr", ALL, "boot", 3, "Boot Bus Extender"),
    Row("disk", ALL, "boot", 1),
    Row("ftdisk", NT5, "boot", 1, BUS),
    Row("dmio", NT5, "boot", 1, BUS),
    Row("volmgr", FROM_VISTA, "boot", 3, BUS),
    Row("volmgrx", FROM_VISTA, "boot", 3, BUS),
    Row("mountmgr", ALL, "boot", 3, BUS),
    Row("volsnap", ALL, "boot", 3),
    Row("volume", FROM_10, "boot", 3),
    Row("fvevol", FROM_VISTA, "boot", 3),
    Row("rdyboost", FROM_7, "boot", 3),
    Row("iorate", FROM_10, "boot", 3),
    Row("EhStorClass", FROM_81, "boot", 1),
    Row("spaceport", FROM_8, "boot", 1, BUS),
    Row("FltMgr", FROM_VISTA, "boot", 3, "FSFilter Infrastructure", "fltmgr.sys", 2),
    Row("Ntfs", NT5, "off", 1, "File system", "ntfs.sys", 2),
    Row("Ntfs", FROM_VISTA, "demand", 1, "", "ntfs.sys", 2),
    Row("atapi", ALL, "used", 3, MINIPORT),
    Row("intelide", ALL, "used", 3, BUS),
    Row("pciide", ALL, "unused", 3, BUS),
    Row("msahci", NT6, "unused", 3, MINIPORT),
    Row("storahci", FROM_8, "unused", 3, MINIPORT),
    Row("stornvme", FROM_81, "unused", 3, MINIPORT),
    Row("LSI_SCSI", NT6, "unused", 1, MINIPORT, "lsi_scsi.sys"),
    Row("LSI_SAS", FROM_VISTA, "unused", 1, MINIPORT, "lsi_sas.sys"),
    Row("LSI_SAS2", ((6, 1, 0), (6, 3, 99999)), "unused", 1, MINIPORT, "lsi_sas2.sys"),
    Row("LSI_SAS2i", FROM_10, "unused", 1, MINIPORT, "lsi_sas2i.sys"),
    Row("LSI_SAS3i", FROM_10, "unused", 1, MINIPORT, "lsi_sas3i.sys"),
    Row("megasas", FROM_VISTA, "unused", 1, MINIPORT),
    Row("megasas2i", FROM_10, "unused", 1, MINIPORT, "MegaSas2i.sys"),
    Row("megasas35i", ((10, 0, 18362), (99, 0, 0)), "unused", 1, MINIPORT),
    Row("iaStorV", FROM_VISTA, "unused", 1, MINIPORT),
    Row("nvstor", FROM_VISTA, "unused", 3, MINIPORT),
    Row("storvsc", FROM_7, "unused", 1, "Base"),
    Row("vmbus", FROM_7, "unused", 1, BUS),
    Row("vpci", FROM_81, "unused", 1, BUS),
    Row("symc810", NT5, "unused", 1, "SCSI miniport"),
    Row("symc8xx", NT5, "unused", 1, "SCSI miniport"),
    Row("sym_hi", NT5, "unused", 1, "SCSI miniport"),
    Row("sym_u3", NT5, "unused", 1, "SCSI miniport"),
    Row("intelppm", NT5, "system", 1, "Extended Base"),
    Row("processr", NT5, "system", 1, "Extended Base"),
    Row("intelppm", FROM_VISTA, "demand", 1, "Extended Base"),
    Row("cdrom", ALL, "system", 1, "SCSI CDROM Class"),
    Row("kbdclass", ALL, "system", 1, "Keyboard Class"),
    Row("mouclass", ALL, "system", 1, "Pointer Class"),
    Row("i8042prt", ALL, "system", 1, "Keyboard Port"),
)
# Unused controllers by generation: (Start, override).
UNUSED = ((NT5, 4, False), (NT6, 3, False), (FROM_8, 0, True))


@dataclass(frozen=True)
class Class:
    """One device class and its stock filters."""

    guid: str
    name: str
    filters: tuple[tuple[tuple[Version, Version], str, str], ...] = ()


TAIL = "-e325-11ce-bfc1-08002be10318}"
HDC, SCSI, SYSTEM, DISK, NET = (f"{{4d36e9{part}{TAIL}" for part in ("6a", "7b", "7d", "67", "72"))
KEYBOARD, MOUSE, CDROM = (f"{{4d36e9{part}{TAIL}" for part in ("6b", "6f", "65"))
VOLUME = "{71a27cdd-812a-11d0-bec7-08002be2092f}"
CLASSES = (
    Class(HDC, "hdc"),
    Class(SCSI, "SCSIAdapter"),
    Class(SYSTEM, "System"),
    Class(NET, "Net"),
    Class(CDROM, "CDROM"),
    Class("{36fc9e60-c465-11cf-8056-444553540000}", "USB", ((((6, 1, 0), (6, 1, 99999)), "UpperFilters", ""),)),
    Class(
        DISK,
        "DiskDrive",
        ((UP_TO_7, "UpperFilters", "PartMgr"), (FROM_8, "UpperFilters", "partmgr"), (FROM_81, "LowerFilters", "EhStorClass")),
    ),
    Class(KEYBOARD, "Keyboard", ((ALL, "UpperFilters", "kbdclass"),)),
    Class(MOUSE, "Mouse", ((ALL, "UpperFilters", "mouclass"),)),
    Class(
        VOLUME,
        "Volume",
        (
            (((5, 1, 0), (5, 1, 9999)), "UpperFilters", "VolSnap"),
            (FROM_10, "UpperFilters", "volsnap"),
            (((6, 0, 0), (6, 0, 99999)), "LowerFilters", "fvevol"),
            (((6, 1, 0), (6, 3, 99999)), "LowerFilters", "fvevol,rdyboost"),
            (FROM_10, "LowerFilters", "fvevol,iorate,rdyboost"),
        ),
    ),
)

# Rows of the CriticalDeviceDatabase: (span, id, service, class).
CRITICAL = (
    (UP_TO_7, "*pnp0a03", "pci", SYSTEM),
    (UP_TO_7, "gendisk", "disk", DISK),
    (UP_TO_7, "primary_ide_channel", "atapi", HDC),
    (UP_TO_7, "secondary_ide_channel", "atapi", HDC),
    (NT6, "internal_ide_channel", "atapi", HDC),
    (UP_TO_7, "pci#ven_8086&dev_7010", "intelide", HDC),
    (NT6, "pci#ven_8086&dev_7111", "intelide", HDC),
    (NT6, "pci#ven_8086&dev_1230", "intelide", HDC),
    (NT6, "pci#cc_0101", "pciide", HDC),
    (NT6, "pci#cc_010601", "msahci", HDC),
    (NT6, "pci#ven_1000&dev_0030", "LSI_SCSI", SCSI),
    (NT6, "pci#ven_1000&dev_0054", "LSI_SAS", SCSI),
    (NT6, "pci#ven_1000&dev_0058", "LSI_SAS", SCSI),
    (NT6, "pci#ven_1000&dev_0060&subsys_10131000", "megasas", SCSI),
    (NT6, "pci#ven_1000&dev_0079&subsys_92611000", "megasas", SCSI),
)

# Rows of the DriverDatabase: (span, inf, id, configuration, service).
DATABASE = (
    (FROM_8, "mshdc.inf", "Primary_IDE_Channel", "atapi_Inst", "atapi"),
    (FROM_8, "mshdc.inf", "Secondary_IDE_Channel", "atapi_Inst", "atapi"),
    (FROM_8, "mshdc.inf", "Internal_IDE_Channel", "atapi_Inst", "atapi"),
    (FROM_8, "mshdc.inf", r"PCI\CC_0101", "pciide_Inst", "pciide"),
    (FROM_8, "mshdc.inf", r"PCI\VEN_8086&DEV_7010", "intelide_Inst", "intelide"),
    (FROM_8, "mshdc.inf", r"PCI\VEN_8086&DEV_7111", "intelide_Inst", "intelide"),
    (FROM_8, "mshdc.inf", r"PCI\VEN_8086&DEV_1230", "intelide_Inst", "intelide"),
    (FROM_8, "mshdc.inf", r"PCI\CC_010601", "msahci_Inst", "storahci"),
    (FROM_81, "stornvme.inf", r"PCI\CC_010802", "Stornvme_Inst", "stornvme"),
    (FROM_8, "lsi_sas.inf", r"PCI\VEN_1000&DEV_0054", "LSI_SAS_Inst", "LSI_SAS"),
    (FROM_8, "megasas.inf", r"PCI\VEN_1000&DEV_0060", "Install_INT", "megasas"),
    (FROM_8, "megasas.inf", r"PCI\VEN_1000&DEV_0079", "Install_INT", "megasas"),
    (FROM_8, "pci.inf", "*PNP0A03", "PCI_ROOT", "pci"),
    (FROM_8, "disk.inf", "GenDisk", "disk_install", "disk"),
)
