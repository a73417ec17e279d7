# SPDX-License-Identifier: Apache-2.0
"""What real guests have besides the textbook: foreign filters, folk fixes, half removals, a life on KVM; each as registry text.

Touches nothing. Every function takes the value given for its name and returns text that is applied after the families.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from generators.network import network
from generators.reg_text import multi, wide
from generators.windows_devices import VIRTIO, Device
from generators.windows_tables import DISK, HDC, KEYBOARD, SCSI, SYSTEM
from generators.windows_text import CLASS_OF, KVM_MACHINE, device, machine

CLASS_KEY = r"ControlSet*\Control\Class"


def hexadecimal(kind: int, data: bytes) -> str:
    """Raw bytes as a value in text."""
    return f"hex({kind:x}):{data.hex()}"


def driver(name: str, start: int = 0, file: str = "", group: str = "", program: str = "") -> str:
    """A kernel driver that somebody installed."""
    path = program or rf"System32\drivers\{file or name + '.sys'}"
    lines = f'[ControlSet*\\Services\\{name}]\n"Type"=dword:1\n"Start"=dword:{start}\n"ErrorControl"=dword:1\n'
    return lines + f'"ImagePath"=expand:{path}\n' + (f'"Group"="{group}"\n' if group else "")


def filters(class_name: str, side: str, names: Iterable[str], *, ending: bytes = b"", kind: int = 7) -> str:
    """A class list, set as a whole; `ending` is appended to its bytes, `kind` 1 makes it a REG_SZ."""
    names = tuple(names)
    data = wide(*names) if kind == 1 else multi(names) + ending
    return f'[{CLASS_KEY}\\{CLASS_OF[class_name]}]\n"{side}"={hexadecimal(kind, data)}\n'


def foreign_filter(name: str) -> str:
    """A filter of somebody else that can load, behind whatever stands in the lists of controllers and of System."""
    lists = "".join(f'[{CLASS_KEY}\\{guid}]\n"UpperFilters"=+multi:{name}\n' for guid in (HDC, SYSTEM))
    return driver(name) + lists


def dangling_filter(name: str) -> str:
    """A foreign name in the controllers' list whose service is gone."""
    return f'[{CLASS_KEY}\\{HDC}]\n"UpperFilters"=+multi:{name}\n'


def disk_filter(name: str) -> str:
    """A foreign lower filter of every disk that can load."""
    return driver(name) + f'[{CLASS_KEY}\\{DISK}]\n"LowerFilters"=+multi:{name}\n'


def controller_filters(names: Iterable[str]) -> str:
    """Drivers of GPLPV that were found listed as filters of controllers, whatever their installer says."""
    lists = "".join(f'[{CLASS_KEY}\\{guid}]\n"UpperFilters"=+multi:{",".join(names)}\n' for guid in (HDC, SCSI))
    return "".join(map(driver, names)) + lists


def citrix_prepared(_: object) -> str:
    """What XenServer's preparation tool leaves: the event channel under its other name, and the value that keeps drivers off."""
    return driver("xevtchn") + '[ControlSet*\\Services\\xenevtchn]\n"NOPVBoot"=dword:1\n'


def reg_sz_list(text: str) -> str:
    """The controllers' list as one string, the way hands write it."""
    return filters("hdc", "UpperFilters", [text], kind=1)


def two_endings(names: Iterable[str]) -> str:
    """The controllers' list ending in two empty strings, as 14 real lists do."""
    return filters("hdc", "UpperFilters", names, ending=b"\0\0")


def no_ending(names: Iterable[str]) -> str:
    """The controllers' list without its closing empty string and with an odd last byte."""
    return f'[{CLASS_KEY}\\{HDC}]\n"UpperFilters"={hexadecimal(7, wide(*names)[:-1])}\n'


def upper_cased(names: Iterable[str]) -> str:
    """A list that a backup program wrote back in capitals."""
    return filters("hdc", "UpperFilters", (name.upper() for name in names))


def overrides(numbers: Mapping[str, Iterable[int]]) -> str:
    """StartOverride with several numbered values: {service: numbers}."""
    lines = []
    for service, ids in numbers.items():
        lines += [rf"[ControlSet*\Services\{service}\StartOverride]", *(f'"{number}"=dword:3' for number in ids)]
    return "\n".join(lines)


def no_overrides(services: Iterable[str]) -> str:
    """Controllers that were in use at the last start."""
    return "\n".join(rf"[-ControlSet*\Services\{service}\StartOverride]" for service in services)


def starts(values: Mapping[str, int]) -> str:
    """Start of services: {service: number}."""
    return "\n".join(f'[ControlSet*\\Services\\{service}]\n"Start"=dword:{number:x}' for service, number in values.items())


def virtio(services: Iterable[str]) -> str:
    """virtio drivers installed as their INF does, never bound."""
    groups = "".join(driver(name, group="SCSI miniport") for name in services)
    buses = {"viostor": 1, "vioscsi": 10}
    return groups + "".join(
        f'[ControlSet*\\Services\\{name}\\Parameters]\n"BusType"=dword:{buses.get(name, 1):x}\n' for name in services
    )


def virtio_win(drivers: Iterable[str]) -> str:
    """virtio-win installed, and Windows run once with a small disk on its bus: service, rows of its package, a device."""
    return virtio(drivers) + "\n".join(line for name in drivers for line in _virtio_package(name))


def _virtio_package(name: str) -> Iterator[str]:
    """The first id is the one of a conventional slot, where the small disk was."""
    ids = {"viostor": ("1001", "1042"), "vioscsi": ("1004", "1048")}[name]
    package, base = f"{name}.inf_amd64_0011aabbccddeeff", "DriverDatabase"
    inf = {"viostor": "oem11.inf", "vioscsi": "oem12.inf"}[name]
    yield f'[{base}\\DriverInfFiles\\{inf}]\n@=multi:{package}\n"Active"="{package}"'
    yield f'[{base}\\DriverPackages\\{package}]\n"Provider"="Red Hat, Inc."\n@="{inf}"'
    yield f'[{base}\\DriverPackages\\{package}\\Configurations\\{name}_Inst]\n"Service"="{name}"'
    for each in ids:
        device_id = f"PCI\\VEN_1AF4&DEV_{each}"
        yield f'[{base}\\DeviceIds\\{device_id}]\n"{inf}"=hex:01,00,00,00'
        yield f'[{base}\\DriverPackages\\{package}\\Descriptors\\{device_id}]\n"Configuration"="{name}_Inst"'
    subsystem = {"viostor": "0002", "vioscsi": "0008"}[name]
    found = rf"PCI\VEN_1AF4&DEV_{ids[0]}&SUBSYS_{subsystem}1AF4&REV_00"
    yield from device(Device(found, "3&13c0b0c5&0&30", name, SCSI, (rf"PCI\VEN_1AF4&DEV_{ids[0]}",)))


def kvm_traces(_: object) -> str:
    """This Windows has run on KVM: virtio devices bound to their drivers, and the machine noted."""
    guid = "{1b4e28ba-2fa1-11d2-883f-b9a761bde3fb}"
    bound = "\n".join(line for row in VIRTIO for line in device(row))
    return driver("viostor", group="SCSI miniport") + driver("netkvm", 3) + bound + "\n" + "\n".join(machine(KVM_MACHINE, guid, 1))


def third_party(name: str) -> str:
    """Somebody's own driver for AHCI controllers: installed, found by the DriverDatabase, bound to a device of its kind."""
    package = "oem7.inf_amd64_aabbccddeeff0011"
    base = "DriverDatabase"
    bound = r"PCI\VEN_8086&DEV_2922&SUBSYS_11001AF4&REV_02"
    return driver(name, group="SCSI Miniport") + "\n".join(
        (
            f'[{base}\\DeviceIds\\PCI\\CC_010601]\n"oem7.inf"=hex:01,00,00,00',
            f'[{base}\\DriverInfFiles\\oem7.inf]\n@=multi:{package}\n"Active"="{package}"',
            f'[{base}\\DriverPackages\\{package}]\n"Provider"="Somebody"\n@="oem7.inf"',
            f'[{base}\\DriverPackages\\{package}\\Descriptors\\PCI\\CC_010601]\n"Configuration"="Own_Inst"',
            f'[{base}\\DriverPackages\\{package}\\Configurations\\Own_Inst]\n"Service"="{name}"',
            f"[ControlSet*\\Enum\\{bound}\\3&11583659&0&FA]",
            f'"HardwareID"=multi:{bound}\n"CompatibleIDs"=multi:PCI\\CC_010601\n"Service"="{name}"\n"ClassGUID"="{SCSI}"\n"ConfigFlags"=dword:0',
        )
    )


def emptied_keyboard(_: object) -> str:
    """A folk fix that took every filter of the keyboard class away."""
    return f'[{CLASS_KEY}\\{KEYBOARD}]\n"UpperFilters"=-\n'


def missing_service(name: str) -> str:
    """A folk fix that deleted a service which every start needs."""
    return f"[-ControlSet*\\Services\\{name}]\n"


def setup_in_progress(_: object) -> str:
    """Setup or sysprep has not finished."""
    return '[Setup]\n"SystemSetupInProgress"=dword:1\n"SetupType"=dword:2\n"OOBEInProgress"=dword:1\n'


def no_database(_: object) -> str:
    """A hive without any of the tables that find drivers."""
    return "[-DriverDatabase]\n[-ControlSet*\\Control\\CriticalDeviceDatabase]\n"


def text(given: str) -> str:
    """Anything else, as registry text."""
    return given


ODDITIES: dict[str, Callable[..., str]] = {
    each.__name__: each
    for each in (
        foreign_filter,
        dangling_filter,
        disk_filter,
        controller_filters,
        citrix_prepared,
        reg_sz_list,
        two_endings,
        no_ending,
        upper_cased,
        overrides,
        no_overrides,
        starts,
        virtio,
        virtio_win,
        kvm_traces,
        third_party,
        emptied_keyboard,
        missing_service,
        setup_in_progress,
        no_database,
        network,
        text,
    )
}
