# SPDX-License-Identifier: Apache-2.0
"""Before disks can be read, Windows finds a controller's driver by tables in SYSTEM; here the rows for storage ids are read.

Touches only the hive it is given. Up to 7 that is the CriticalDeviceDatabase of a control set, from 8 on the DriverDatabase beside
the control sets: an id names INF files, an INF its package, the package a configuration for the id, and that one a service.
"""

from collections.abc import Iterable, Iterator

from unxen.model.ids import Missing
from unxen.model.registry_facts import CriticalDevice, DriverMatch
from unxen.probe.reading import Reading
from unxen.registry.hive import Key

# Below a controller: its channels, and every disk.
BELOW_CONTROLLERS = ("primary_ide_channel", "secondary_ide_channel", "internal_ide_channel", "*pnp0600", "gendisk")


def critical_devices(reading: Reading, database: Key | None, device_ids: Iterable[str]) -> tuple[CriticalDevice, ...]:
    """The rows of a CriticalDeviceDatabase for these ids and for what hangs below controllers; Windows 7 has 2548 rows in all."""
    names = dict.fromkeys([*(each.replace("\\", "#").lower() for each in device_ids), *BELOW_CONTROLLERS])
    keys = (reading.subkey(database, name) for name in names)
    return tuple(_critical(reading, key) for key in keys if key)


def _critical(reading: Reading, key: Key) -> CriticalDevice:
    values = reading.values(key)
    return CriticalDevice(key.name, key.path, reading.plain(values.get("SERVICE")), reading.plain(values.get("CLASSGUID")))


def driver_matches(reading: Reading, database: Key | None, device_ids: Iterable[str]) -> tuple[DriverMatch, ...]:
    """For each id every INF that takes it, with the service that its active package names."""
    return tuple(match for device_id in device_ids for match in _matches(reading, database, device_id))


def _matches(reading: Reading, database: Key | None, device_id: str) -> Iterator[DriverMatch]:
    row = reading.subkey(database, f"DeviceIds\\{device_id}")
    for value in reading.values(row).values():
        if row is not None and value.name:
            yield DriverMatch(_id_of(row), value.name, _service(reading, database, value.name, device_id))


def _id_of(row: Key) -> str:
    """The id as the hive spells it: what follows DeviceIds in the row's path."""
    return row.path.split("\\", 2)[2]


def _service(reading: Reading, database: Key | None, inf: str, device_id: str) -> str | Missing:
    """The service of an INF's package for an id; what is missing on the way is said as it is."""
    package_name = _text(reading, reading.subkey(database, f"DriverInfFiles\\{inf}"), "ACTIVE")
    if isinstance(package_name, Missing):
        return package_name
    package = reading.subkey(database, f"DriverPackages\\{package_name}")
    configuration = _text(reading, reading.subkey(package, f"Descriptors\\{device_id}"), "CONFIGURATION")
    if isinstance(configuration, Missing):
        return configuration
    return _text(reading, reading.subkey(package, f"Configurations\\{configuration}"), "SERVICE")


def _text(reading: Reading, key: Key | None, name: str) -> str | Missing:
    return reading.text(reading.values(key).get(name)) if key else Missing.ABSENT
