# SPDX-License-Identifier: Apache-2.0
"""Which bus a guest shall start from: its own when that can work, else the first that the platform offers and Windows takes.

Touches nothing. A `xen` bus never wins. All installations of a guest share their disks' bus, so it must suit every one of them.
"""

from collections.abc import Sequence

from unxen.model.guest import Machine
from unxen.model.ids import Bus, MachineType
from unxen.plan.examined import Examined

NOT_ON_KVM = (Bus.XEN, Bus.UNKNOWN)


def offered(bus: Bus, machine: Machine) -> bool:
    """Whether this machine can have the bus at all. A q35 board has no IDE: what is called so there is AHCI."""
    return bus not in NOT_ON_KVM and not (bus is Bus.IDE and machine.board is MachineType.Q35)


def candidates(machine: Machine, preference: Sequence[Bus]) -> tuple[Bus, ...]:
    """The buses to be tried, in order; the present one last too, for when it needs more than switching services."""
    wanted = [bus for bus in preference if bus in machine.offered]
    return tuple(dict.fromkeys(bus for bus in (*wanted, machine.bus) if offered(bus, machine)))


def choose_bus(guest: Sequence[Examined], machine: Machine, preference: Sequence[Bus]) -> Bus | None:
    """The bus on which every installation would start after its edits, or None."""
    present = [machine.bus] if offered(machine.bus, machine) else []
    simple = [bus for bus in present if not any(each.prospects[bus].creates for each in guest)]
    every = (*simple, *candidates(machine, preference))
    return next((bus for bus in every if all(each.prospects[bus].possible for each in guest)), None)


def natural_bus(guest: Sequence[Examined], machine: Machine, preference: Sequence[Bus]) -> Bus:
    """The bus to be named for a guest that is left alone: its own, else the first from which it would start as it is."""
    if machine.bus is not Bus.UNKNOWN:
        return machine.bus
    whole = (bus for bus in candidates(machine, preference) if all(each.prospects[bus].chain.whole for each in guest))
    return next(whole, Bus.UNKNOWN)


def nearest_bus(guest: Sequence[Examined], machine: Machine, preference: Sequence[Bus]) -> Bus:
    """Where none works, the bus whose boot path gets furthest after the edits: its broken link is the one to be told."""
    tried = candidates(machine, preference)
    return max(tried, key=lambda bus: min(_reach(each, bus) for each in guest), default=machine.bus)


def _reach(examined: Examined, bus: Bus) -> int:
    found = examined.prospects[bus]
    names = [link.name for link in found.chain.links]
    return names.index(found.remaining.name) if found.remaining else len(names)
