# SPDX-License-Identifier: Apache-2.0
"""One installation with everything that its verdict is made of: control sets, what is left of Xen, and the prospects of each bus.

Touches nothing. Only installations whose hive could be read are examined.
"""

from collections.abc import Mapping
from functools import cached_property

from unxen.knowledge.tables import Knowledge
from unxen.model.edit import Edit
from unxen.model.facts import GuestFacts, Installation
from unxen.model.fix import NO_FIXES, Fixes
from unxen.model.guest import Machine
from unxen.model.ids import Bus, DiskNumber
from unxen.model.judgement import Link, XenFinding
from unxen.model.record import dataclass
from unxen.model.registry_facts import ControlSetFacts, SystemFacts, WindowsFacts
from unxen.plan.kvm import kvm_trace
from unxen.plan.links.firmware import firmware_link
from unxen.plan.prospect import Prospect, asked_edits, prospect, required_edits
from unxen.plan.view import View
from unxen.plan.xen import xen_findings

JUDGED_BUSES = (
    Bus.SATA,
    Bus.IDE,
    Bus.VIRTIO_SCSI,
    Bus.VIRTIO_BLK,
    Bus.SCSI_LSI,
    Bus.SCSI_MPTSAS,
    Bus.SCSI_MEGASAS,
    Bus.NVME,
)


@dataclass(frozen=True)
class Examined:
    """An installation seen with the tables. `views` are its control sets, the one that Windows starts with first.

    `data_disks` are the guest's other disks that hold anything.
    """

    installation: Installation
    system: SystemFacts
    windows: WindowsFacts
    views: tuple[View, ...]
    machine: Machine
    data_disks: tuple[DiskNumber, ...] = ()

    @property
    def deciding(self) -> View:
        """The control set that the next start takes."""
        return self.views[0]

    @cached_property
    def xen(self) -> tuple[XenFinding, ...]:
        """What Xen drivers left in any control set."""
        return tuple(finding for view in sorted(self.views, key=_number) for finding in xen_findings(view))

    @property
    def evidence(self) -> bool:
        """Whether Xen drivers are active, or the machine's definition still speaks of Xen."""
        return bool(self.machine.xen_leftovers) or any(finding.evidence for finding in self.xen)

    @cached_property
    def kvm_trace(self) -> str:
        """What says that this Windows has run on KVM since; empty when nothing does."""
        return kvm_trace(self.system, self.deciding)

    @cached_property
    def prospects(self) -> Mapping[Bus, Prospect]:
        """The prospect of every bus, for the control set that the next start takes."""
        return {bus: prospect(self.deciding, bus) for bus in JUDGED_BUSES}

    def edits(self, bus: Bus) -> tuple[Edit, ...]:
        """The edits of all control sets for one bus, each set judged by itself, in the order of their numbers."""
        return tuple(edit for view in sorted(self.views, key=_number) for edit in required_edits(view, bus))

    def asked_edits(self) -> tuple[Edit, ...]:
        """What was asked for by name, in all control sets."""
        return tuple(edit for view in sorted(self.views, key=_number) for edit in asked_edits(view))


def examine(
    facts: GuestFacts, installation: Installation, machine: Machine, knowledge: Knowledge, fixes: Fixes = NO_FIXES
) -> Examined | None:
    """The installation made ready for judging; None where there is no hive or no control set to judge."""
    system, windows = installation.system, installation.windows
    if system is None or windows is None or not system.control_sets:
        return None
    firmware = firmware_link(facts, installation, machine)
    sets = sorted(system.control_sets, key=lambda each: (each is not system.deciding, each.number))
    views = tuple(_view(installation, system, windows, each, knowledge, machine, firmware, fixes) for each in sets)
    return Examined(installation, system, windows, views, machine, _data_disks(facts))


def _data_disks(facts: GuestFacts) -> tuple[DiskNumber, ...]:
    """Disks with something on them, but no Windows."""
    systems = {each.disk for each in facts.installations}
    return tuple(disk.number for disk in facts.disks if disk.partitions and disk.number not in systems)


def _view(
    installation: Installation,
    system: SystemFacts,
    windows: WindowsFacts,
    control_set: ControlSetFacts,
    knowledge: Knowledge,
    machine: Machine,
    firmware: Link,
    fixes: Fixes,
) -> View:
    return View(
        installation=installation.id,
        windows=windows,
        control_set=control_set,
        driver_matches=system.driver_matches,
        driver_database_seen=system.driver_database_seen,
        driver_files=system.driver_files,
        knowledge=knowledge,
        board=machine.board,
        firmware=firmware,
        fixes=fixes,
    )


def _number(view: View) -> int:
    return view.control_set.number
