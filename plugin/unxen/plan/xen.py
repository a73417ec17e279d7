# SPDX-License-Identifier: Apache-2.0
"""What is of Xen and what only looks like it: names alone prove nothing where they are generic.

Touches nothing. Whole names are compared, never substrings ("xen" is inside MaxEntries). Sources: the rows of the knowledge
tables.
"""

import re

from unxen.knowledge.tables import XenFilter, XenRole, XenService
from unxen.model.ids import ControlSetNumber
from unxen.model.judgement import XenFinding, XenPart
from unxen.model.registry_facts import DeviceFact, FilterList, ServiceFact
from unxen.plan.filter_lists import names
from unxen.plan.names import fold
from unxen.plan.view import View

# Start: 0 boot, 1 system, 2 automatic. A driver at any of them runs without a device asking for it.
STARTS_BY_ITSELF = (0, 1, 2)
# User-mode parts start late and cannot keep Windows from its disk.
USER_MODE = (XenRole.AGENT, XenRole.MONITOR)
LOOKS_LIKE_XEN = re.compile(r"(?<![a-z])xen")


def xen_service(view: View, name: str) -> XenService | None:
    """The row of this service, None when it is not of Xen or its name is generic and nothing proves it."""
    rows = view.xen_services.get(fold(name))
    if rows is None:
        return None
    return next((row for row in rows if _proven(view, row)), None)


def _proven(view: View, row: XenService) -> bool:
    if not row.proof:
        return True
    service = view.service(row.name)
    image = service.image_path if service else None
    return isinstance(image, str) and any(fold(part) in fold(image) for part in row.proof)


def dual_use(view: View, row: XenService) -> bool:
    """Whether the same driver also drives virtio, so that it must stay on."""
    return bool(row.families) and view.dual_use.issuperset(row.families)


def xen_filter(view: View, name: str) -> XenFilter | XenService | None:
    """The row that says that this entry of a filter list is Xen's.

    The article names services (xenvbd, xennet) that no driver package is known to list as filters: they count here too.
    """
    row = xen_service(view, name)
    own = row if row and row.start_after is not None and not dual_use(view, row) else None
    return view.xen_filters.get(fold(name)) or own


def is_xen_filter(view: View, name: str) -> bool:
    """Whether this entry of a filter list is Xen's."""
    return xen_filter(view, name) is not None


def looks_like_xen(view: View, name: str) -> bool:
    """Whether a name or its service's image path says Xen without being in the tables."""
    if fold(name) in view.xen_services or fold(name) in view.xen_filters:
        return False
    service = view.service(name)
    image = service.image_path if service else ""
    return any(LOOKS_LIKE_XEN.search(fold(text)) for text in (name, image) if isinstance(text, str))


def runs_at_boot(view: View, service: ServiceFact) -> bool:
    """Whether this is a Xen driver that starts by itself: evidence, where a service at 3 or 4 is only a trace."""
    if service.start not in STARTS_BY_ITSELF:
        return False
    row = xen_service(view, service.name)
    return not (row is None or row.start_after is None or row.role in USER_MODE or dual_use(view, row))


def device_id_of(filters: FilterList) -> str:
    r"""The id of the device that a device's list hangs at: `ACPI\PNP0A03` of `ControlSet001\Enum\ACPI\PNP0A03\0`."""
    return "\\".join(filters.key.split("\\")[2:4])


def on_xen_device(view: View, filters: FilterList) -> bool:
    """Whether a device's list hangs at a device that only Xen makes: no stack of KVM is ever built with it."""
    found = fold(device_id_of(filters))
    return any(found.startswith(fold(row.prefix)) for row in view.knowledge.xen_devices)


def xen_findings(view: View) -> tuple[XenFinding, ...]:
    """Everything that Xen drivers left in this control set."""
    return (*_services(view), *_filters(view), *_devices(view), *_settings(view))


def _services(view: View) -> list[XenFinding]:
    found = [(service, xen_service(view, service.name)) for service in view.control_set.services]
    return [_service(view, service, row) for service, row in found if row is not None]


def _service(view: View, service: ServiceFact, row: XenService) -> XenFinding:
    start = str(service.start) if isinstance(service.start, int) else service.start.value
    return XenFinding(
        XenPart.SERVICE, _number(view), service.name, service.key, row.families, runs_at_boot(view, service), (("start", start),)
    )


def _filters(view: View) -> list[XenFinding]:
    found = []
    for filters in view.control_set.filters:
        for name in names(filters.value):
            if row := xen_filter(view, name):
                evidence = not on_xen_device(view, filters)
                details = (("side", filters.side.value), ("class", filters.class_guid), ("scope", filters.scope.value))
                found.append(XenFinding(XenPart.FILTER, _number(view), name, filters.key, row.families, evidence, details))
    return found


def _devices(view: View) -> list[XenFinding]:
    found = []
    for device in view.control_set.devices:
        for row in view.knowledge.xen_devices:
            if fold(device.id).startswith(fold(row.prefix)):
                found.append(_device(view, device, row.families))
                break
    return found


def _device(view: View, device: DeviceFact, families: tuple[str, ...]) -> XenFinding:
    return XenFinding(XenPart.DEVICE, _number(view), device.id, device.key, families, False, (("service", device.service),))


def _settings(view: View) -> list[XenFinding]:
    found = []
    for row in view.knowledge.xen_settings:
        for leftover in view.control_set.leftovers:
            if fold(leftover.key) == fold(f"{view.root}\\{row.key}"):
                details = (("value", row.value or ""), ("action", row.action.value))
                found.append(XenFinding(XenPart.SETTING, _number(view), row.key, leftover.key, row.families, False, details))
    return found


def _number(view: View) -> ControlSetNumber:
    return view.control_set.number
