# SPDX-License-Identifier: Apache-2.0
"""Which Windows it is: every witness alone, and which one wins."""

import pytest
from generators.hive_bytes import Node, write_hive
from generators.hives import GENERATION, windows_hive
from generators.reg_text import apply
from unxen.model.ids import Architecture, Missing
from unxen.probe.windows_version import windows_facts

UNKNOWN = Architecture.UNKNOWN
# The build is not in SYSTEM for these two: Windows 8 and 8.1 are told apart, their packages say the rest.
PRODUCTS = {
    "xp": "Windows XP",
    "2003": "Windows Server 2003",
    "vista": "Windows Vista",
    "7": "Windows 7",
    "2008r2": "Windows Server 2008 R2",
    "8": "Windows 8",
    "2012r2": "Windows Server 2012 R2",
    "10": "Windows 10",
    "2016": "Windows Server 2016",
    "2019": "Windows Server 2019",
    "2022": "Windows Server 2022",
    "11": "Windows 11",
    "2025": "Windows Server 2025",
}


def software(text: str) -> bytes:
    root = Node("ROOT")
    apply("[Microsoft\\Windows NT\\CurrentVersion]\n" + text, root)
    return write_hive(root, "SOFTWARE")


@pytest.mark.parametrize("generation", PRODUCTS)
def test_system_alone_tells_version_and_product(generation):
    facts = windows_facts(windows_hive(generation), None, None, UNKNOWN)
    assert (facts.version, facts.product) == (GENERATION[generation].version, PRODUCTS[generation])
    assert facts.server is GENERATION[generation].server
    assert facts.architecture.value == GENERATION[generation].arch
    assert facts.source == "SYSTEM"


def test_the_kernel_is_believed_before_system():
    facts = windows_facts(windows_hive("10"), None, (10, 0, 19045), Architecture.ARM64)
    assert (facts.version, facts.architecture, facts.source) == ((10, 0, 19045), Architecture.ARM64, "ntoskrnl.exe")


def test_software_is_believed_before_the_kernel_and_names_the_product():
    data = software(
        '"ProductName"="Windows 10 Pro"\n"CurrentVersion"="6.3"\n"CurrentBuildNumber"="22631"\n'
        '"CurrentMajorVersionNumber"=dword:a\n"CurrentMinorVersionNumber"=dword:0'
    )
    facts = windows_facts(windows_hive("10"), data, (10, 0, 1), UNKNOWN)
    assert (facts.version, facts.source) == ((10, 0, 22631), "SOFTWARE")
    assert facts.product == "Windows 11 Pro"


def test_older_software_tells_the_version_as_text():
    data = software('"ProductName"="Windows 7 Professional"\n"CurrentVersion"="6.1"\n"CurrentBuild"="7601"')
    facts = windows_facts(windows_hive("7"), data, None, UNKNOWN)
    assert (facts.version, facts.product) == ((6, 1, 7601), "Windows 7 Professional")


@pytest.mark.parametrize("data", [b"no hive", software('"CurrentVersion"="six"'), software('"CurrentBuildNumber"="99999999999"')])
def test_software_that_says_nothing_is_a_witness_less(data):
    assert windows_facts(windows_hive("2019"), data, None, UNKNOWN).source == "SYSTEM"


def test_only_the_generation_can_be_known():
    bare = '[-DriverDatabase\\DriverPackages]\n[ControlSet*\\Control\\Windows]\n"ShutdownStopTimePerfCounterBuildLab"=-'
    assert windows_facts(windows_hive("10", text=bare), None, None, UNKNOWN).version == (10, 0, 0)
    seven = windows_hive("7", text='[ControlSet*\\Control\\Windows]\n"CSDBuildNumber"=-')
    assert windows_facts(seven, None, None, UNKNOWN).version == (6, 1, 0)


def test_nothing_known_is_said_so():
    facts = windows_facts(write_hive(Node("ROOT")), None, None, UNKNOWN)
    assert (facts.version, facts.product, facts.server, facts.source) == ((0, 0, 0), "Windows", Missing.ABSENT, "")
    assert windows_facts(b"", None, None, UNKNOWN).version == (0, 0, 0)
