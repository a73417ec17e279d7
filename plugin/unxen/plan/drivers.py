# SPDX-License-Identifier: Apache-2.0
"""Whether one driver can be loaded before any disk is readable: the question that every link of the boot path asks.

Touches nothing. The loader takes a driver along when its service has Start 0, its file is there, and no StartOverride says
otherwise (facts: condition 1 and 2 of the boot; Azure's NVMe scripts for the override).
"""

from unxen.model.ids import Missing
from unxen.model.judgement import Finding, FindingKind, LinkState
from unxen.model.reason import Details
from unxen.model.registry_facts import KeyTree, ServiceFact
from unxen.plan.names import from_8
from unxen.plan.view import View

BOOT = 0
ZERO = bytes(4)


def driver_finding(view: View, name: str) -> Finding:
    """The first thing that keeps this driver from being loaded at boot, or that it is ready."""
    service = view.service(name)
    if service is None:
        return Finding(FindingKind.SERVICE_ABSENT, LinkState.BROKEN, name, f"{view.root}\\Services\\{name}")
    return (
        _file_finding(service, absent_only=True)
        or _start_finding(service)
        or _override_finding(view, service)
        or _file_finding(service, absent_only=False)
        or _found(FindingKind.DRIVER_READY, LinkState.HOLDS, service)
    )


def ready(view: View, name: str) -> bool:
    """Whether nothing is known that keeps this driver from being loaded at boot."""
    return driver_finding(view, name).state is not LinkState.BROKEN


def file_is_there(service: ServiceFact) -> bool:
    """Whether the driver's file was seen; unknown is no."""
    return service.file_seen is True


def countering(overrides: KeyTree | None) -> tuple[str, ...]:
    """The values of a StartOverride key that keep the driver from loading: all but those that say 0, whatever their number."""
    if overrides is None:
        return ()
    return tuple(each.name for each in overrides.values if each.value.data[:4] != ZERO)


def overridden(view: View, service: ServiceFact) -> bool:
    """Whether this Windows obeys a StartOverride that keeps the driver from loading (8 and later)."""
    return from_8(view.windows.version) and bool(countering(service.overrides))


def _file_finding(service: ServiceFact, *, absent_only: bool) -> Finding | None:
    file = service.file if isinstance(service.file, str) else ""
    if service.file_seen is False:
        return _found(FindingKind.FILE_ABSENT, LinkState.BROKEN, service, (("file", file),))
    if isinstance(service.file_seen, Missing) and not absent_only:
        return _found(FindingKind.FILE_UNKNOWN, LinkState.UNKNOWN, service, (("file", file),))
    return None


def _start_finding(service: ServiceFact) -> Finding | None:
    if service.start is Missing.UNREADABLE:
        return _found(FindingKind.START_UNREADABLE, LinkState.BROKEN, service)
    if service.start != BOOT:
        start = str(service.start) if isinstance(service.start, int) else service.start.value
        return _found(FindingKind.NOT_BOOT_START, LinkState.BROKEN, service, (("start", start),))
    return None


def _override_finding(view: View, service: ServiceFact) -> Finding | None:
    if not overridden(view, service):
        return None
    numbers = ", ".join(countering(service.overrides))
    return _found(FindingKind.OVERRIDDEN, LinkState.BROKEN, service, (("overrides", numbers),))


def _found(kind: FindingKind, state: LinkState, service: ServiceFact, details: Details = ()) -> Finding:
    return Finding(kind, state, service.name, service.key, details)
