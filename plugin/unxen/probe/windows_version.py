# SPDX-License-Identifier: Apache-2.0
"""Rules depend on which Windows a disk holds; here every witness is heard, the surest first.

Touches the bytes it is given. SOFTWARE says product and build, the kernel's version resource the build, SYSTEM the rest; a hive
that cannot be read is a witness less, never an error.
"""

from unxen.model.ids import Architecture, Missing
from unxen.model.registry_facts import WindowsFacts
from unxen.probe.version_witnesses import SoftwareWitness, SystemWitness, Version

UNKNOWN: Version = (0, 0, 0)
WINDOWS_11: Version = (10, 0, 22000)
# Names of Windows where no SOFTWARE says it: since which version, client, server.
NAMES = (
    ((10, 0, 26100), "Windows 11", "Windows Server 2025"),
    ((10, 0, 22000), "Windows 11", "Windows Server"),
    ((10, 0, 20348), "Windows 10", "Windows Server 2022"),
    ((10, 0, 17763), "Windows 10", "Windows Server 2019"),
    ((10, 0, 0), "Windows 10", "Windows Server 2016"),
    ((6, 3, 0), "Windows 8.1", "Windows Server 2012 R2"),
    ((6, 2, 0), "Windows 8", "Windows Server 2012"),
    ((6, 1, 0), "Windows 7", "Windows Server 2008 R2"),
    ((6, 0, 0), "Windows Vista", "Windows Server 2008"),
    ((5, 2, 0), "Windows XP x64", "Windows Server 2003"),
    ((5, 1, 0), "Windows XP", "Windows XP"),
    ((5, 0, 0), "Windows 2000", "Windows 2000 Server"),
    ((4, 0, 0), "Windows NT 4.0", "Windows NT 4.0 Server"),
)


def windows_facts(
    system: bytes, software: bytes | None, kernel_version: Version | None, kernel_machine: Architecture
) -> WindowsFacts:
    """Which Windows this is, by the surest witness for each part; `source` names the one that told the version."""
    said, witness = SoftwareWitness.of(software), SystemWitness.of(system)
    told = (("SOFTWARE", said.version()), ("ntoskrnl.exe", kernel_version), ("SYSTEM", witness.version()))
    source, version = next(((source, each) for source, each in told if each and each != UNKNOWN), ("", UNKNOWN))
    architecture = kernel_machine if kernel_machine is not Architecture.UNKNOWN else witness.architecture()
    server = witness.server()
    return WindowsFacts(_product(said.product(), version, server), version, architecture, server, source)


def _product(said: str, version: Version, server: bool | Missing) -> str:
    """The name that SOFTWARE gives; Windows 11 calls itself 10 there."""
    if said.startswith("Windows 10") and version >= WINDOWS_11:
        return said.replace("Windows 10", "Windows 11", 1)
    return said or _name(version, server)


def _name(version: Version, server: bool | Missing) -> str:
    for since, client_name, server_name in NAMES:
        if version >= since:
            return server_name if server is True else client_name
    return "Windows"
