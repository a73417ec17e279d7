# SPDX-License-Identifier: Apache-2.0
"""Rows lean on each other; a name that leads nowhere, or that would switch off what Windows needs, is found here.

Touches nothing. Gives (entry, field, problem) for what is wrong, in the order of the tables.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from unxen.knowledge.layout import Entry
from unxen.knowledge.tables import SettingAction

Problem = tuple[Entry, str, str]
Names = frozenset[str]


def cross_problems(entries: Sequence[Entry]) -> Iterator[Problem]:
    """Everything that is wrong between the rows of all tables."""
    for check in CHECKS:
        yield from check(entries)


def _families_exist(entries: Sequence[Entry]) -> Iterator[Problem]:
    known = _names(entries, "family", "id")
    for heading in ("xen_service", "xen_filter", "xen_device", "xen_setting"):
        for entry in _of(entries, heading):
            yield from _unknown(entry, "families", known, "is not the id of a family")


def _filters_are_services(entries: Sequence[Entry]) -> Iterator[Problem]:
    known = _names(entries, "xen_service", "name")
    for entry in _of(entries, "xen_filter"):
        yield from _unknown(entry, "name", known, "is not a service of the table xen_service")


def _requirements_are_known(entries: Sequence[Entry]) -> Iterator[Problem]:
    known = _windows(entries) | _names(entries, "critical_row", "service")
    for entry in _of(entries, "controller"):
        yield from _unknown(entry, "requires", known, "is not a service of any table")


def _classes_are_known(entries: Sequence[Entry]) -> Iterator[Problem]:
    known = _names(entries, "class", "guid")
    for heading in ("emulated", "critical_row", "stock_filter"):
        for entry in _of(entries, heading):
            yield from _unknown(entry, "class_guid", known, "is not a class of the table class")


def _neighbours_are_services(entries: Sequence[Entry]) -> Iterator[Problem]:
    """What a service is switched off beside is another service of Xen's, and the row says why."""
    known = _names(entries, "xen_service", "name")
    for entry in _of(entries, "xen_service"):
        yield from _unknown(entry, "off_beside", known, "is not a service of the table xen_service")
        if bool(_get(entry, "off_beside")) is not bool(_get(entry, "off_why")):
            yield entry, "off_why", "goes with off_beside"


def _windows_stays_on(entries: Sequence[Entry]) -> Iterator[Problem]:
    """No row may call a driver Xen's that Windows, or its disk on KVM, needs."""
    needed = _windows(entries)
    for entry in (*_of(entries, "xen_service"), *_of(entries, "xen_filter"), *_of(entries, "processor")):
        field = "service" if entry.table.heading == "processor" else "name"
        left_alone = entry.table.heading == "xen_service" and _get(entry, "start_after") is None
        if not left_alone and _get(entry, field).casefold() in needed:
            yield entry, field, f"{_get(entry, field)} is a driver that Windows needs on KVM"


def _only_xen_is_cleared(entries: Sequence[Entry]) -> Iterator[Problem]:
    """A cleared key lies below a Xen service, and is never the service itself: uninstallers look those up."""
    known = _names(entries, "xen_service", "name")
    for entry in _of(entries, "xen_setting"):
        parts = _get(entry, "key").split("\\")
        if _get(entry, "action") is not SettingAction.CLEAR:
            continue
        if parts[1].casefold() not in known:
            yield entry, "key", f"{parts[1]} is not a service of the table xen_service"
        elif _get(entry, "value") is None and len(parts) < 3:
            yield entry, "key", "is a service's own key, which is never deleted"


CHECKS: tuple[Callable[[Sequence[Entry]], Iterator[Problem]], ...] = (
    _families_exist,
    _filters_are_services,
    _neighbours_are_services,
    _requirements_are_known,
    _classes_are_known,
    _windows_stays_on,
    _only_xen_is_cleared,
)


def _of(entries: Sequence[Entry], heading: str) -> list[Entry]:
    return [entry for entry in entries if entry.table.heading == heading]


def _get(entry: Entry, field: str) -> Any:
    return getattr(entry.row, field)


def _names(entries: Sequence[Entry], heading: str, field: str) -> Names:
    return frozenset(name.casefold() for entry in _of(entries, heading) for name in _several(_get(entry, field)))


def _windows(entries: Sequence[Entry]) -> Names:
    """Services that a start on KVM may need."""
    controllers = _names(entries, "controller", "service")
    return controllers | _names(entries, "boot_service", "service") | _names(entries, "stock_filter", "names")


def _several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _unknown(entry: Entry, field: str, known: Names, problem: str) -> Iterator[Problem]:
    for name in _several(_get(entry, field)):
        if name.casefold() not in known:
            yield entry, field, f"{name} {problem}"
