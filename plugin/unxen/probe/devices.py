# SPDX-License-Identifier: Apache-2.0
"""Windows remembers every device it has met; here the ones on the way to a disk are read, and the filter lists of all of them.

Touches only the hive it is given. Instances are read whole below the buses that lead to a disk, below ids that the look wants, of
network adapters, and wherever a filter list hangs; of the rest only the lists are looked for.
"""

from collections.abc import Iterator

from unxen.model.registry_facts import DeviceFact, FilterList, FilterScope
from unxen.probe.filters import SIDES, filter_lists
from unxen.probe.reading import Reading, Values
from unxen.registry.hive import Key

TPM = ("acpi\\msft0101", "acpi\\pnp0c31")
# Beginnings of ids, lower-cased, whose instances are always read.
ALWAYS = ("pci\\", "pciide\\", "ide\\", "scsi\\", "xen\\", "xenbus\\", "acpi\\pnp0a0", *TPM)
ROOT, XEN = "root\\", "xen"
NET = "{4d36e972-e325-11ce-bfc1-08002be10318}"
"""Class of network adapters, which leads to no disk but to what people miss after the first start."""


def read_devices(
    reading: Reading, enum: Key | None, prefixes: tuple[str, ...]
) -> tuple[tuple[DeviceFact, ...], tuple[FilterList, ...]]:
    """The devices that can matter, and every device's filter lists; `prefixes` are beginnings of ids, lower-cased."""
    devices: list[DeviceFact] = []
    filters: list[FilterList] = []
    for device_id, key in _instances(reading, enum):
        values = reading.values(key)
        class_guid = reading.plain(values.get("CLASSGUID"))
        lists = tuple(filter_lists(reading, key, values, FilterScope.DEVICE, class_guid))
        filters += lists
        wanted = _matters(device_id.lower(), prefixes) or class_guid.lower() == NET
        if lists or wanted or not SIDES.keys().isdisjoint(values):
            devices.append(_fact(reading, device_id, key, values, class_guid))
    return tuple(devices), tuple(filters)


def _instances(reading: Reading, enum: Key | None) -> Iterator[tuple[str, Key]]:
    """(id, key) of every instance: a bus, a device below it, an instance below that."""
    for bus in reading.subkeys(enum):
        for device in reading.subkeys(bus):
            for instance in reading.subkeys(device):
                yield f"{bus.name}\\{device.name}", instance


def _matters(device_id: str, prefixes: tuple[str, ...]) -> bool:
    return device_id.startswith(ALWAYS) or device_id.startswith(prefixes) or (device_id.startswith(ROOT) and XEN in device_id)


def _fact(reading: Reading, device_id: str, key: Key, values: Values, class_guid: str) -> DeviceFact:
    return DeviceFact(
        id=device_id,
        instance=key.name,
        key=key.path,
        service=reading.plain(values.get("SERVICE")),
        class_guid=class_guid,
        driver=reading.plain(values.get("DRIVER")),
        hardware_ids=reading.strings(values.get("HARDWAREID")),
        compatible_ids=reading.strings(values.get("COMPATIBLEIDS")),
        config_flags=reading.number(values.get("CONFIGFLAGS")),
    )
