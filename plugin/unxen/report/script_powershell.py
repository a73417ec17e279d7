# SPDX-License-Identifier: Apache-2.0
"""The network settings as a PowerShell script: each card found by its MAC address, everything checked before anything is changed.

Touches nothing, never fails. Only checked addresses, names of DNS and GUIDs stand in it, in single quotes; of a guest's own names
what `label` leaves. Sources: Microsoft, NetAdapter, NetTCPIP and DnsClient modules (Windows 8 and Server 2012).
"""

from collections.abc import Iterable, Iterator

from unxen.model.network_settings import CardSettings, NetworkSettings
from unxen.report.script_parts import NO_MAC, label, remarks, to_set

HEAD = r"""# Sets again what was set by hand on the network cards of a Windows, each found by its MAC address. Made by unxen.
# Run it inside that Windows as administrator. For Windows 8 and Server 2012 or later; older ones take the netsh script.
# Cards that ask DHCP for everything are not touched. Old adapters lose their claim to the addresses that are set here, unless
# -KeepOldClaims is given: the way back to Xen needs them.
[CmdletBinding()]
param([switch]$KeepOldClaims)

$ErrorActionPreference = 'Stop'
$TcpipInterfaces = 'HKLM:\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces'

function Find-Card([string]$Mac) {
    if ($Mac -notmatch '^[0-9A-F]{12}$') {
        throw "Not a MAC address: '$Mac'. Put twelve hexadecimal digits in its place; nothing was changed."
    }
    $found = @(Get-NetAdapter | Where-Object {
        ($_.MacAddress -replace '[^0-9A-Fa-f]', '') -eq $Mac -or $_.PermanentAddress -eq $Mac
    })
    if ($found.Count -ne 1) {
        throw "$($found.Count) network cards have the MAC address $Mac, one is needed; nothing was changed."
    }
    $found[0]
}

function Clear-OldClaim([string]$Guid) {
    if (@(Get-NetAdapter | Where-Object { $_.InterfaceGuid -eq $Guid }).Count -gt 0) {
        return
    }
    $key = "$TcpipInterfaces\$Guid"
    if (Test-Path -LiteralPath $key) {
        Set-ItemProperty -LiteralPath $key -Name 'EnableDHCP' -Value 1 -Type DWord
        foreach ($name in @('IPAddress', 'SubnetMask', 'DefaultGateway', 'DefaultGatewayMetric')) {
            Remove-ItemProperty -LiteralPath $key -Name $name -ErrorAction SilentlyContinue
        }
    }
}

function Set-Card($Card, $Addresses, $Gateways, $Servers, [string]$Suffix) {
    $index = $Card.ifIndex
    if ($Addresses.Count -gt 0) {
        Set-NetIPInterface -InterfaceIndex $index -AddressFamily IPv4 -Dhcp Disabled
        Get-NetIPAddress -InterfaceIndex $index -AddressFamily IPv4 -ErrorAction SilentlyContinue |
            Remove-NetIPAddress -Confirm:$false -ErrorAction SilentlyContinue
        Get-NetRoute -InterfaceIndex $index -DestinationPrefix '0.0.0.0/0' -ErrorAction SilentlyContinue |
            Remove-NetRoute -Confirm:$false -ErrorAction SilentlyContinue
        foreach ($each in $Addresses) {
            New-NetIPAddress -InterfaceIndex $index -IPAddress $each.Address -PrefixLength $each.Length | Out-Null
        }
        foreach ($each in $Gateways) {
            New-NetRoute -InterfaceIndex $index -DestinationPrefix '0.0.0.0/0' -NextHop $each | Out-Null
        }
    }
    if ($Servers.Count -gt 0) {
        Set-DnsClientServerAddress -InterfaceIndex $index -ServerAddresses $Servers
    }
    if ($Suffix -ne '') {
        Set-DnsClient -InterfaceIndex $index -ConnectionSpecificSuffix $Suffix
    }
}

if (-not (Get-Command -Name 'Get-NetAdapter' -ErrorAction SilentlyContinue)) {
    throw 'This Windows is too old for this script: take the netsh script. Nothing was changed.'
}
$me = New-Object -TypeName 'Security.Principal.WindowsPrincipal' -ArgumentList ([Security.Principal.WindowsIdentity]::GetCurrent())
if (-not $me.IsInRole([Security.Principal.WindowsBuiltInRole]::Administrator)) {
    throw 'Run this script as administrator. Nothing was changed.'
}
"""


def powershell_script(settings: NetworkSettings) -> bytes:
    """The script, in ASCII, with the line ends of Windows."""
    cards = to_set(settings)
    lines = [*HEAD.splitlines(), ""]
    if not cards:
        lines += ["# No card was set by hand: there is nothing to set again."]
    for number, card in enumerate(cards, 1):
        lines += [f"# {each}" for each in remarks(card, settings.unmatched)]
        lines += [f"$card{number} = Find-Card {_quoted(card.mac.replace(':', '').upper() or NO_MAC)}"]
    lines += _claims(settings)
    lines += [f"Set-Card $card{number} {_arguments(card)}" for number, card in enumerate(cards, 1)]
    return ("\r\n".join(lines) + "\r\n").encode("ascii")


def _claims(settings: NetworkSettings) -> Iterator[str]:
    if settings.claims:
        yield "if (-not $KeepOldClaims) {"
        for each in settings.claims:
            yield f"    # {label(each.name)}"
            yield f"    Clear-OldClaim {_quoted(each.guid)}"
        yield "}"


def _arguments(card: CardSettings) -> str:
    addresses = ", ".join(f"@{{ Address = {_quoted(each.address)}; Length = {each.length} }}" for each in card.addresses)
    return f"@({addresses}) {_list(card.gateways)} {_list((*card.dns, *card.dns6))} {_quoted(card.suffix)}"


def _list(values: Iterable[str]) -> str:
    return f"@({', '.join(_quoted(each) for each in values)})"


def _quoted(text: str) -> str:
    """A literal; no checked value holds a quote, and one that did would be doubled."""
    return "'" + text.replace("'", "''") + "'"
