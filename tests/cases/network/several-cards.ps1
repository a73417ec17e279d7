# Sets again what was set by hand on the network cards of a Windows, each found by its MAC address. Made by unxen.
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

# Ethernet 2 (XCP-ng PV Network Device #0)
$card1 = Find-Card '00163E123456'
# SAN (XCP-ng PV Network Device #1)
# Its MAC address stands neither in Windows nor, without doubt, in the definition: put it in below.
$card2 = Find-Card 'PUT-THE-MAC-ADDRESS-HERE'
if (-not $KeepOldClaims) {
    # Ethernet 2
    Clear-OldClaim '{11111111-2222-3333-4444-000000000007}'
    # SAN
    Clear-OldClaim '{11111111-2222-3333-4444-000000000008}'
    # Old LAN
    Clear-OldClaim '{aaaaaaaa-0000-0000-0000-000000000001}'
}
Set-Card $card1 @(@{ Address = '192.0.2.10'; Length = 24 }, @{ Address = '192.0.2.11'; Length = 24 }) @('192.0.2.1', '192.0.2.2') @('192.0.2.53', '192.0.2.54', '2001:db8::53') 'corp.example'
Set-Card $card2 @(@{ Address = '198.51.100.7'; Length = 25 }) @() @() ''
