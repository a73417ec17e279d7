# SPDX-License-Identifier: Apache-2.0
"""A hive holds one to a handful of control sets, each a whole configuration that Windows may start with; each is read by itself.

Touches the hive it is given, and asks for directory entries through the reader of services.
"""

import re
from collections.abc import Iterator

from unxen.model.ids import ControlSetNumber
from unxen.model.record import dataclass
from unxen.model.registry_facts import ControlSetFacts, FilterList, Leftover, SelectFacts
from unxen.probe.devices import read_devices
from unxen.probe.driver_database import critical_devices
from unxen.probe.filters import class_filters
from unxen.probe.first_start import read_first_start
from unxen.probe.reading import Reading
from unxen.probe.services import ServiceReader
from unxen.probe.wanted import Wanted
from unxen.registry.hive import Key, Value

NAME = re.compile(r"controlset([0-9]{3})", re.IGNORECASE | re.ASCII)
# Ten were never seen; a thousand in a forged hive would each be read.
MOST_SETS = 32
SESSION_MANAGER = r"Control\Session Manager"
RESTRICTIONS = r"Policies\Microsoft\Windows\DeviceInstall\Restrictions"


@dataclass(frozen=True)
class ControlSetReader:
    """How the control sets of one hive are read."""

    reading: Reading
    services: ServiceReader
    wanted: Wanted

    def read(self) -> tuple[ControlSetFacts, ...]:
        """Every ControlSetNNN below the root, by number; 000 is none that Windows would take."""
        found = ((int(match[1]), key) for key, match in self._named() if int(match[1]))
        rows = sorted(found, key=lambda row: row[0])[:MOST_SETS]
        return tuple(self._facts(ControlSetNumber(number), key) for number, key in rows)

    def _named(self) -> Iterator[tuple[Key, re.Match[str]]]:
        for key in self.reading.subkeys(self.reading.hive.root):
            if match := NAME.fullmatch(key.name):
                yield key, match

    def _facts(self, number: ControlSetNumber, key: Key) -> ControlSetFacts:
        reading = self.reading
        devices, device_lists = read_devices(reading, reading.subkey(key, "Enum"), self.wanted.device_prefixes)
        lists = (*class_filters(reading, reading.subkey(key, r"Control\Class")), *device_lists)
        critical = reading.subkey(key, r"Control\CriticalDeviceDatabase")
        return ControlSetFacts(
            number=number,
            services=self.services.read(reading.subkey(key, "Services"), _names(lists)),
            filters=lists,
            devices=devices,
            critical_devices=critical_devices(reading, critical, self.wanted.device_ids),
            critical_devices_seen=critical is not None,
            restrictions=tuple(self._restrictions(key)),
            leftovers=tuple(self._leftovers(key)),
            boot_execute=reading.strings(reading.values(reading.subkey(key, SESSION_MANAGER)).get("BOOTEXECUTE")),
            first_start=read_first_start(reading, key),
        )

    def _leftovers(self, key: Key) -> Iterator[Leftover]:
        """Every key that was asked for and is there, with all its content."""
        for path in self.wanted.settings:
            found = self.reading.subkey(key, path)
            tree = self.reading.tree(found) if found else None
            if found is not None:
                yield Leftover(found.path, None, None, tree)

    def _restrictions(self, key: Key) -> Iterator[str]:
        r"""The policy's values as `KEY\NAME=DATA`, from the set's own Policies and from the copy at the root (`Software`)."""
        for found in (self.reading.subkey(key, RESTRICTIONS), self.reading.key(f"Software\\{RESTRICTIONS}")):
            for place in (found, *self.reading.subkeys(found)):
                for value in self.reading.values(place).values():
                    yield f"{value.key.path}\\{value.name}={self._shown(value)}"

    def _shown(self, value: Value) -> str:
        number = self.reading.number(value)
        return str(number) if isinstance(number, int) else self.reading.plain(value)


def _names(lists: tuple[FilterList, ...]) -> frozenset[str]:
    """The services that filter lists name, lower-cased."""
    return frozenset(name.lower() for each in lists for name in each.names)


def read_select(reading: Reading) -> SelectFacts:
    """The numbers below Select."""
    values = reading.values(reading.key("Select"))
    current, default, failed, good = (values.get(name) for name in ("CURRENT", "DEFAULT", "FAILED", "LASTKNOWNGOOD"))
    return SelectFacts(reading.number(current), reading.number(default), reading.number(failed), reading.number(good))
