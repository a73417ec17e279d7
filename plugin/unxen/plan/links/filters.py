# SPDX-License-Identifier: Apache-2.0
"""A device starts only when every filter named for it can be loaded: which lists lie on the way to the disk, and what they say.

Touches nothing. In the boot phase a filter that is missing, disabled or only started on demand fails its device (Microsoft's
article on stop error 7b; QubesOS issue 1078). Device lists count only where KVM shows the same device again.
"""

from unxen.model.ids import Bus
from unxen.model.judgement import Finding, FindingKind, LinkName, LinkState
from unxen.model.registry_facts import FilterList, FilterScope
from unxen.plan.bound_driver import emulated
from unxen.plan.drivers import driver_finding
from unxen.plan.filter_lists import Form, form, names
from unxen.plan.names import fold, until_7
from unxen.plan.stock_filters import gaps
from unxen.plan.view import View
from unxen.plan.xen import device_id_of, is_xen_filter, looks_like_xen

PCI_ROOTS = ("acpi\\pnp0a03", "acpi\\pnp0a08")
IDE_CHANNEL = "pciide\\idechannel"
# Disks as QEMU names them on every bus; a disk of another name is not there on KVM.
DISK_BUSES, DISK_NAMES = ("ide\\disk", "scsi\\disk"), ("qemu", "virtio", "red_hat")
VOLUMES = "storage\\volume"


def path_lists(view: View, bus: Bus, name: LinkName) -> tuple[FilterList, ...]:
    """The filter lists that decide about one link of the boot path."""
    on_path = {FilterScope.CLASS: _class_on_path, FilterScope.DEVICE: _device_on_path}
    return tuple(filters for filters in view.control_set.filters if on_path[filters.scope](view, bus, name, filters))


def list_findings(view: View, bus: Bus, name: LinkName) -> list[Finding]:
    """What the lists of one link say, list by list, name by name."""
    return [finding for filters in path_lists(view, bus, name) for finding in _list_findings(view, filters)]


def missing_filters(view: View, name: LinkName) -> list[Finding]:
    """The filters that Windows itself lists in the classes of a link and that are gone: damage by earlier mends."""
    linked = {fold(row.guid): row for row in view.knowledge.classes if name.value in row.links}
    found = ((linked[fold(gap.row.class_guid)], gap) for gap in gaps(view) if gap.row.vital and fold(gap.row.class_guid) in linked)
    return [
        Finding(FindingKind.FILTER_MISSING, LinkState.BROKEN, each, row.guid, (("class", row.name),))
        for row, gap in found
        for each in gap.names
    ]


def class_title(view: View, filters: FilterList) -> str:
    """The name of the class or the id of the device that a list hangs at."""
    if filters.scope is FilterScope.DEVICE:
        return device_id_of(filters)
    known = (row.name for row in view.knowledge.classes if fold(row.guid) == fold(filters.class_guid))
    return next(known, filters.class_guid)


def _class_on_path(view: View, bus: Bus, name: LinkName, filters: FilterList) -> bool:
    guid = fold(filters.class_guid)
    rows = [row for row in view.knowledge.classes if fold(row.guid) == guid and name.value in row.links]
    if name is not LinkName.CONTROLLER_FILTERS:
        return bool(rows)
    return any(fold(controller.class_guid) == guid for controller in emulated(view, bus))


def _device_on_path(view: View, bus: Bus, name: LinkName, filters: FilterList) -> bool:
    device = fold(device_id_of(filters))
    if name is LinkName.BUSES:
        return device in PCI_ROOTS
    if name is LinkName.CONTROLLER_FILTERS:
        return _is_channel(view, bus, device) or _is_controller(view, bus, device)
    if name is LinkName.DISK:
        return device == VOLUMES or (device.startswith(DISK_BUSES) and any(each in device for each in DISK_NAMES))
    return False


def _is_channel(view: View, bus: Bus, device: str) -> bool:
    """IDE has channels below its controller, and so has AHCI up to 7 (msahci); storahci has none."""
    return device == IDE_CHANNEL and (bus is Bus.IDE or (bus is Bus.SATA and until_7(view.windows.version)))


def _is_controller(view: View, bus: Bus, device: str) -> bool:
    ids = [fold(each) for controller in emulated(view, bus) for each in controller.ids]
    return any(device == each or device.startswith(f"{each}&") for each in ids if "&dev_" in each)


def _list_findings(view: View, filters: FilterList) -> list[Finding]:
    place = f"{filters.key}\\{filters.value_name}"
    if form(filters.value) is Form.ODD:
        cause = (("cause", f"type {filters.value.type}"),)
        return [Finding(FindingKind.FILTER_NOT_UNDERSTOOD, LinkState.BROKEN, place, filters.key, cause)]
    return [_name_finding(view, filters, name) for name in names(filters.value)]


def _name_finding(view: View, filters: FilterList, name: str) -> Finding:
    details = (("side", filters.side.value), ("class", class_title(view, filters)))
    if is_xen_filter(view, name):
        return Finding(FindingKind.FILTER_XEN, LinkState.BROKEN, name, filters.key, details)
    driver = driver_finding(view, name)
    if driver.state is LinkState.BROKEN:
        return Finding(FindingKind.FILTER_DANGLING, LinkState.BROKEN, name, filters.key, (*details, ("cause", driver.kind.value)))
    if looks_like_xen(view, name):
        place = f"{filters.key}\\{filters.value_name}"
        return Finding(FindingKind.FILTER_NOT_UNDERSTOOD, LinkState.BROKEN, place, filters.key, (("cause", name),))
    if driver.state is LinkState.UNKNOWN:
        return driver
    return Finding(FindingKind.FILTER_READY, LinkState.HOLDS, name, filters.key, details)
