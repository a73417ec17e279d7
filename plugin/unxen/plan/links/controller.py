# SPDX-License-Identifier: Apache-2.0
"""The controller is where moves between hypervisors break: a driver for it must be installed, found, and loaded at boot.

Touches nothing. Found means a device that Windows knows already, or a row of its driver tables; builds from 20348 start without
the row too (Azure's NVMe scripts), so there a missing row is unknown, not broken.
"""

from collections.abc import Iterator

from unxen.knowledge.tables import NtVersion
from unxen.model.ids import Bus
from unxen.model.judgement import Finding, FindingKind, Link, LinkName, LinkState
from unxen.plan.bound_driver import BoundDriver, bound_driver, emulated
from unxen.plan.drivers import driver_finding
from unxen.plan.links.filters import list_findings
from unxen.plan.links.state import link
from unxen.plan.names import fold
from unxen.plan.restrictions import forbids_installation
from unxen.plan.view import View

ROW_NOT_NEEDED_FROM: NtVersion = (10, 0, 20348)


def controller_link(view: View, bus: Bus) -> Link:
    """Whether Windows would have a driver for the controller of this bus when it needs one."""
    controllers = emulated(view, bus)
    findings = [finding for each in controllers for finding in _findings(view, bus, bound_driver(view, each))]
    nothing = [Finding(FindingKind.NO_INBOX_DRIVER, LinkState.BROKEN, bus.value)]
    return link(LinkName.CONTROLLER, dict.fromkeys(findings or nothing))


def controller_filters_link(view: View, bus: Bus) -> Link:
    """Whether every filter of the controller can be loaded, and none is Xen's."""
    return link(LinkName.CONTROLLER_FILTERS, list_findings(view, bus, LinkName.CONTROLLER_FILTERS))


def needed_services(view: View, bus: Bus) -> tuple[str, ...]:
    """The services that this bus stands on in this control set: the known ones that Windows takes, and what they require."""
    names: dict[str, None] = {}
    for each in emulated(view, bus):
        bound = bound_driver(view, each)
        for service in bound.services:
            if row := bound.row(service):
                names |= dict.fromkeys(map(fold, (service, *row.requires)))
    return tuple(names)


def _findings(view: View, bus: Bus, bound: BoundDriver) -> Iterator[Finding]:
    for match in bound.foreign:
        details = (("device", bound.device), ("inf", match.inf))
        yield Finding(FindingKind.THIRD_PARTY_BOUND, LinkState.BROKEN, match.service or match.inf, match.found, details)
    for device in bound.disabled:
        yield Finding(FindingKind.DEVICE_DISABLED, LinkState.BROKEN, device.id, device.key)
    if not bound.rows:
        yield Finding(FindingKind.NO_INBOX_DRIVER, LinkState.BROKEN, bus.value, details=(("device", bound.device),))
        return
    yield from _services(view, bound)
    yield _match_finding(view, bound)
    yield from _restriction(view, bound)


def _services(view: View, bound: BoundDriver) -> Iterator[Finding]:
    """The drivers, and the files and services that they need beside them."""
    for service in bound.services:
        row = bound.row(service)
        if row is None:
            continue
        yield from (driver_finding(view, name) for name in (service, *row.requires))
        absent = [each for each in view.driver_files if each.seen is False and fold(each.name) in map(fold, row.files)]
        yield from (Finding(FindingKind.FILE_ABSENT, LinkState.BROKEN, service, details=(("file", each.name),)) for each in absent)


def _match_finding(view: View, bound: BoundDriver) -> Finding:
    if bound.matches:
        details = (("found", bound.matches[0].found),)
        return Finding(FindingKind.ID_MATCHED, LinkState.HOLDS, bound.device, bound.matches[0].found, details)
    if not bound.seen:
        return Finding(FindingKind.ID_UNKNOWN, LinkState.UNKNOWN, bound.device)
    version = view.windows.version
    unsure = version >= ROW_NOT_NEEDED_FROM or version[0] == 0 or (version[0] == 10 and version[2] == 0)
    return Finding(FindingKind.ID_UNMATCHED, LinkState.UNKNOWN if unsure else LinkState.BROKEN, bound.device)


def _restriction(view: View, bound: BoundDriver) -> Iterator[Finding]:
    """A policy forbids new devices only; a device that Windows knows already keeps its driver."""
    known = any(match.found.startswith(view.root) and "\\Enum\\" in match.found for match in bound.matches)
    if not known and (policy := forbids_installation(view, bound.device)):
        yield Finding(FindingKind.INSTALLATION_RESTRICTED, LinkState.BROKEN, policy, details=(("device", bound.device),))
