# SPDX-License-Identifier: Apache-2.0
"""From what a hive says of the network to what may be set again: each value is checked here, because scripts are made of it.

Touches nothing. A value that is no address, no mask or no DNS name is left out and named. A MAC address that the hive does not have
is taken from the machine's definition only where one card of each side is left; anything else would be a guess.
"""

import ipaddress
import re
from collections.abc import Sequence

from unxen.model.network_settings import CardSettings, FixedAddress, LeftOut, MacFrom, NetworkSettings, OldClaim, Part
from unxen.plan.examined import Examined
from unxen.plan.network import Interface, interfaces

MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", re.ASCII)
GUID = re.compile(r"\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}", re.ASCII)
# RFC 1123 labels, and the underscore that Microsoft's DNS allows.
LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
SUFFIX = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(\.{LABEL})*", re.ASCII)


def network_settings(examined: Examined, defined: Sequence[str]) -> NetworkSettings:
    """The settings of one Windows; `defined` are the MAC addresses of the machine's definition, none where there is none."""
    every = interfaces(examined.deciding, examined.system.network)
    present = [each for each in every if not each.gone]
    macs = tuple(dict.fromkeys(each.lower() for each in defined if MAC.fullmatch(each)))
    only = _only_match(present, macs)
    cards = tuple(_card(each, macs, only) for each in present)
    set_again = {each.address for card in cards for each in card.addresses}
    claims = [_claim(each, set_again) for each in every if GUID.fullmatch(each.guid)]
    return NetworkSettings(
        installation=examined.installation.id,
        windows=examined.windows,
        cards=cards,
        claims=tuple(each for each in claims if each.addresses),
        unmatched=tuple(mac for mac in macs if mac not in {each.mac for each in cards}),
    )


def _only_match(present: Sequence[Interface], macs: Sequence[str]) -> str:
    """The MAC address of the one card that Windows says none of; empty where more than one could be meant."""
    known = {each.mac for each in present if isinstance(each.mac, str)}
    left = [mac for mac in macs if mac not in known]
    unknown = [each for each in present if not isinstance(each.mac, str)]
    return left[0] if len(left) == 1 and len(unknown) == 1 else ""


def _card(each: Interface, macs: Sequence[str], only: str) -> CardSettings:
    mac, source = (
        (each.mac, MacFrom.WINDOWS) if isinstance(each.mac, str) else (only, MacFrom.DEFINITION if only else MacFrom.NOBODY)
    )
    addresses, odd_addresses = _addresses(each)
    gateways, odd_gateways = _kept(each.settings.gateways if addresses else (), Part.GATEWAY)
    dns, odd_dns = _kept(each.settings.dns, Part.DNS)
    dns6, odd_dns6 = _kept(each.dns6, Part.DNS, version=6)
    suffix = each.settings.suffix if SUFFIX.fullmatch(each.settings.suffix) else ""
    odd_suffix = [LeftOut(Part.SUFFIX, each.settings.suffix)] if each.settings.suffix and not suffix else []
    return CardSettings(
        name=each.name,
        description=each.description,
        xen=each.xen,
        dhcp=each.dhcp,
        by_hand=bool(addresses or dns or dns6 or suffix),
        mac=mac,
        mac_from=source,
        defined=mac in macs if mac and macs else None,
        own_mac=each.own_mac,
        addresses=addresses,
        gateways=gateways,
        dns=dns,
        dns6=dns6,
        suffix=suffix,
        lease=each.lease,
        left_out=(*odd_addresses, *odd_gateways, *odd_dns, *odd_dns6, *odd_suffix),
    )


def _addresses(each: Interface) -> tuple[tuple[FixedAddress, ...], list[LeftOut]]:
    """Addresses with their masks; a card that asks DHCP keeps old ones in the hive that hold no more."""
    if each.dhcp is True:
        return (), []
    found, odd = [], []
    masks = each.settings.masks + ("",) * len(each.settings.addresses)
    for address, mask in zip(each.settings.addresses, masks, strict=False):
        length = _length(mask)
        if _is_address(address, 4) and length:
            found.append(FixedAddress(address, mask, length))
        else:
            odd.append(LeftOut(Part.ADDRESS, f"{address} {mask}".strip()))
    return tuple(found), odd


def _length(mask: str) -> int:
    """The length of a dotted mask; 0 for what is none, or has holes."""
    if not _is_dotted(mask):
        return 0
    bits = f"{int(ipaddress.IPv4Address(mask)):032b}"
    return len(bits.rstrip("0")) if "01" not in bits else 0


def _kept(values: Sequence[str], part: Part, version: int = 4) -> tuple[tuple[str, ...], list[LeftOut]]:
    fitting = tuple(each for each in values if _is_address(each, version, loopback=part is Part.DNS))
    return fitting, [LeftOut(part, each) for each in values if each not in fitting]


def _is_address(text: str, version: int, *, loopback: bool = False) -> bool:
    """Whether the text is an address that a host, a gateway or a DNS server can have; a domain controller asks itself for names."""
    if version == 4 and not _is_dotted(text):
        return False
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    usable = not (found.is_multicast or found.is_unspecified or (found.is_loopback and not loopback))
    return found.version == version and usable and "%" not in text


def _is_dotted(text: str) -> bool:
    try:
        return str(ipaddress.IPv4Address(text)) == text
    except ValueError:
        return False


def _claim(each: Interface, set_again: set[str]) -> OldClaim:
    return OldClaim(each.guid, each.name, tuple(address for address in each.held if address in set_again))
