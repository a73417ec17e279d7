# SPDX-License-Identifier: Apache-2.0
"""Facts in a few lines: a Windows as it was on Xen, and one method for each thing that a test makes different.

    Windows("10").service("xenfilt", 0).filters(SYSTEM, "upper", "XENFILT", "other").facts()

The knowledge here is small and made by hand, so that a test of a rule fails because of the rule, never because of a table.
"""

from dataclasses import replace

from unxen.knowledge.tables import (
    NEWEST,
    ArticleStep,
    BootRole,
    BootService,
    Confidence,
    Controller,
    CriticalMistake,
    CriticalRow,
    DeviceClass,
    EmulatedController,
    Family,
    Guard,
    Knowledge,
    KvmTrace,
    NetworkCard,
    NtVersion,
    ProcessorService,
    SanDefault,
    SanPolicy,
    SettingAction,
    StockFilter,
    UnfinishedTool,
    XenDevice,
    XenFilter,
    XenRole,
    XenService,
    XenSetting,
)
from unxen.model.facts import GuestFacts, Installation
from unxen.model.ids import (
    Architecture,
    Bus,
    DiskNumber,
    Firmware,
    GuestPath,
    InstallationId,
    KeyPath,
    Missing,
    Offset,
    PartitionNumber,
)
from unxen.model.reason import Reason
from unxen.model.registry_facts import (
    ControlSetFacts,
    CriticalDevice,
    DeviceFact,
    DriverFile,
    DriverMatch,
    FilterList,
    FilterScope,
    FilterSide,
    KeyTree,
    Leftover,
    NamedValue,
    RegistryValue,
    SelectFacts,
    ServiceFact,
    SystemFacts,
    WindowsFacts,
)
from unxen.model.volume_facts import BootFile, Content, DiskFacts, Hibernation, JournalState, Partition, Scheme, Volume
from unxen.plan.filter_lists import names

TAIL = "-E325-11CE-BFC1-08002BE10318}"
HDC, SCSI, SYSTEM, DISK, NET, KEYBOARD = (f"{{4D36E9{part}{TAIL}" for part in ("6A", "7B", "7D", "67", "72", "6B"))
VOLUME = "{71A27CDD-812A-11D0-BEC7-08002BE2092F}"
VERSIONS = {
    "2000": (5, 0, 2195),
    "xp": (5, 1, 2600),
    "2003": (5, 2, 3790),
    "7": (6, 1, 7601),
    "10": (10, 0, 19041),
    "2022": (10, 0, 20348),
}
PIIX3, ICH9 = r"PCI\VEN_8086&DEV_7010", r"PCI\VEN_8086&DEV_2922"
FIRST, NT5, NT6, FROM_8 = (5, 0, 0), (5, 2, 9999), (6, 1, 9999), (6, 2, 0)


def multi(*entries: str, ending: str = "\0\0") -> RegistryValue:
    """A REG_MULTI_SZ with the ending that most have."""
    return RegistryValue(7, ("\0".join(entries) + ending).encode("utf-16-le"))


def string(value: str) -> RegistryValue:
    """A REG_SZ."""
    return RegistryValue(1, f"{value}\0".encode("utf-16-le"))


def dword(number: int) -> RegistryValue:
    """A REG_DWORD."""
    return RegistryValue(4, number.to_bytes(4, "little"))


def override(*numbers: int, value: int = 3) -> KeyTree:
    """A StartOverride key with these numbered values."""
    return KeyTree((), tuple(NamedValue("", str(number), dword(value)) for number in numbers))


def _controller(
    service: str, bus: Bus, ids: tuple[str, ...], span: tuple[NtVersion, NtVersion], requires=(), files=(), inbox=True
) -> Controller:
    return Controller(service, bus, *span, ids, requires, files, inbox, Confidence.HIVE, f"{service} drives {bus.value}", "test")


def _xen(name: str, role: XenRole, start: int | None, *families: str, proof: tuple[str, ...] = ()) -> XenService:
    return XenService(
        name, families or ("winpv",), role, (f"{name}.sys",), start, proof, (), None, Confidence.CODE, f"{name} is Xen's", "test"
    )


def _boot(service: str, role: BootRole, required: bool = True) -> BootService:
    return BootService(service, role, FIRST, NEWEST, required, "boot", "test")


SMALL_KNOWLEDGE = Knowledge(
    families=(
        Family("winpv", "Xen Project", Confidence.CODE, False, "", "test"),
        Family("gplpv", "GPLPV", Confidence.CODE, False, "", "test"),
        Family("citrix", "Citrix legacy", Confidence.CODE, False, "", "test"),
        Family("redhat", "Red Hat", Confidence.TOOL, False, "", "test"),
        Family("pvvx", "SUSE pvvx", Confidence.CODE, True, "", "test"),
    ),
    xen_services=(
        _xen("xenbus", XenRole.BUS, 4),
        _xen("xenfilt", XenRole.FILTER, 4),
        _xen("xenvbd", XenRole.DISK, 3),
        _xen("xennet", XenRole.NET, 3),
        _xen("xenpci", XenRole.BUS, 3, "gplpv"),
        _xen("scsifilt", XenRole.FILTER, 4, "citrix"),
        _xen("rhelfltr", XenRole.FILTER, 4, "redhat"),
        _xen("xenagent", XenRole.AGENT, 4),
        _xen("InstallAgent", XenRole.AGENT, 4, proof=(r"\XenTools\\".rstrip("\\"),)),
        _xen("XEN", XenRole.LIBRARY, None),
        _xen("pvvxblk", XenRole.DISK, 4, "pvvx"),
    ),
    xen_filters=tuple(
        XenFilter(name, (family,), Confidence.CODE, f"{name} waits for Xen", "test")
        for name, family in (
            ("xenfilt", "winpv"),
            ("xendisk", "winpv"),
            ("xenpci", "gplpv"),
            ("scsifilt", "citrix"),
            ("rhelfltr", "redhat"),
        )
    ),
    xen_devices=(XenDevice("XENBUS\\", ("winpv",), "only Xen", "test"), XenDevice(r"PCI\VEN_5853", ("winpv",), "only Xen", "test")),
    xen_settings=(
        XenSetting(r"Services\XEN\Unplug", None, SettingAction.CLEAR, ("winpv",), "takes disks away", "test"),
        XenSetting(r"Services\xenfilt\Parameters", "ActiveDeviceID", SettingAction.CLEAR, ("winpv",), "old device", "test"),
        XenSetting(r"Services\xenevtchn", "NOPVBoot", SettingAction.KEEP, ("citrix",), "keeps PV off", "test"),
    ),
    controllers=(
        _controller("intelide", Bus.IDE, (PIIX3,), (FIRST, NEWEST), ("atapi",), ("pciidex.sys",)),
        _controller("pciide", Bus.IDE, (r"PCI\CC_0101",), (FIRST, NEWEST), ("atapi",), ("pciidex.sys",)),
        _controller("msahci", Bus.SATA, (r"PCI\CC_010601",), ((6, 0, 0), NT6), ("atapi",)),
        _controller("storahci", Bus.SATA, (r"PCI\CC_010601",), (FROM_8, NEWEST)),
        _controller("vioscsi", Bus.VIRTIO_SCSI, (r"PCI\VEN_1AF4&DEV_1004",), ((6, 0, 0), NEWEST), inbox=False),
        _controller("viostor", Bus.VIRTIO_BLK, (r"PCI\VEN_1AF4&DEV_1001",), (FIRST, NEWEST), inbox=False),
    ),
    emulated=(
        EmulatedController(Bus.IDE, "i440fx", (f"{PIIX3}&SUBSYS_11001AF4&REV_00", PIIX3, r"PCI\CC_0101"), HDC, "piix3-ide", "test"),
        EmulatedController(Bus.SATA, "q35", (f"{ICH9}&SUBSYS_11001AF4&REV_02", ICH9, r"PCI\CC_010601"), HDC, "ich9-ahci", "test"),
        EmulatedController(Bus.VIRTIO_SCSI, "any", (r"PCI\VEN_1AF4&DEV_1004",), SCSI, "virtio-scsi-pci", "test"),
        EmulatedController(Bus.VIRTIO_BLK, "any", (r"PCI\VEN_1AF4&DEV_1001",), SCSI, "virtio-blk-pci", "test"),
    ),
    boot_services=(
        _boot("ACPI", BootRole.BUSES),
        _boot("pci", BootRole.BUSES),
        _boot("disk", BootRole.DISK),
        _boot("partmgr", BootRole.DISK),
        _boot("fvevol", BootRole.DISK, required=False),
    ),
    classes=(
        DeviceClass(HDC, "hdc", ("controller-filters",), "controllers", "test"),
        DeviceClass(SCSI, "SCSIAdapter", ("controller-filters",), "controllers", "test"),
        DeviceClass(SYSTEM, "System", ("buses",), "PCI root", "test"),
        DeviceClass(DISK, "DiskDrive", ("disk",), "disks", "test"),
        DeviceClass(VOLUME, "Volume", ("disk",), "volumes", "test"),
        DeviceClass(KEYBOARD, "Keyboard", (), "keys", "test"),
    ),
    critical_rows=tuple(
        CriticalRow(row_id, Bus.IDE, service, HDC, FIRST, NT5, ("pciidex.sys",), f"{row_id} is found by this row", "test")
        for row_id, service in ((PIIX3.lower(), "intelide"), ("primary_ide_channel", "atapi"))
    ),
    article=tuple(
        ArticleStep(service, start, number, f"article:{number}")
        for service, start, number in (("msahci", 0, 6), ("pciide", 0, 6), ("iaStorV", 0, 6), ("xenpci", 3, 7), ("xenvbd", 3, 7))
    ),
    kvm_traces=(KvmTrace("device", r"PCI\VEN_1AF4", "virtio", "test"), KvmTrace("hardware", "QEMU", "SMBIOS", "test")),
    processors=(ProcessorService("intelppm", FIRST, NT5, 4, "crashes on other processors", "test"),),
    network_cards=(
        NetworkCard("virtio", FIRST, NEWEST, "netkvm", "fast", "test"),
        NetworkCard("e1000e", (6, 1, 0), NEWEST, "", "82574L", "test"),
        NetworkCard("e1000", FIRST, NEWEST, "", "82540EM", "test"),
    ),
    guards=(Guard("Watchful", ("watch.sys",), "watches drivers", "test"),),
    stock_filters=(
        StockFilter(DISK, FilterSide.UPPER, ("partmgr",), FIRST, NEWEST, False, True, "finds partitions", "test"),
        StockFilter(KEYBOARD, FilterSide.UPPER, ("kbdclass",), FIRST, NEWEST, True, False, "keys", "test"),
    ),
    san_policies=(
        SanPolicy(1, "OnlineAll", (), "all online", "test"),
        SanPolicy(2, "OfflineShared", ("virtio-scsi",), "shared ones offline", "test"),
    ),
    san_defaults=(SanDefault(False, 1, (6, 0, 0), NEWEST, "clients", "test"),),
    unfinished_tools=(UnfinishedTool("firstboot", ("rhsrvany",), "virt-v2v", "runs scripts", "delete it", "test"),),
    critical_mistakes=(CriticalMistake("pci#ven_1af4&dev_1041", "vioscsi", "a tool", "is a network card", "test"),),
)


class Windows:
    """One installation as it stands on Xen: started from IDE, everything else as the generation has it; each method changes it."""

    def __init__(self, generation: str = "10", *, sets: tuple[int, ...] = (1,)) -> None:
        self.version = VERSIONS[generation]
        self.sets = {number: _Set(number, self.version) for number in sets}
        self.select = SelectFacts(sets[0], sets[0], 0, sets[0])
        self.matches = [] if self.version < FROM_8 else list(MATCHES)
        self.extra: dict[str, object] = {}
        self.installation: dict[str, object] = {}
        self.disk: dict[str, object] = {}
        self.architecture = Architecture.AMD64
        self.server = False

    def service(self, name: str, start: int | Missing = 0, *, only: int | None = None, **more: object) -> "Windows":
        """A service, new or instead of the one that is there; `only` in one control set."""
        for each in self._sets(only):
            each.service(name, start, **more)
        return self

    def on_server(self, server: bool = True) -> "Windows":
        """Whether it is a server's Windows."""
        self.server = server
        return self

    def without(self, name: str) -> "Windows":
        """A service deleted."""
        for each in self.sets.values():
            each.services.pop(name.lower(), None)
        return self

    def filters(
        self, guid: str, side: str, *entries: str, only: int | None = None, value: RegistryValue | None = None
    ) -> "Windows":
        """A class list instead of the one that is there."""
        for each in self._sets(only):
            each.filters(FilterScope.CLASS, rf"Control\Class\{guid}", guid, side, multi(*entries) if value is None else value)
        return self

    def device_filters(self, device: str, side: str, *entries: str, guid: str = "") -> "Windows":
        """A list at one instance of a device."""
        for each in self.sets.values():
            each.filters(FilterScope.DEVICE, rf"Enum\{device}\0", guid, side, multi(*entries))
        return self

    def no_list(self, guid: str, side: str) -> "Windows":
        """A class list taken away."""
        for each in self.sets.values():
            each.lists.pop((rf"{each.root}\Control\Class\{guid}", side), None)
        return self

    def device(self, device: str, service: str = "", guid: str = HDC, flags: int = 0) -> "Windows":
        """An instance below Enum."""
        for each in self.sets.values():
            key = KeyPath(rf"{each.root}\Enum\{device}\0")
            each.devices.append(DeviceFact(device, "0", key, service, guid, "", (), (), flags))
        return self

    def match(self, device: str, inf: str, service: str | Missing) -> "Windows":
        """A row of the DriverDatabase."""
        self.matches.append(DriverMatch(device, inf, service))
        return self

    def no_match(self, device: str) -> "Windows":
        """Neither table has a row for this id."""
        self.matches = [each for each in self.matches if each.id != device]
        for each in self.sets.values():
            each.critical = [row for row in each.critical if row.id != device.replace("\\", "#").lower()]
        return self

    def leftover(self, key: str, **values: int) -> "Windows":
        """A key that steers Xen drivers, with its numbers."""
        tree = KeyTree((), tuple(NamedValue("", name, dword(number)) for name, number in values.items()))
        for each in self.sets.values():
            each.leftovers.append(Leftover(KeyPath(rf"{each.root}\{key}"), None, None, tree))
        return self

    def xen(self) -> "Windows":
        """The drivers of winpv, active."""
        lists = self.filters(SYSTEM, "upper", "XENFILT").filters(HDC, "upper", "XENFILT")
        return lists.service("xenbus", 0).service("xenfilt", 0).service("xenvbd", 0).service("xennet", 3).service("xenagent", 2)

    def system(self, **changes: object) -> "Windows":
        """Other fields of SystemFacts."""
        self.extra |= changes
        return self

    def control_set(self, **changes: object) -> "Windows":
        """Other fields of ControlSetFacts."""
        for each in self.sets.values():
            each.extra |= changes
        return self

    def troubles(self, *reasons: Reason) -> "Windows":
        """States that forbid a repair."""
        self.installation["troubles"] = reasons
        return self

    def on_disk(self, **changes: object) -> "Windows":
        """Other fields of DiskFacts."""
        self.disk |= changes
        return self

    def made(self, disk: int = 1) -> Installation:
        """The installation."""
        system = SystemFacts(
            select=self.select,
            control_sets=tuple(each.facts() for each in self.sets.values()),
            driver_matches=tuple(self.matches),
            driver_database_seen=self.version >= FROM_8,
            hardware_configs=(),
            setup_in_progress=False,
            unread=(),
        )
        windows = WindowsFacts("Windows", self.version, self.architecture, self.server, "test")
        path = GuestPath(r"\Windows\System32\config\SYSTEM")
        made = Installation(
            InstallationId(rf"{disk}:1:\Windows"),
            DiskNumber(disk),
            PartitionNumber(1),
            GuestPath(r"\Windows"),
            path,
            None,
            None,
            windows,
            replace(system, **self.extra),
            (),
        )
        return replace(made, **self.installation)

    def facts(self, *others: "Windows") -> GuestFacts:
        """The guest: this Windows on the first disk, others on the next ones."""
        every = (self, *others)
        return GuestFacts(
            tuple(each.disk_facts(number) for number, each in enumerate(every, 1)),
            tuple(each.made(number) for number, each in enumerate(every, 1)),
        )

    def disk_facts(self, number: int) -> DiskFacts:
        """The disk with one NTFS volume and BIOS boot files."""
        disk, part = DiskNumber(number), PartitionNumber(1)
        partition = Partition(disk, part, "07", Offset(1 << 20), 1 << 30, True, Content.NTFS)
        volume = Volume(disk, part, Offset(1 << 20), 1 << 30, 4096, 512, 0xFF, "", False, JournalState.CLEAN, Hibernation.ABSENT)
        boot = BootFile(disk, part, GuestPath(r"\bootmgr"), Firmware.BIOS)
        return replace(DiskFacts(disk, 20 << 30, Scheme.MBR, (partition,), (volume,), (boot,)), **self.disk)

    def _sets(self, only: int | None) -> list["_Set"]:
        return [each for number, each in self.sets.items() if only in (None, number)]


MATCHES = (
    DriverMatch(PIIX3, "mshdc.inf", "intelide"),
    DriverMatch(r"PCI\CC_0101", "mshdc.inf", "pciide"),
    DriverMatch(r"PCI\CC_010601", "mshdc.inf", "storahci"),
)
BEFORE_8 = ("msahci", "iaStorV")
FROM_8_ON = ("storahci", "stornvme")


class _Set:
    """One control set that is being built."""

    def __init__(self, number: int, version: NtVersion) -> None:
        self.number, self.root = number, f"ControlSet{number:03d}"
        self.services: dict[str, ServiceFact] = {}
        self.lists: dict[tuple[str, str], FilterList] = {}
        self.devices: list[DeviceFact] = []
        self.critical: list[CriticalDevice] = []
        self.leftovers: list[Leftover] = []
        self.extra: dict[str, object] = {}
        self._fill(version)

    def _fill(self, version: NtVersion) -> None:
        for name in ("ACPI", "pci", "disk", "partmgr", "fvevol", "atapi", "intelide", "kbdclass"):
            self.service(name, 1 if name == "kbdclass" else 0)
        self.service("pciide", 4 if version < (6, 0, 0) else 3 if version < FROM_8 else 0, overrides=self._unused(version))
        if version < (6, 0, 0):
            self.service("intelppm", 1)
        elif version < FROM_8:
            self.service("msahci", 3)
        else:
            self.service("storahci", 0, overrides=self._unused(version))
        if version < FROM_8:
            rows = ((PIIX3, "intelide"), (r"PCI\CC_010601", "msahci"), ("primary_ide_channel", "atapi"))
            self.critical = [
                CriticalDevice(
                    row.replace("\\", "#").lower(), KeyPath(rf"{self.root}\Control\CriticalDeviceDatabase\{row}"), service, HDC
                )
                for row, service in rows
                if version >= (6, 0, 0) or service != "msahci"
            ]
        self.filters(FilterScope.CLASS, rf"Control\Class\{DISK}", DISK, "upper", multi("partmgr"))
        self.filters(FilterScope.CLASS, rf"Control\Class\{KEYBOARD}", KEYBOARD, "upper", multi("kbdclass"))

    @staticmethod
    def _unused(version: NtVersion) -> KeyTree | None:
        return override(0) if version >= FROM_8 else None

    def service(self, name: str, start: int | Missing, **more: object) -> None:
        key = KeyPath(rf"{self.root}\Services\{name}")
        file = GuestPath(rf"\Windows\System32\drivers\{name}.sys")
        fact = ServiceFact(name, key, start, 1, 1, "", Missing.ABSENT, "", None, file, True)  # type: ignore[arg-type]
        self.services[name.lower()] = replace(fact, **more)

    def filters(self, scope: FilterScope, path: str, guid: str, side: str, value: RegistryValue) -> None:
        key = KeyPath(rf"{self.root}\{path}")
        name = f"{side.capitalize()}Filters"
        self.lists[(key, side)] = FilterList(scope, FilterSide(side), key, guid, name, value, names(value))

    def facts(self) -> ControlSetFacts:
        made = ControlSetFacts(
            number=self.number,  # type: ignore[arg-type]
            services=tuple(self.services.values()),
            filters=tuple(self.lists.values()),
            devices=tuple(self.devices),
            critical_devices=tuple(self.critical),
            critical_devices_seen=bool(self.critical),
            restrictions=(),
            leftovers=tuple(self.leftovers),
        )
        return replace(made, **self.extra)


def driver_file(name: str, seen: bool) -> tuple[DriverFile, ...]:
    """One file beside the drivers."""
    return (DriverFile(name, seen),)
