# SPDX-License-Identifier: Apache-2.0
"""Writes out, as registry text, what a freshly set up Windows of a generation and a family of Xen drivers leave in SYSTEM.

Touches only the tables beside it.
"""

import struct
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from generators.windows_devices import DEVICES, PLATFORM, Device
from generators.windows_tables import (
    CLASSES,
    CRITICAL,
    DATABASE,
    FROM_8,
    NT5,
    SERVICES,
    UNUSED,
    Generation,
    Row,
    Version,
)

Instances = Callable[[str], Iterable[str]]
ROLES = {"boot": 0, "used": 0, "system": 1, "demand": 3, "off": 4}
MACHINES = {"x86": ("x86", 0, "x86"), "amd64": ("AMD64", 9, "amd64"), "arm64": ("ARM64", 12, "arm64")}
CLASS_OF = {row.name: row.guid for row in CLASSES}
FAMILY_TABLE = tomllib.loads((Path(__file__).parent / "families.toml").read_text())
XEN_MACHINE = {
    "SystemManufacturer": "Xen",
    "SystemProductName": "HVM domU",
    "SystemVersion": "4.13.5",
    "BIOSVendor": "Xen",
    "BIOSVersion": "4.13.5",
}
XEN_GUID = "{4dd55de6-0ab9-5c3e-8f4c-0123456789ab}"
KVM_MACHINE = {
    "SystemManufacturer": "QEMU",
    "SystemProductName": "Standard PC (i440FX + PIIX, 1996)",
    "SystemVersion": "pc-i440fx-7.2",
    "BIOSVendor": "SeaBIOS",
    "BIOSVersion": "1.16.2-debian-1.16.2-1",
}


def within(version: Version, span: tuple[Version, Version]) -> bool:
    """Whether a row's range holds this Windows."""
    return span[0] <= version <= span[1]


def windows_text(generation: Generation, *, driver_rows: bool = True) -> str:
    """The whole text of a Windows with one control set, 001, before any Xen driver was installed."""
    return "\n".join(
        (
            *_outside(generation),
            *_control(generation),
            *(line for row in SERVICES if within(generation.version, row.span) for line in _service(generation, row)),
            *_classes(generation),
            *(line for row in (*DEVICES, PLATFORM) for line in device(row)),
            *_critical(generation),
            *(_database(generation, rows=driver_rows) if within(generation.version, FROM_8) else ()),
            *(machine(XEN_MACHINE) if within(generation.version, FROM_8) else ()),
        )
    )


def _outside(generation: Generation) -> Iterator[str]:
    yield "[Select]"
    yield f'"Current"=dword:1\n"Default"=dword:1\n"Failed"=dword:0\n"LastKnownGood"=dword:{generation.last_good:x}'
    yield "[Setup]"
    yield '"SystemSetupInProgress"=dword:0\n"SetupType"=dword:0\n"CmdLine"=""\n"OsLoaderPath"="\\\\"'
    if not within(generation.version, NT5):
        yield '"OOBEInProgress"=dword:0\n"SetupPhase"=dword:0\n"RestartSetup"=dword:0'
    yield "[MountedDevices]"
    yield r'"\\DosDevices\\C:"=hex:3a,5d,12,00,00,00,10,00,00,00,00,00'
    yield "[WPA]"


def _control(generation: Generation) -> Iterator[str]:
    control = r"ControlSet001\Control"
    yield rf"[{control}\ProductOptions]"
    yield f'"ProductType"="{"ServerNT" if generation.server else "WinNT"}"\n"ProductSuite"=multi:Terminal Server'
    yield rf"[{control}\Windows]"
    yield f'"CSDVersion"=dword:{generation.service_pack:x}\n"Directory"=expand:%SystemRoot%'
    if generation.csd_build:
        yield f'"CSDBuildNumber"=dword:{generation.csd_build:x}'
    if generation.version >= (10, 0, 0):
        yield f'"ShutdownStopTimePerfCounterBuildLab"="{generation.version[2]}.release.191206-1406"'
    yield rf"[{control}\Session Manager\Environment]"
    yield f'"OS"="Windows_NT"\n"PROCESSOR_ARCHITECTURE"="{MACHINES[generation.arch][0]}"'
    yield f'[{control}\\ComputerName\\ComputerName]\n"ComputerName"="GUEST"'
    yield f'[{control}\\ServiceGroupOrder]\n"List"=multi:System Reserved,Boot Bus Extender,System Bus Extender,SCSI miniport'
    yield r"[ControlSet001\Hardware Profiles\0001]"
    yield from _first_start(generation)


def _first_start(generation: Generation) -> Iterator[str]:
    """Settings that matter after a move: as in the real hives of clients; for servers as Microsoft has it."""
    yield '[ControlSet001\\Control\\CrashControl]\n"AutoReboot"=dword:1\n"CrashDumpEnabled"=dword:1'
    key = '"TimeZoneKeyName"="W. Europe Standard Time"\n' if not within(generation.version, NT5) else ""
    yield f'[ControlSet001\\Control\\TimeZoneInformation]\n{key}"StandardName"="W. Europe Standard Time"\n"Bias"=dword:ffffffc4'
    if not within(generation.version, NT5):
        policy = 2 if generation.server and generation.version >= (10, 0, 0) else 1
        yield f'[ControlSet001\\Services\\partmgr\\Parameters]\n"SanPolicy"=dword:{policy}'


def _service(generation: Generation, row: Row) -> Iterator[str]:
    start, override = _start(generation, row)
    error_control = 1 if within(generation.version, NT5) else row.error_control
    yield rf"[ControlSet001\Services\{row.name}]"
    yield f'"Type"=dword:{row.type}\n"Start"=dword:{start}\n"ErrorControl"=dword:{error_control}'
    if row.group:
        yield f'"Group"="{row.group}"'
    if path := _image_path(generation, row, start):
        yield f'"ImagePath"=expand:{path}'
    if override:
        yield f'[ControlSet001\\Services\\{row.name}\\StartOverride]\n"0"=dword:3'


def _start(generation: Generation, row: Row) -> tuple[int, bool]:
    if row.role != "unused":
        return ROLES[row.role], False
    return next((start, override) for span, start, override in UNUSED if within(generation.version, span))


def _image_path(generation: Generation, row: Row, start: int) -> str:
    r"""NT 5 leaves it out for what came with setup and was not needed; 7 writes \SystemRoot for what PnP did not start."""
    file = row.file or f"{row.name}.sys"
    if within(generation.version, NT5):
        return "" if row.role == "unused" or row.name in ("partmgr", "mountmgr", "volsnap") else rf"system32\DRIVERS\{file}"
    beginning = "\\SystemRoot\\" if start == 3 else ""
    return rf"{beginning}System32\drivers\{file}"


def _classes(generation: Generation) -> Iterator[str]:
    for row in CLASSES:
        guid = row.guid if within(generation.version, FROM_8) else row.guid.upper()
        yield f'[ControlSet001\\Control\\Class\\{guid}]\n"Class"="{row.name}"'
        for span, side, names in row.filters:
            if within(generation.version, span):
                yield f'"{side}"=multi:{names}'


def device(row: Device) -> Iterator[str]:
    """One instance below Enum."""
    yield rf"[ControlSet*\Enum\{row.id}\{row.instance}]"
    yield f'"HardwareID"=multi:{",".join(row.hardware)}\n"ConfigFlags"=dword:0'
    if row.compatible:
        yield f'"CompatibleIDs"=multi:{",".join(row.compatible)}'
    if row.service:
        yield f'"Service"="{row.service}"\n"ClassGUID"="{row.class_guid}"\n"Driver"="{row.class_guid}\\\\0000"'


def _critical(generation: Generation) -> Iterator[str]:
    for span, name, service, guid in CRITICAL:
        if within(generation.version, span):
            yield f'[ControlSet001\\Control\\CriticalDeviceDatabase\\{name}]\n"Service"="{service}"\n"ClassGUID"="{guid.upper()}"'


def _database(generation: Generation, *, rows: bool) -> Iterator[str]:
    _, machine_number, suffix = MACHINES[generation.arch]
    yield f'[DriverDatabase]\n"Version"=dword:0a000000\n"Architecture"=dword:{machine_number:x}'
    for span, inf, name, configuration, service in DATABASE:
        if not within(generation.version, span):
            continue
        package = f"{inf}_{suffix}_0d06b6638bdb4763"
        yield f'[DriverDatabase\\DriverInfFiles\\{inf}]\n@=multi:{package}\n"Active"="{package}"'
        yield f"[DriverDatabase\\DriverPackages\\{package}]\n{_package_version(generation.version)}"
        if rows:
            yield f'[DriverDatabase\\DeviceIds\\{name}]\n"{inf}"=hex:01,ff,00,00'
        yield f'[DriverDatabase\\DriverPackages\\{package}\\Descriptors\\{name}]\n"Configuration"="{configuration}"'
        yield f'[DriverDatabase\\DriverPackages\\{package}\\Configurations\\{configuration}]\n"Service"="{service}"'


def _package_version(version: Version) -> str:
    """The bytes that the packages of Windows itself carry: class, date, and the driver's version at 32."""
    numbers = struct.pack("<HHHH", 1, version[2], version[1], version[0])
    head = bytes.fromhex("ffff0900000000006ae9364d25e3ce11bfc108002be1031800808ca3c594c601")
    return f'"Version"=hex:{(head + numbers + bytes(8)).hex()}\n"Provider"="Microsoft"'


def machine(strings: dict[str, str], guid: str = XEN_GUID, number: int = 0) -> Iterator[str]:
    """The machine that Windows ran on, as it noted it."""
    yield f'[HardwareConfig]\n"LastConfig"="{guid}"\n"LastId"=dword:{number}'
    yield f'[HardwareConfig\\{guid}]\n"Id"=dword:{number}\n"BootDriverFlags"=dword:0'
    yield from (f'"{name}"="{text}"' for name, text in strings.items())
    yield f'"SystemBiosVersion"=multi:{strings["BIOSVendor"]} - 0'


def families() -> tuple[str, ...]:
    """Every family that can be added."""
    return tuple(name for name, row in FAMILY_TABLE.items() if not row.get("template"))


def family_text(family: str, instances: Instances) -> str:
    """What a family leaves; `instances` gives the instances that are there below an id, for filters on devices not its own."""
    bases = [FAMILY_TABLE[name] for name in FAMILY_TABLE[family].get("base", ())]
    rows = [*bases, FAMILY_TABLE[family]]
    program = next((row["program"] for row in reversed(rows) if "program" in row), r"C:\Program Files\Xen")
    lines: list[str] = []
    for row in rows:
        for name, start, group, file in row.get("services", ()):
            lines += _family_service(name, start, group, file, program)
        for name, side, filter_name in row.get("classes", ()):
            lines += [f'[ControlSet*\\Control\\Class\\{CLASS_OF[name]}]\n"{side}"=+multi:{filter_name}']
        for name, instance, service, class_name in row.get("devices", ()):
            lines += device(Device(name, instance, service, CLASS_OF[class_name], (name,)))
        for key, name, text in row.get("settings", ()):
            lines += [f'[ControlSet*\\{key}]\n"{name.replace(chr(92), chr(92) * 2)}"={text}']
        own = {name: [instance] for name, instance, *_ in row.get("devices", ())}
        for name, side, filter_name in row.get("filters", ()):
            for instance in dict.fromkeys([*instances(name), *own.get(name, ())]):
                lines += [f'[ControlSet*\\Enum\\{name}\\{instance}]\n"{side}"=+multi:{filter_name}']
    return "\n".join(lines)


def _family_service(name: str, start: int, group: str, file: str, program: str) -> Iterator[str]:
    yield rf"[ControlSet*\Services\{name}]"
    if start < 0:
        yield rf"[ControlSet*\Services\{name}\Parameters]"
        return
    process = file.endswith(".exe")
    beginning = "\\SystemRoot\\" if start == 3 else ""
    path = rf'"{program}\{file}"' if process else rf"{beginning}System32\drivers\{file}"
    yield f'"Type"=dword:{"10" if process else "1"}\n"Start"=dword:{start}\n"ErrorControl"=dword:1\n"ImagePath"=expand:{path}'
    if group:
        yield f'"Group"="{group}"'
    yield f'"DisplayName"="@oem8.inf,%{name}%;{name}"'
