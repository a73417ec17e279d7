# SPDX-License-Identifier: Apache-2.0
"""One control set beside all that judging it needs, indexed once, so that links and rules only ask.

Touches nothing. A view is a value; `with_control_set` gives the same surroundings around changed facts.
"""

from collections.abc import Mapping
from functools import cached_property

from unxen.knowledge.tables import BootService, Controller, Knowledge, StockFilter, XenFilter, XenService
from unxen.model.fix import Fixes
from unxen.model.ids import InstallationId, KeyPath, MachineType
from unxen.model.judgement import Link
from unxen.model.record import dataclass, replace
from unxen.model.registry_facts import ControlSetFacts, DriverFile, DriverMatch, ServiceFact, WindowsFacts
from unxen.plan.names import fold, in_range


@dataclass(frozen=True)
class View:
    """What rules and links see: a control set, the Windows it belongs to, the tables, and the board it is to run on."""

    installation: InstallationId
    windows: WindowsFacts
    control_set: ControlSetFacts
    driver_matches: tuple[DriverMatch, ...]
    driver_database_seen: bool
    driver_files: tuple[DriverFile, ...]
    knowledge: Knowledge
    board: MachineType
    firmware: Link
    fixes: Fixes

    def with_control_set(self, control_set: ControlSetFacts) -> "View":
        """The same surroundings around other facts."""
        return replace(self, control_set=control_set)

    @cached_property
    def services(self) -> Mapping[str, ServiceFact]:
        """Services by folded name."""
        return {fold(service.name): service for service in self.control_set.services}

    @cached_property
    def controllers(self) -> tuple[Controller, ...]:
        """The rows of storage drivers that this Windows may have."""
        version = self.windows.version
        return tuple(row for row in self.knowledge.controllers if in_range(version, row.nt_from, row.nt_to))

    @cached_property
    def boot_services(self) -> tuple[BootService, ...]:
        """The rows of services that every start of this Windows needs."""
        version = self.windows.version
        return tuple(row for row in self.knowledge.boot_services if in_range(version, row.nt_from, row.nt_to))

    @cached_property
    def stock_filters(self) -> tuple[StockFilter, ...]:
        """The rows of filters that this very version lists; none while it is not known."""
        version = self.windows.version
        return tuple(row for row in self.knowledge.stock_filters if row.nt_from <= version <= row.nt_to)

    @cached_property
    def xen_services(self) -> Mapping[str, tuple[XenService, ...]]:
        """Rows of Xen services by folded name; a name may stand in several rows with different proofs."""
        rows: dict[str, tuple[XenService, ...]] = {}
        for row in self.knowledge.xen_services:
            rows[fold(row.name)] = (*rows.get(fold(row.name), ()), row)
        return rows

    @cached_property
    def xen_filters(self) -> Mapping[str, XenFilter]:
        """Rows of Xen filters by folded name."""
        return {fold(row.name): row for row in self.knowledge.xen_filters}

    @cached_property
    def dual_use(self) -> frozenset[str]:
        """Ids of families whose drivers also drive virtio."""
        return frozenset(row.id for row in self.knowledge.families if row.dual_use)

    @property
    def root(self) -> KeyPath:
        """The control set's own key."""
        return KeyPath(f"ControlSet{self.control_set.number:03d}")

    def service(self, name: str) -> ServiceFact | None:
        """The service of that name, or None."""
        return self.services.get(fold(name))
