# SPDX-License-Identifier: Apache-2.0
"""Overrides off: from Windows 8 on a StartOverride key, not Start, is what keeps a controller's driver from loading.

Sources: Azure's NVMe preparation scripts (the key deleted in every control set, on hundreds of machines from Server 2019 to
2025), win-xenbus 5bc6291 (the whole key must go, not only its value 0), hives of 8.1 and 10 (42 to 47 services hold one).
Windows writes it for every controller that was absent at a start. Only the chosen bus' controllers, and ACPI and PCI; never
vmbus, vpci or storvsc, which no emulated bus needs. Touches nothing.
"""

from collections.abc import Iterator

from unxen.knowledge.tables import BootRole
from unxen.model.edit import Edit
from unxen.model.ids import Bus, KeyPath
from unxen.plan.drivers import overridden
from unxen.plan.edits import Cause, delete_key
from unxen.plan.links.controller import needed_services
from unxen.plan.names import below, fold, from_8
from unxen.plan.view import View

RULE = "overrides"
WHY = "Windows switched this driver off at a start without its device, and the loader obeys that whatever Start says"
SOURCE = "Azure/SAP-on-Azure-Scripts-and-Utilities 56cd4f4; win-xenbus 5bc6291"
KEY = "StartOverride"


def edits(view: View, bus: Bus) -> list[Edit]:
    """One edit for every override of the services that the bus stands on."""
    return list(_edits(view, bus)) if from_8(view.windows.version) else []


def _edits(view: View, bus: Bus) -> Iterator[Edit]:
    needed = {*needed_services(view, bus), *_buses(view)}
    for name in dict.fromkeys((*_controllers(view, bus), *sorted(needed))):
        service = view.service(name)
        if service and service.overrides is not None:
            cause = Cause(RULE, WHY, SOURCE, name in needed and overridden(view, service))
            yield delete_key(view, KeyPath(below(service.key, KEY)), service.overrides, cause)


def _controllers(view: View, bus: Bus) -> list[str]:
    rows = [row for row in view.controllers if row.bus is bus]
    return [fold(name) for row in rows for name in (row.service, *row.requires)]


def _buses(view: View) -> list[str]:
    return [fold(row.service) for row in view.boot_services if row.role is BootRole.BUSES]
