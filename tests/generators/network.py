# SPDX-License-Identifier: Apache-2.0
r"""Network adapters as Windows remembers them, as registry text: class, connection, device and TCP/IP settings of each.

    windows_hive("10", families=["xcpng"], network=[Card("Ethernet 2", addresses=["192.0.2.10"], gateways=["192.0.2.1"])])

Touches nothing. By default a card is the paravirtual one of XCP-ng, at the address that an administrator gave it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NET = "{4d36e972-e325-11ce-bfc1-08002be10318}"
TCPIP, TCPIP6 = r"ControlSet*\Services\Tcpip\Parameters\Interfaces", r"ControlSet*\Services\Tcpip6\Parameters\Interfaces"
XEN, E1000 = r"XENVIF\VEN_XN0001&DEV_NET&REV_09000000", r"PCI\VEN_8086&DEV_100E&SUBSYS_11001AF4&REV_03"


@dataclass(frozen=True)
class Card:
    """One adapter; `mac` stands where 10 and later keep it, `xenvif_mac` where Citrix' drivers do. `gone`: only an interface."""

    connection: str
    number: int = 7
    guid: str = "{11111111-2222-3333-4444-000000000007}"
    description: str = "XCP-ng PV Network Device #0"
    device: str = XEN
    instance: str = "0"
    service: str = "xennet"
    characteristics: int = 0x84
    dhcp: bool = False
    addresses: Sequence[str] = ()
    masks: Sequence[str] = ()
    gateways: Sequence[str] = ()
    dns: str = ""
    suffix: str = ""
    lease: str = ""
    dns6: str = ""
    mac: str = ""
    xenvif_mac: str = ""
    own_mac: str = ""
    gone: bool = False


def network(cards: Sequence[Card]) -> str:
    """The text of all of them."""
    return "\n".join(line for card in cards for line in _card(card)) + "\n"


def _card(card: Card) -> Iterator[str]:
    yield from _interface(card)
    yield rf"[ControlSet*\Control\Network\{NET}\{card.guid}\Connection]"
    yield f'"Name"="{_quoted(card.connection)}"\n"PnpInstanceID"="{_quoted(card.device)}\\\\{card.instance}"'
    if card.gone:
        return
    yield rf"[ControlSet*\Control\Class\{NET}\{card.number:04}]"
    yield f'"NetCfgInstanceId"="{card.guid}"\n"DriverDesc"="{_quoted(card.description)}"'
    yield f'"Characteristics"=dword:{card.characteristics:x}'
    if card.own_mac:
        yield f'"NetworkAddress"="{_quoted(card.own_mac)}"'
    yield rf"[ControlSet*\Enum\{card.device}\{card.instance}]"
    yield f'"HardwareID"=multi:{card.device}\n"ConfigFlags"=dword:0\n"Service"="{card.service}"\n"ClassGUID"="{NET}"'
    yield f'"Driver"="{NET}\\\\{card.number:04}"\n"LocationInformation"="{card.instance}"'
    if card.mac:
        yield rf"[ControlSet*\Control\NetworkSetup2\Interfaces\{card.guid}\Kernel]"
        yield f'"PermanentAddress"=hex:{card.mac.replace(":", ",")}'
    if card.xenvif_mac:
        yield f'[ControlSet*\\Services\\xenvif\\Addresses]\n"{card.instance}"="{card.xenvif_mac}"'


def _interface(card: Card) -> Iterator[str]:
    yield rf"[{TCPIP}\{card.guid}]"
    yield f'"EnableDHCP"=dword:{int(card.dhcp)}'
    if card.addresses:
        masks = card.masks or ["255.255.255.0"] * len(card.addresses)
        yield f'"IPAddress"=multi:{",".join(card.addresses)}\n"SubnetMask"=multi:{",".join(masks)}'
        yield f'"DefaultGateway"=multi:{",".join(card.gateways)}'
    yield f'"NameServer"="{_quoted(card.dns)}"\n"Domain"="{_quoted(card.suffix)}"'
    if card.lease:
        yield f'"DhcpIPAddress"="{card.lease}"\n"DhcpSubnetMask"="255.255.255.0"\n"DhcpServer"="192.0.2.254"'
        yield '"DhcpDefaultGateway"=multi:192.0.2.254\n"DhcpNameServer"="192.0.2.253 192.0.2.252"'
    yield rf"[{TCPIP6}\{card.guid}]"
    if card.dns6:
        yield f'"NameServer"="{card.dns6}"'


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
