# SPDX-License-Identifier: Apache-2.0
"""The network settings of real machines, as the probe reads them and as a reader does that shares no code with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from unxen.model.ids import GuestPath, Missing
from unxen.model.letter_facts import LetterBy
from unxen.model.network_facts import AdapterFacts, MacSource
from unxen.model.registry_facts import SystemFacts
from unxen.probe.system_hive import read_system
from unxen.probe.wanted import Wanted

pytestmark = pytest.mark.corpus
READER = Path(__file__).parent.parent / "readers" / "read_network.py"
# hive: adapters, fixed addresses, leases, MAC addresses, page files, letters that stand for a device.
HIVES = {
    "winxp-sp3-x86-virtualpc-iecompat/SYSTEM": (9, [], ["192.168.131.67"], [], [r"C:\pagefile.sys 768 1536"], "AD"),
    "winxp-sp3-x86-dell-m57pat/SYSTEM": (9, [], ["192.168.1.103"], [], [r"C:\pagefile.sys 768 1536"], "ADE"),
    "win2003-sp1-x86-vmware-dc/SYSTEM": (7, ["192.168.1.2"], [], [], [r"C:\pagefile.sys 576 1152"], "ADE"),
    "win7-sp1-x86-vmware-wks/SYSTEM": (13, ["192.168.1.123", "10.3.58.5"], [], [], [r"?:\pagefile.sys"], "ADE"),
    "win81-x64-virtualbox-dirty-nologs/SYSTEM": (3, [], ["192.168.56.103"], [], [r"?:\pagefile.sys"], "D"),
    "win10-1709-x64-dell-dirty-logs/SYSTEM.recovered": (15, [], ["192.168.0.7"], ["ec:f4:bb:48:7f:ed"], [r"?:\pagefile.sys"], "DE"),
    "win10-19041-x64-vmware/SYSTEM": (3, [], [], ["00:0c:29:66:1a:a2"], [r"?:\pagefile.sys"], "AD"),
}


def facts(data: bytes) -> SystemFacts:
    return read_system(data, Wanted((), (), ()), lambda _: True, GuestPath(r"\Windows"))


def row(adapter: AdapterFacts) -> dict[str, object]:
    """The adapter in the words of the other reader."""
    return {
        "instance": adapter.instance,
        "guid": adapter.guid,
        "description": adapter.description,
        "connection": adapter.connection,
        "characteristics": adapter.characteristics if isinstance(adapter.characteristics, int) else None,
        "dhcp": None if isinstance(adapter.dhcp, Missing) else adapter.dhcp,
        "addresses": list(adapter.fixed.addresses),
        "masks": list(adapter.fixed.masks),
        "gateways": list(adapter.fixed.gateways),
        "dns": list(adapter.fixed.dns),
        "suffix": adapter.fixed.suffix,
        "lease": list(adapter.lease.addresses),
        "lease_gateways": list(adapter.lease.gateways),
        "lease_dns": list(adapter.lease.dns),
        "server": adapter.lease.server,
        "mac": adapter.mac if adapter.mac_source is MacSource.NETWORK_SETUP else "",
    }


@pytest.mark.parametrize("name", HIVES)
def test_two_readers_see_the_same_network(corpus, tmp_path, name) -> None:
    data = corpus.read(name)
    hive = tmp_path / "SYSTEM"
    hive.write_bytes(data)
    done = subprocess.run([sys.executable, str(READER), str(hive)], capture_output=True, check=True)
    system = facts(data)
    assert system.network is not None and system.unread == ()
    adapters = system.network.adapters
    assert [row(each) for each in adapters if each.instance and each.guid] == json.loads(done.stdout)
    count, fixed, leased, macs, page_files, letters = HIVES[name]
    assert len(adapters) == count
    assert [each for adapter in adapters for each in adapter.fixed.addresses] == fixed
    assert [each for adapter in adapters for each in adapter.lease.addresses] == leased
    assert {each for adapter in adapters for each in [adapter.mac] if isinstance(each, str)} >= set(macs)
    assert list(system.page_files) == page_files
    assert "".join(each.letter for each in system.letters if each.by is LetterBy.DEVICE) == letters
