# SPDX-License-Identifier: Apache-2.0
"""Which driver Windows will take for the controller that QEMU shows: a device it knows, else its tables, the most special id first.

Touches nothing. Up to 7 the table is the CriticalDeviceDatabase, from 8 on the DriverDatabase. What contradicts itself is kept:
every service that may be taken is in the answer, and all of them must be fit.
"""

from collections.abc import Iterator

from unxen.knowledge.tables import Controller, EmulatedController
from unxen.model.ids import Bus, MachineType, Missing
from unxen.model.record import dataclass
from unxen.model.registry_facts import DeviceFact
from unxen.plan.names import fold, from_8, until_7
from unxen.plan.view import View

OWN_PACKAGE = "oem"
DISABLED = 1


@dataclass(frozen=True)
class Match:
    """One row by which Windows takes `service` for a device; `service` None: an unknown one, of the INF `inf`."""

    service: str | None
    found: str
    inf: str = ""


@dataclass(frozen=True)
class BoundDriver:
    """What is known of the driver for one emulated controller.

    `device` is its id; `rows` the known drivers that take it, the most special first; `matches` what Windows' own tables say.
    `likely` is the driver to be thought of where they say nothing; `seen` whether there was any table; `disabled` the instances
    that somebody switched off.
    """

    device: str
    rows: tuple[Controller, ...]
    matches: tuple[Match, ...]
    likely: str | None
    seen: bool
    disabled: tuple[DeviceFact, ...]

    @property
    def services(self) -> tuple[str, ...]:
        """Services that Windows may take."""
        named = tuple(dict.fromkeys(match.service for match in self.matches if match.service))
        return named or ((self.likely,) if self.likely else ())

    @property
    def foreign(self) -> tuple[Match, ...]:
        """Matches that lead to a driver of which nothing is known, one for each; the one that names an INF tells more."""
        known = {fold(row.service) for row in self.rows}
        found = {fold(match.service or match.inf): match for match in self.matches}
        return tuple(match for name, match in found.items() if match.service is None or name not in known)

    def row(self, service: str) -> Controller | None:
        """What is known of that service as a driver for this device."""
        return next((row for row in self.rows if fold(row.service) == fold(service)), None)


def emulated(view: View, bus: Bus) -> tuple[EmulatedController, ...]:
    """The controllers that QEMU may show on this bus: those of the board, all of them when the board is not known or has none."""
    rows = tuple(row for row in view.knowledge.emulated if row.bus is bus)
    if view.board is MachineType.UNKNOWN:
        return rows
    return tuple(row for row in rows if view.board.value in fold(row.board)) or rows


def bound_driver(view: View, controller: EmulatedController) -> BoundDriver:
    """The driver that this control set has for one emulated controller."""
    ids = tuple(map(fold, controller.ids))
    nodes = tuple(device for device in view.control_set.devices if _same_device(fold(device.id), ids))
    rows = _rows(view, controller.bus, ids)
    known = tuple(Match(node.service, node.key) for node in nodes if node.service)
    return BoundDriver(
        device=controller.ids[0] if controller.ids else controller.bus.value,
        rows=rows,
        matches=known + _best(view, ids, rows),
        likely=_likely(view, rows),
        seen=_table_seen(view),
        disabled=tuple(node for node in nodes if isinstance(node.config_flags, int) and node.config_flags & DISABLED),
    )


def _same_device(device: str, ids: tuple[str, ...]) -> bool:
    """Whether an id below Enum, which holds subsystem and revision, is one of the controller's."""
    special = [each for each in ids if "&dev_" in each]
    return any(device == each or device.startswith(f"{each}&") for each in special)


def _rows(view: View, bus: Bus, ids: tuple[str, ...]) -> tuple[Controller, ...]:
    """Known drivers of the bus that take one of the ids, by how special that id is."""
    ranked = [(_rank(row, ids), row) for row in view.controllers if row.bus is bus]
    return tuple(row for rank, row in sorted(((rank, row) for rank, row in ranked if rank < len(ids)), key=lambda each: each[0]))


def _likely(view: View, rows: tuple[Controller, ...]) -> str | None:
    """The first known driver that is installed, else the first one."""
    installed = [row.service for row in rows if view.service(row.service)]
    return next(iter([*installed, *(row.service for row in rows)]), None)


def _rank(row: Controller, ids: tuple[str, ...]) -> int:
    own = set(map(fold, row.ids))
    return next((rank for rank, each in enumerate(ids) if each in own), len(ids))


def _best(view: View, ids: tuple[str, ...], rows: tuple[Controller, ...]) -> tuple[Match, ...]:
    """All matches of the most special id that has one."""
    for each in ids:
        if found := tuple(_matches(view, each, rows)):
            return found
    return ()


def _matches(view: View, device_id: str, rows: tuple[Controller, ...]) -> Iterator[Match]:
    if until_7(view.windows.version):
        key = device_id.replace("\\", "#")
        for row in view.control_set.critical_devices:
            if fold(row.id) == key and row.service:
                yield Match(row.service, row.key)
    if from_8(view.windows.version):
        for match in view.driver_matches:
            if fold(match.id) == device_id:
                yield Match(_service(match.service, match.inf, device_id, rows), match.inf, match.inf)


def _service(service: str | Missing, inf: str, device_id: str, rows: tuple[Controller, ...]) -> str | None:
    """The service that a package names; where the hive does not tell, the known one of that id and origin."""
    if isinstance(service, str) and service:
        return service
    inbox = not fold(inf).startswith(OWN_PACKAGE)
    fitting = (row for row in rows if row.inbox is inbox and device_id in map(fold, row.ids))
    return next((row.service for row in fitting), None)


def _table_seen(view: View) -> bool:
    version = view.windows.version
    old = until_7(version) and view.control_set.critical_devices_seen
    return old or (from_8(version) and view.driver_database_seen)
