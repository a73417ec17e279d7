# SPDX-License-Identifier: Apache-2.0
"""What was set on a Windows' network cards, checked value by value, so that it can be set again on others.

Touches nothing. Every address and name in `addresses`, `gateways`, `dns`, `dns6`, `suffix`, `mac` and `guid` is of its kind and
nothing else; what is not stands in `left_out` as the guest has it. Names and descriptions are the guest's text.
"""

from enum import Enum

from unxen.model.ids import InstallationId, Missing
from unxen.model.network_facts import AddressFacts
from unxen.model.record import dataclass
from unxen.model.registry_facts import WindowsFacts


class MacFrom(Enum):
    """Who says which MAC address a card has; DEFINITION only where one card of each side is left to be matched."""

    WINDOWS = "windows"
    DEFINITION = "definition"
    NOBODY = "nobody"


class Part(Enum):
    """What kind of setting a value is."""

    ADDRESS = "address"
    GATEWAY = "gateway"
    DNS = "dns"
    SUFFIX = "suffix"


@dataclass(frozen=True)
class LeftOut:
    """A value that is not what it should be, as the guest has it; no script has it."""

    part: Part
    value: str


@dataclass(frozen=True)
class FixedAddress:
    """An IPv4 address with its mask, both dotted, and the mask's length."""

    address: str
    mask: str
    length: int


@dataclass(frozen=True)
class CardSettings:
    """One network card. `mac` is twelve digits with colons, or empty.

    `defined`: whether a card of the machine's definition has it; None where there is no definition, or no MAC address. `by_hand`:
    something is to be set again. `own_mac` is what somebody set in Windows instead, as the guest has it.
    """

    name: str
    description: str
    xen: bool
    dhcp: bool | Missing
    by_hand: bool
    mac: str
    mac_from: MacFrom
    defined: bool | None
    own_mac: str
    addresses: tuple[FixedAddress, ...]
    gateways: tuple[str, ...]
    dns: tuple[str, ...]
    dns6: tuple[str, ...]
    suffix: str
    lease: AddressFacts
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class OldClaim:
    """An interface that lays claim to an address which is to be set again; `guid` with its braces."""

    guid: str
    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class NetworkSettings:
    """The network of one Windows. `unmatched` are MAC addresses of the definition that no card is known to have."""

    installation: InstallationId
    windows: WindowsFacts | None
    cards: tuple[CardSettings, ...]
    claims: tuple[OldClaim, ...]
    unmatched: tuple[str, ...] = ()

    @property
    def contested(self) -> tuple[OldClaim, ...]:
        """The claims to addresses that more than one interface lays claim to."""
        every = [address for each in self.claims for address in each.addresses]
        return tuple(each for each in self.claims if any(every.count(address) > 1 for address in each.addresses))
