@echo off
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

rem No card was set by hand: there is nothing to set again.
if defined FAILED (
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
