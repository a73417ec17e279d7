# SPDX-License-Identifier: Apache-2.0
"""The network settings as a script for cmd and netsh, for every Windows since XP: netsh knows no MAC address, getmac does.

Touches nothing, never fails. Only checked addresses and GUIDs stand in it, and of a guest's own names what `label` leaves. The name
of a connection comes from the Windows that runs the script, where none can hold a quotation mark. Sources: Microsoft, netsh
interface ip (Server 2003 and later), getmac, for /f.
"""

from collections.abc import Iterator

from unxen.model.network_settings import CardSettings, NetworkSettings
from unxen.report.script_parts import NO_MAC, label, remarks, to_set

HEAD = r"""@echo off
rem Sets again what was set by hand on the network cards of a Windows, each found by its MAC address. Made by unxen.
rem Run it inside that Windows as administrator. For every Windows since XP Professional and Server 2003.
rem Cards that ask DHCP for everything are not touched. Old adapters lose their claim to the addresses that are set here, unless
rem /keepoldclaims is given: the way back to Xen needs them.
setlocal EnableExtensions DisableDelayedExpansion
set "KEEP="
set "FAILED="
if /i "%~1"=="/keepoldclaims" set "KEEP=1"
reg query HKU\S-1-5-19 >nul 2>&1
if errorlevel 1 (
    echo Run this script as administrator. Nothing was changed.
    exit /b 1
)
"""
TAIL = r"""if defined FAILED (
    echo Not everything could be set, see above.
    exit /b 1
)
exit /b 0

:find
set "FOUND="
set /a COUNT=0
for /f delims^=^"^ tokens^=1 %%A in ('getmac /v /fo csv /nh ^| findstr /i /c:"%~1"') do (
    set "FOUND=%%A"
    set /a COUNT+=1
)
if not "%COUNT%"=="1" (
    echo %COUNT% network cards have the MAC address %~1, one is needed. Nothing was changed.
    exit /b 1
)
exit /b 0

:clear
set "KEY=HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters\Interfaces\%~1"
getmac /v /fo csv /nh | findstr /i /c:"%~1" >nul
if not errorlevel 1 exit /b 0
reg query "%KEY%" >nul 2>&1
if errorlevel 1 exit /b 0
reg add "%KEY%" /v EnableDHCP /t REG_DWORD /d 1 /f >nul
for %%V in (IPAddress SubnetMask DefaultGateway DefaultGatewayMetric) do reg delete "%KEY%" /v %%V /f >nul 2>&1
exit /b 0
"""


def netsh_script(settings: NetworkSettings) -> bytes:
    """The script, in ASCII, with the line ends that cmd needs to find its labels."""
    cards = to_set(settings)
    lines = [*HEAD.splitlines(), ""]
    if not cards:
        lines += ["rem No card was set by hand: there is nothing to set again."]
    for number, card in enumerate(cards, 1):
        lines += [f"rem {each}" for each in remarks(card, settings.unmatched)]
        lines += [f"call :find {card.mac.replace(':', '-').upper() or NO_MAC}", "if errorlevel 1 exit /b 1"]
        lines += [f'set "CARD{number}=%FOUND%"']
    for each in settings.claims:
        lines += [f"rem {label(each.name)}", f"if not defined KEEP call :clear {each.guid}"]
    for number, card in enumerate(cards, 1):
        lines += _card(f"%CARD{number}%", card)
    return ("\r\n".join([*lines, *TAIL.splitlines()]) + "\r\n").encode("ascii")


def _card(name: str, card: CardSettings) -> Iterator[str]:
    yield from (f'netsh interface {each} || set "FAILED=1"' for each in _commands(f'"{name}"', card))
    if card.suffix:
        yield f"echo To be set by hand, for netsh cannot: the DNS suffix {card.suffix} of {label(card.name)}."


def _commands(name: str, card: CardSettings) -> Iterator[str]:
    """What follows `netsh interface`; the first address and the first server take the place of whatever is set."""
    for number, each in enumerate(card.addresses):
        verb, way = ("add", "") if number else ("set", "static ")
        yield f"ip {verb} address {name} {way}{each.address} {each.mask}" + ("" if number else _gateway(card))
    for number, gateway in enumerate(card.gateways[1:], 2):
        yield f"ip add address {name} gateway={gateway} gwmetric={number}"
    for number, server in enumerate(card.dns):
        yield f"ip {'add' if number else 'set'} dns {name} {'' if number else 'static '}{server}"
    yield from (f"ipv6 add dns {name} {server}" for server in card.dns6)


def _gateway(card: CardSettings) -> str:
    return f" {card.gateways[0]} 1" if card.gateways else " none"
