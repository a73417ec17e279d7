# SPDX-License-Identifier: Apache-2.0
"""Real SYSTEM hives against what an independent walk over their cells found, and damaged ones against a crash."""

import json

import pytest
from generators.hives import add_family
from unxen.errors import Refused
from unxen.model.codec import decode, encode
from unxen.model.ids import Architecture, GuestPath, Missing
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import FilterScope, ServiceFact, SystemFacts
from unxen.probe.system_hive import read_system
from unxen.probe.wanted import Wanted
from unxen.probe.windows_version import windows_facts

pytestmark = pytest.mark.corpus
STORAGE = (
    *(
        "atapi",
        "buslogic",
        "iastorav",
        "iastoravc",
        "iastorv",
        "intelide",
        "lsi_sas",
        "lsi_sas2",
        "lsi_sas2i",
        "lsi_sas3i",
        "lsi_scsi",
    ),
    *("msahci", "pciide", "storahci", "stornvme", "storvsc", "symmpi", "vmbus"),
)
IDS = (r"pci\ven_8086&dev_7010", r"pci\cc_010601", r"pci\cc_010802", r"pci\ven_1000&dev_0054", r"pci\ven_1000&dev_0012")
WANTED = Wanted(STORAGE, (), ("pci\\ven_1af4",), IDS)
TEN = "atapi 0*, iaStorAV 0, iaStorV 0*, intelide 0*, LSI_SAS 0*, LSI_SAS2i 0*, LSI_SAS3i 0*, pciide 0*, storahci 0*, stornvme 0*, "
# hive: control sets, Select, storage services of the current set (`*`: StartOverride), services with StartOverride, version.
HIVES = {
    "winnt4-x86-dc-buslogic/SYSTEM": ((1, 2), (1, 1, 0, 2), "atapi 0, BusLogic 0", 0, (4, 0, 1381)),
    "winxp-sp3-x86-virtualpc-iecompat/SYSTEM": ((1, 3), (1, 1, 0, 3), "atapi 0, IntelIde 0, PCIIde 4", 0, (5, 1, 2600)),
    "winxp-sp3-x86-dell-m57pat/SYSTEM": ((1, 2), (1, 1, 0, 2), "atapi 0, IntelIde 0, PCIIde 0", 0, (5, 1, 2600)),
    "win2003-sp1-x86-vmware-dc/SYSTEM": ((1, 2), (1, 1, 0, 2), "atapi 0, IntelIde 0, PCIIde 4, symmpi 0", 0, (5, 2, 3790)),
    "win7-sp1-x86-vmware-wks/SYSTEM": (
        (1, 2),
        (1, 1, 0, 2),
        "atapi 0, iaStorV 3, intelide 0, LSI_SAS 0, LSI_SAS2 3, LSI_SCSI 0, msahci 3, pciide 3, storvsc 3, vmbus 0",
        0,
        (6, 1, 7601),
    ),
    "win81-x64-virtualbox-dirty-nologs/SYSTEM": (
        (1,),
        (1, 1, 0, 1),
        "atapi 0*, iaStorAV 0*, iaStorV 0*, intelide 0*, LSI_SAS 0*, LSI_SAS2 0*, pciide 0*, storahci 0, stornvme 0*, "
        "storvsc 0*, vmbus 0*",
        42,
        (6, 3, 9600),
    ),
    "win10-1709-x64-dell-dirty-logs/SYSTEM": ((1,), (1, 1, 0, 1), TEN + "storvsc 0*, vmbus 0*", 44, (10, 0, 16299)),
    "win10-1709-x64-dell-dirty-logs/SYSTEM.recovered": ((1,), (1, 1, 0, 1), TEN + "storvsc 0*, vmbus 0*", 44, (10, 0, 16299)),
    "win10-19041-x64-vmware/SYSTEM": (
        (1,),
        (1, 1, 0, 1),
        "atapi 0, iaStorAVC 0*, iaStorV 0*, intelide 0, LSI_SAS 0*, LSI_SAS2i 0*, LSI_SAS3i 0*, pciide 0*, storahci 0, stornvme 0, "
        "storvsc 0*, vmbus 0*",
        47,
        (10, 0, 19041),
    ),
    "win10-10240-x64-dell-partial/SYSTEM": ((1,), (1, 1, 0, 1), "vmbus 0*", 8, (10, 0, 0)),
}


def _shown(service: ServiceFact) -> str:
    return f"{service.name} {service.start}{'*' if service.overrides else ''}"


def read(data: bytes) -> SystemFacts:
    return read_system(data, WANTED, lambda _: True, GuestPath(r"\Windows"))


@pytest.mark.parametrize("name", HIVES)
def test_a_real_hive_is_read_as_it_stands(corpus, name):
    sets, select, storage, overridden, version = HIVES[name]
    data = corpus.read(name)
    facts = read(data)
    assert tuple(each.number for each in facts.control_sets) == sets
    assert tuple(encode(facts.select).values()) == select
    services = facts.control_sets[0].services
    assert {_shown(each) for each in services if each.name.lower() in STORAGE and each.start in (0, 3, 4)} == set(
        storage.split(", ")
    )
    assert sum(each.overrides is not None for each in services) == overridden
    assert windows_facts(data, None, None, Architecture.UNKNOWN).version == version
    assert (facts.unread, facts.setup_in_progress) == ((), False)
    usual = () if "partial" in name else ("autocheck autochk *",)
    assert {tuple(filter(None, each.boot_execute)) for each in facts.control_sets} == {usual}
    assert decode(SystemFacts, encode(facts)) == facts


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("winxp-sp3-x86-virtualpc-iecompat/SYSTEM", ("Mouse", ("msvmmouf", "mouclass"))),
        ("win81-x64-virtualbox-dirty-nologs/SYSTEM", ("Mouse", ("VBoxMouse", "mouclass"))),
        ("win10-1709-x64-dell-dirty-logs/SYSTEM", ("DiskDrive", ("EhStorClass", "stdcfltn"))),
        ("win7-sp1-x86-vmware-wks/SYSTEM", ("Volume", ("fvevol", "rdyboost"))),
    ],
)
def test_foreign_filters_are_seen_in_their_classes(corpus, name, listed):
    guids = {"Mouse": "96f-", "DiskDrive": "967-", "Volume": "71a27cdd-"}
    filters = [each for each in read(corpus.read(name)).control_sets[0].filters if each.scope is FilterScope.CLASS]
    assert listed[1] in [each.names for each in filters if guids[listed[0]] in each.class_guid.lower()]


def test_a_service_that_is_called_like_its_override_is_no_override(corpus):
    facts = read(corpus.read("win10-10240-x64-dell-partial/SYSTEM"))
    numbered = [each for each in facts.control_sets[0].services if each.overrides and len(each.overrides.values) > 1]
    assert any({"0", "5"} <= {value.name for value in each.overrides.values} for each in numbered if each.overrides)


def test_driver_databases_say_which_controllers_windows_finds(corpus):
    ten = {each.id: each.service for each in read(corpus.read("win10-19041-x64-vmware/SYSTEM")).driver_matches}
    assert ten == {
        r"PCI\VEN_8086&DEV_7010": "intelide",
        r"PCI\CC_010601": "storahci",
        r"PCI\CC_010802": "stornvme",
        r"PCI\VEN_1000&DEV_0054": "LSI_SAS",
    }
    seven = read(corpus.read("win7-sp1-x86-vmware-wks/SYSTEM"))
    rows = {each.id.lower(): each.service.lower() for each in seven.control_sets[0].critical_devices}
    assert (rows["pci#ven_8086&dev_7010"], rows["pci#cc_010601"], rows["internal_ide_channel"]) == ("intelide", "msahci", "atapi")
    assert not seven.driver_database_seen


def test_real_hives_without_xen_show_nothing_of_it(corpus):
    for name in HIVES:
        for control_set in read(corpus.read(name)).control_sets:
            assert not [each.name for each in control_set.services if "xen" in each.name.lower()]
            assert not [each for each in control_set.filters for filter_name in each.names if "xen" in filter_name.lower()]


def test_real_keys_of_aws_drivers_are_read_as_their_installer_wrote_them(corpus):
    """The decoded keys of a Server 2019, planted in a Windows 10 of the same shape."""
    rows = json.loads(corpus.read("win2019-x64-awspv-logs-only/awspv-keys.json"))
    keys = {row["path"]: row["values"] for row in (rows if isinstance(rows, list) else rows["keys"])}
    real = keys[r"ControlSet001\Services\xenfilt"]
    hive = add_family(corpus.read("win10-19041-x64-vmware/SYSTEM"), "aws_pv")
    (ours,) = (each for each in read(hive).control_sets[0].services if each.name == "xenfilt")
    assert (ours.image_path, ours.start, ours.type) == tuple(real[name]["data"] for name in ("ImagePath", "Start", "Type"))
    assert (ours.group, ours.error_control) == (real["Group"]["data"], real["ErrorControl"]["data"])


def test_damaged_and_malformed_hives_are_refused_or_read_never_worse(corpus):
    sets = ("yarp-malformed", "yarp-wellformed", "ez-odd", "hivex-images", "yarp-badlogs", "winxp-x86-vmware-corrupted")
    for name in (name for each in sets for name in corpus.names(each + "/")):
        try:
            facts = read(corpus.read(name))
        except Refused as refusal:
            assert refusal.first.kind is ReasonKind.HIVE_DAMAGED, name
        else:
            assert decode(SystemFacts, encode(facts)) == facts, name
        assert windows_facts(corpus.read(name), None, None, Architecture.UNKNOWN).server in (True, False, Missing.ABSENT)


def test_a_real_hive_cut_or_scrambled_is_refused_or_read_never_worse(corpus):
    whole = corpus.read("win2003-sp1-x86-vmware-dc/SYSTEM")
    for seed in range(12):
        data = bytearray(whole)
        for step in range(400):
            place = 4096 + (seed * 7919 + step * 104729 * (seed + 1)) % (len(data) - 4096)
            data[place] = (data[place] + 1 + step) % 256
        for each in (bytes(data), bytes(data[: len(data) * (seed + 1) // 13])):
            try:
                decode(SystemFacts, encode(read(each)))
            except Refused as refusal:
                assert refusal.first.kind is ReasonKind.HIVE_DAMAGED
