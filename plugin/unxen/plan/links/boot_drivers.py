# SPDX-License-Identifier: Apache-2.0
"""ACPI, PCI, disk and volume drivers: Windows starts them at boot by itself, so they are judged here and never switched on.

Touches nothing. Two links: the buses (services, the class of the buses, the PCI root) and disk with volume.
"""

from unxen.knowledge.tables import BootRole
from unxen.model.ids import Bus
from unxen.model.judgement import Finding, Link, LinkName
from unxen.plan.drivers import driver_finding
from unxen.plan.links.filters import list_findings, missing_filters
from unxen.plan.links.state import link
from unxen.plan.view import View


def buses_link(view: View, bus: Bus) -> Link:
    """Whether Windows gets to see any device at all."""
    return link(LinkName.BUSES, (*_services(view, BootRole.BUSES), *list_findings(view, bus, LinkName.BUSES)))


def disk_link(view: View, bus: Bus) -> Link:
    """Whether disk and volume come up once the controller works."""
    filters = (*list_findings(view, bus, LinkName.DISK), *missing_filters(view, LinkName.DISK))
    return link(LinkName.DISK, (*_services(view, BootRole.DISK), *filters))


def _services(view: View, role: BootRole) -> list[Finding]:
    rows = [row for row in view.boot_services if row.role is role]
    return [driver_finding(view, row.service) for row in rows if row.required or view.service(row.service)]
