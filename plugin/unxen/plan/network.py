# SPDX-License-Identifier: Apache-2.0
"""Adapters come and go, settings belong to interfaces: here each interface is put together with the adapters that have used it.

Touches nothing. Xen's driver takes over the interface of the emulated card, so one interface can have two adapters; what counts as
Xen's is decided by the tables. Text of the guest is only carried here; `addresses` decides what of it is an address.
"""

from unxen.model.ids import Missing
from unxen.model.network_facts import AdapterFacts, AddressFacts, MacSource, NetworkFacts
from unxen.model.record import dataclass
from unxen.plan.names import fold
from unxen.plan.view import View
from unxen.plan.xen import dual_use, xen_service


@dataclass(frozen=True)
class Interface:
    """One interface. `adapters` are those that have used it; `gone`: none is left. `mac` is permanent, or Missing."""

    guid: str
    name: str
    description: str
    xen: bool
    gone: bool
    dhcp: bool | Missing
    settings: AddressFacts
    lease: AddressFacts
    dns6: tuple[str, ...]
    mac: str | Missing
    mac_source: MacSource | None
    own_mac: str
    adapters: tuple[str, ...]

    @property
    def held(self) -> tuple[str, ...]:
        """The addresses that it has by hand; what stands beside DHCP is from before."""
        return () if self.dhcp is True else self.settings.addresses

    @property
    def fixed(self) -> bool:
        """Whether anything was set by hand that a new card will not have."""
        return bool(self.held or self.settings.dns or self.dns6)


def interfaces(view: View, network: NetworkFacts | None) -> tuple[Interface, ...]:
    """Interfaces of network cards, and whatever else was set by hand, in the order of their adapters."""
    groups: dict[str, list[AdapterFacts]] = {}
    for each in network.adapters if network else ():
        if each.counts:
            groups.setdefault(fold(each.guid), []).append(each)
    return tuple(_interface(view, sorted(each, key=lambda one: not _is_xen(view, one))) for each in groups.values())


def _interface(view: View, adapters: list[AdapterFacts]) -> Interface:
    """Of several adapters the one of Xen, which sorts first, was the last to use the interface."""
    first = adapters[0]
    known = next((each for each in adapters if isinstance(each.mac, str)), first)
    return Interface(
        guid=first.guid,
        name=first.connection or first.description or first.guid,
        description=first.description,
        xen=_is_xen(view, first),
        gone=not any(each.instance for each in adapters),
        dhcp=first.dhcp,
        settings=first.fixed,
        lease=first.lease,
        dns6=first.dns6,
        mac=known.mac,
        mac_source=known.mac_source,
        own_mac=next((each.own_mac for each in adapters if each.own_mac), ""),
        adapters=tuple(each.description or each.device for each in adapters if each.instance),
    )


def _is_xen(view: View, adapter: AdapterFacts) -> bool:
    row = xen_service(view, adapter.service) if adapter.service else None
    if row is not None and not dual_use(view, row):
        return True
    return any(fold(adapter.device).startswith(fold(each.prefix)) for each in view.knowledge.xen_devices)
