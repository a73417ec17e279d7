# SPDX-License-Identifier: Apache-2.0
"""Reads the network settings of a SYSTEM hive with python-registry (Apache-2.0) and prints them as JSON, adapter by adapter.

Shares no code with the probe, and takes the keys as Microsoft describes them.
"""

import json
import sys

from Registry import Registry
from Registry.RegistryParse import ParseException

CLASS = "{4D36E972-E325-11CE-BFC1-08002BE10318}"
registry = Registry.Registry(sys.argv[1])
current = f"ControlSet{registry.open('Select').value('Default').value():03d}"


def values(path: str) -> dict[str, object]:
    try:
        found = registry.open(f"{current}\\{path}").values()
    except Registry.RegistryKeyNotFoundException:
        return {}
    rows = {}
    for each in found:
        try:
            rows[each.name().lower()] = each.value()
        except (ParseException, UnicodeDecodeError):
            rows[each.name().lower()] = each.raw_data()
    return rows


def texts(value: object) -> list[str]:
    rows = value if isinstance(value, list) else [value] if isinstance(value, str) else []
    return [each for each in rows if each not in ("", "0.0.0.0", "255.255.255.255")]


def servers(value: object) -> list[str]:
    return str(value or "").replace(",", " ").split()


def adapter(name: str, own: dict[str, object]) -> dict[str, object]:
    guid = own["netcfginstanceid"]
    ip = values(f"Services\\Tcpip\\Parameters\\Interfaces\\{guid}")
    raw = values(f"Control\\NetworkSetup2\\Interfaces\\{guid}\\Kernel").get("permanentaddress", b"")
    mac = ":".join(f"{byte:02x}" for byte in raw) if len(raw) == 6 and any(raw) else ""
    return {
        "instance": name,
        "guid": guid,
        "description": own.get("driverdesc", ""),
        "connection": values(f"Control\\Network\\{CLASS}\\{guid}\\Connection").get("name", ""),
        "characteristics": own.get("characteristics"),
        "dhcp": bool(ip["enabledhcp"]) if "enabledhcp" in ip else None,
        "addresses": texts(ip.get("ipaddress")),
        "masks": texts(ip.get("subnetmask")),
        "gateways": texts(ip.get("defaultgateway")),
        "dns": servers(ip.get("nameserver")),
        "suffix": ip.get("domain", ""),
        "lease": texts(ip.get("dhcpipaddress")),
        "lease_gateways": texts(ip.get("dhcpdefaultgateway")),
        "lease_dns": servers(ip.get("dhcpnameserver")),
        "server": next(iter(texts(ip.get("dhcpserver"))), ""),
        "mac": mac,
    }


rows = []
for key in registry.open(f"{current}\\Control\\Class\\{CLASS}").subkeys():
    if key.name().isdigit():
        own = values(f"Control\\Class\\{CLASS}\\{key.name()}")
        rows += [adapter(key.name(), own)] if "netcfginstanceid" in own else []
print(json.dumps(rows))
