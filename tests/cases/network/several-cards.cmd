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

rem Ethernet 2 (XCP-ng PV Network Device #0)
call :find 00-16-3E-12-34-56
if errorlevel 1 exit /b 1
set "CARD1=%FOUND%"
rem SAN (XCP-ng PV Network Device #1)
rem Its MAC address stands neither in Windows nor, without doubt, in the definition: put it in below.
call :find PUT-THE-MAC-ADDRESS-HERE
if errorlevel 1 exit /b 1
set "CARD2=%FOUND%"
rem Ethernet 2
if not defined KEEP call :clear {11111111-2222-3333-4444-000000000007}
rem SAN
if not defined KEEP call :clear {11111111-2222-3333-4444-000000000008}
rem Old LAN
if not defined KEEP call :clear {aaaaaaaa-0000-0000-0000-000000000001}
netsh interface ip set address "%CARD1%" static 192.0.2.10 255.255.255.0 192.0.2.1 1 || set "FAILED=1"
netsh interface ip add address "%CARD1%" 192.0.2.11 255.255.255.0 || set "FAILED=1"
netsh interface ip add address "%CARD1%" gateway=192.0.2.2 gwmetric=2 || set "FAILED=1"
netsh interface ip set dns "%CARD1%" static 192.0.2.53 || set "FAILED=1"
netsh interface ip add dns "%CARD1%" 192.0.2.54 || set "FAILED=1"
netsh interface ipv6 add dns "%CARD1%" 2001:db8::53 || set "FAILED=1"
echo To be set by hand, for netsh cannot: the DNS suffix corp.example of Ethernet 2.
netsh interface ip set address "%CARD2%" static 198.51.100.7 255.255.255.128 none || set "FAILED=1"
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
