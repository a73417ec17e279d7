# SPDX-License-Identifier: Apache-2.0
r"""Where a Windows keeps what was set on its network, by adapter: class, connection, TCP/IP, and the places of MAC addresses.

Touches the hive it is given. What is longer than such a thing can be is as if it were not there, and its path is among the unread.
Sources: Microsoft, TCP/IP parameters (`Tcpip\Parameters\Interfaces`) and INF AddReg of network adapters (Characteristics,
NetCfgInstanceId); xenvif's coinst.c (`Services\xenvif\Addresses`); the hives of 10 and later (NetworkSetup2).
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from unxen.model.ids import ControlSetNumber, KeyPath, Missing
from unxen.model.network_facts import (
    LONGEST_ADDRESS,
    LONGEST_NAME,
    MOST_ADAPTERS,
    MOST_ENTRIES,
    AdapterFacts,
    AddressFacts,
    MacSource,
    NetworkFacts,
)
from unxen.model.record import dataclass
from unxen.model.registry_facts import DeviceFact
from unxen.probe.devices import NET
from unxen.probe.reading import Reading, Values
from unxen.registry.hive import Key, Value
from unxen.registry.names import fold

INSTANCE = re.compile(r"[0-9]{4}", re.ASCII)
MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}", re.ASCII | re.IGNORECASE)
BETWEEN_SERVERS = re.compile(r"[ ,;]+")
NOTHING = ("0.0.0.0", "255.255.255.255")
NO_MAC = bytes(6)
BINARY = 3


def read_network(reading: Reading, control_set: Key, number: ControlSetNumber, devices: Sequence[DeviceFact]) -> NetworkFacts:
    """The network of one control set; `devices` are those of its Enum that the look has kept."""
    return NetworkFacts(number, tuple(_Network.of(reading, control_set, devices).adapters()))


@dataclass(frozen=True)
class _Network:
    """The places of one control set, opened once. `interfaces` and `devices` are by folded name, `kernels` is NetworkSetup2."""

    reading: Reading
    network_class: Key | None
    connections: Key | None
    interfaces: Mapping[str, Key]
    interfaces6: Key | None
    kernels: Key | None
    xen_addresses: Values
    enum: Key | None
    devices: Mapping[str, DeviceFact]

    @classmethod
    def of(cls, reading: Reading, root: Key, devices: Sequence[DeviceFact]) -> "_Network":
        interfaces = reading.subkeys(reading.subkey(root, r"Services\Tcpip\Parameters\Interfaces"))
        return cls(
            reading=reading,
            network_class=reading.subkey(root, rf"Control\Class\{NET}"),
            connections=reading.subkey(root, rf"Control\Network\{NET}"),
            interfaces={fold(each.name): each for each in interfaces[:MOST_ADAPTERS]},
            interfaces6=reading.subkey(root, r"Services\Tcpip6\Parameters\Interfaces"),
            kernels=reading.subkey(root, r"Control\NetworkSetup2\Interfaces"),
            xen_addresses=reading.values(reading.subkey(root, r"Services\xenvif\Addresses")),
            enum=reading.subkey(root, "Enum"),
            devices={fold(each.driver): each for each in devices if each.driver},
        )

    def adapters(self) -> Iterator[AdapterFacts]:
        """Every adapter of the class, and every interface with settings that none of them has."""
        instances = [each for each in self.reading.subkeys(self.network_class) if INSTANCE.fullmatch(each.name)]
        claimed = set()
        for key in instances[:MOST_ADAPTERS]:
            adapter = self._adapter(key)
            claimed.add(fold(adapter.guid))
            if adapter.guid or adapter.device:
                yield adapter
        for name, key in self.interfaces.items():
            if name not in claimed and (left := self._left(key)):
                yield left

    def _adapter(self, key: Key) -> AdapterFacts:
        values = self.reading.values(key)
        device = self.devices.get(fold(f"{NET}\\{key.name}"))
        return self._facts(
            key.name, key.path, self._name(values.get("NETCFGINSTANCEID")), values, device, *self._mac(values, device)
        )

    def _left(self, key: Key) -> AdapterFacts | None:
        """An interface whose adapter is gone, if anything was set on it: every Windows has some of its own."""
        found = self._facts("", key.path, key.name, {}, None, Missing.ABSENT, None)
        return found if found.fixed.addresses or found.fixed.dns else None

    def _facts(
        self,
        instance: str,
        path: KeyPath,
        guid: str,
        values: Values,
        device: DeviceFact | None,
        mac: str | Missing,
        source: MacSource | None,
    ) -> AdapterFacts:
        settings = self.reading.values(self.interfaces.get(fold(guid)))
        connection = self.reading.values(self._below(self.connections, guid, "Connection"))
        return AdapterFacts(
            instance=instance,
            key=path,
            guid=guid,
            description=self._name(values.get("DRIVERDESC")),
            device=device.id[:LONGEST_NAME] if device else "",
            device_instance=device.instance[:LONGEST_NAME] if device else "",
            service=device.service[:LONGEST_NAME] if device else "",
            connection=self._name(connection.get("NAME")),
            characteristics=self.reading.number(values.get("CHARACTERISTICS")),
            dhcp=self._dhcp(settings),
            fixed=self._fixed(settings),
            lease=self._lease(settings),
            dns6=self._servers(self.reading.values(self._below(self.interfaces6, guid)).get("NAMESERVER")),
            mac=mac,
            mac_source=source,
            own_mac=self._name(values.get("NETWORKADDRESS")),
        )

    def _dhcp(self, settings: Values) -> bool | Missing:
        found = self.reading.number(settings.get("ENABLEDHCP"))
        return found if isinstance(found, Missing) else found != 0

    def _fixed(self, settings: Values) -> AddressFacts:
        return AddressFacts(
            addresses=self._addresses(settings.get("IPADDRESS")),
            masks=self._addresses(settings.get("SUBNETMASK")),
            gateways=self._addresses(settings.get("DEFAULTGATEWAY")),
            dns=self._servers(settings.get("NAMESERVER")),
            suffix=self._name(settings.get("DOMAIN")),
        )

    def _lease(self, settings: Values) -> AddressFacts:
        return AddressFacts(
            addresses=self._addresses(settings.get("DHCPIPADDRESS")),
            masks=self._addresses(settings.get("DHCPSUBNETMASK")),
            gateways=self._addresses(settings.get("DHCPDEFAULTGATEWAY")),
            dns=self._servers(settings.get("DHCPNAMESERVER")),
            suffix=self._name(settings.get("DHCPDOMAIN")),
            server=next(iter(self._addresses(settings.get("DHCPSERVER"))), ""),
        )

    def _mac(self, values: Values, device: DeviceFact | None) -> tuple[str | Missing, MacSource | None]:
        """The permanent MAC address and where it stands."""
        guid = self._name(values.get("NETCFGINSTANCEID"))
        kernel = self.reading.values(self._below(self.kernels, guid, "Kernel"))
        raw = self.reading.raw(kernel.get("PERMANENTADDRESS"))
        if raw is not None and raw.type == BINARY and len(raw.data) == len(NO_MAC) and raw.data != NO_MAC:
            return raw.data.hex(":"), MacSource.NETWORK_SETUP
        text = self._name(self.xen_addresses.get(fold(self._location(device)))) if device and self.xen_addresses else ""
        if MAC.fullmatch(text):
            return text.lower().replace("-", ":"), MacSource.XENVIF
        return Missing.ABSENT, None

    def _location(self, device: DeviceFact) -> str:
        """Where the device says it is: to xenvif the number of the interface."""
        node = self._below(self.enum, device.id, device.instance)
        return self._name(self.reading.values(node).get("LOCATIONINFORMATION"))

    def _below(self, key: Key | None, *names: str) -> Key | None:
        path = "\\".join(names)
        return self.reading.subkey(key, path) if all(names) else None

    def _name(self, value: Value | None) -> str:
        """The text, or the first one of a list."""
        return next(iter(self._bounded(value, self.reading.strings(value), LONGEST_NAME)), "")

    def _addresses(self, value: Value | None) -> tuple[str, ...]:
        """A list of addresses without those that mean none."""
        found = self._bounded(value, self.reading.strings(value), LONGEST_ADDRESS)
        return tuple(each.strip() for each in found if each.strip() and each.strip() not in NOTHING)

    def _servers(self, value: Value | None) -> tuple[str, ...]:
        """DNS servers stand in one text, with blanks or commas between."""
        found = [each for text in self.reading.strings(value) for each in BETWEEN_SERVERS.split(text) if each]
        return self._bounded(value, found, LONGEST_ADDRESS)

    def _bounded(self, value: Value | None, texts: Sequence[str], longest: int) -> tuple[str, ...]:
        kept = tuple(each for each in texts[:MOST_ENTRIES] if len(each) <= longest)
        if value is not None and len(kept) != len(texts):
            self.reading.too_large(value)
        return kept
