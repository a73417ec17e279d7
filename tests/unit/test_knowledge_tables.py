# SPDX-License-Identifier: Apache-2.0
"""What the tables must say, written down a second time from vendors' sources: a slip of the pen in a row fails here."""

import pytest
from unxen.knowledge.loader import load_knowledge
from unxen.knowledge.tables import Controller, NtVersion, XenRole
from unxen.model.ids import Bus

KNOWLEDGE = load_knowledge()
SERVICES = {row.name: row for row in KNOWLEDGE.xen_services}
FILTERS = {row.name: row for row in KNOWLEDGE.xen_filters}

# What each family's installer makes: services by the Start that they shall have after a repair (None: left alone).
WINPV = {"xenbus": 4, "xenfilt": 4, "xendisk": 4, "xenvbd": 3, "xenvif": 3, "xennet": 3, "xeniface": 3}
TOOLS = {"xenbus_monitor": 4, "xen": None}
KEYBOARD = {"xenvkbd": 3, "xenhid": 3, "xencons": 3, "xencons_monitor": 4}
FAMILIES = {
    "xenproject_winpv": {**WINPV, **TOOLS, **KEYBOARD, "xenagent": 4},
    "xcpng": {
        **WINPV,
        **TOOLS,
        **KEYBOARD,
        **dict.fromkeys(("xenagent", "xensvc", "xeninstall", "xenplusxn", "installagent"), 4),
    },
    "xenserver_citrix_hypervisor": {
        **WINPV,
        **TOOLS,
        **dict.fromkeys(("xenagent", "xensvc", "xeninstall", "installagent"), 4),
    },
    "xenserver_6_1_to_6_6": {**WINPV, **dict.fromkeys(("xenlite", "xensvc", "xeninstall", "xenpvinstall"), 4)},
    "citrix_legacy": {
        **dict.fromkeys(("xenevtchn", "xevtchn", "scsifilt", "xensvc", "xeninp", "xenaud", "xenvesa-miniport"), 4),
        **dict.fromkeys(("xenvbd", "xennet", "xennet6", "xenwnet", "xenwnet6", "xenvusb", "xenv4v"), 3),
        "xenutil": None,
    },
    "aws_pv": {**WINPV, **TOOLS, "awsliteagent": 4},
    "aws_citrix": {
        **dict.fromkeys(("xenevtchn", "scsifilt", "xensvc"), 4),
        **dict.fromkeys(("xenvbd", "xennet", "xennet6", "xenvif", "xeniface"), 3),
    },
    "redhat_xenpv": {"rhelscsi": 4, "rhelfltr": 4, "rhelnet": 3, "rhelsvc": 4},
    "gplpv": {
        **dict.fromkeys(("xenpci", "xenvbd", "xennet", "xenscsi", "xenstub", "xenusb"), 3),
        **dict.fromkeys(("xenvbdfilter", "xencache", "shutdownmon"), 4),
    },
    "gplpv_old": {
        **dict.fromkeys(("xenpci", "xenvbd", "xennet", "xenscsi", "xenstub"), 3),
        **dict.fromkeys(("xenhide", "xenconfig", "xenaddresource", "xenshutdownmon"), 4),
    },
    "suse_vmdp_xen": {"xenbus": 4, "xenblk": 3, "xenscsi": 3, "xennet": 3, "xensvc": 4},
    "suse_vmdp_pvvx": dict.fromkeys(("pvvxbn", "pvvxblk", "pvvxscsi", "pvvxnet", "pvvxsvc")),
    "qubes": {**WINPV, **TOOLS, "xenagent": 4},
    "oracle_ovm": {"xenpci": 3, "ovmvbd": None, "ovmnet": None},
    "huawei_uvp": {"xenpci": 3, "xenvbd": 3, "xennet": 3},
}
# Names that others use too: only the path of the program proves them.
GENERIC = {
    "installagent": (r"C:\Program Files\Citrix\XenTools\InstallAgent.exe", r"C:\Windows\InstallAgent.exe"),
    "xensvc": (r'"C:\Program Files\Citrix\XenTools\XenGuestAgent.exe"', r"C:\xensvc\service.exe"),
    "shutdownmon": (r"C:\Program Files\Xen PV Drivers\bin\shutdownmon.exe", r"C:\Program Files\UPS\shutdownmon.exe"),
}
# The controller by which a Windows finds its disk on a bus; None: it has no driver of its own.
XP, V2003, VISTA, SEVEN, EIGHT, EIGHT_1 = (5, 1, 2600), (5, 2, 3790), (6, 0, 6002), (6, 1, 7601), (6, 2, 9200), (6, 3, 9600)
TEN, V2022, V2025 = (10, 0, 19045), (10, 0, 20348), (10, 0, 26100)
INBOX = {
    Bus.IDE: dict.fromkeys((XP, V2003, VISTA, SEVEN, EIGHT, EIGHT_1, TEN, V2022, V2025), "intelide"),
    Bus.SATA: {
        **dict.fromkeys((XP, V2003)),
        **dict.fromkeys((VISTA, SEVEN), "msahci"),
        **dict.fromkeys((EIGHT, EIGHT_1, TEN, V2022, V2025), "storahci"),
    },
    Bus.NVME: {**dict.fromkeys((XP, V2003, VISTA, SEVEN, EIGHT)), **dict.fromkeys((EIGHT_1, TEN, V2022, V2025), "stornvme")},
    Bus.SCSI_MPTSAS: {**dict.fromkeys((XP, V2003)), **dict.fromkeys((VISTA, SEVEN, EIGHT, EIGHT_1, TEN), "LSI_SAS")},
    Bus.SCSI_MEGASAS: {**dict.fromkeys((XP, V2003)), **dict.fromkeys((VISTA, SEVEN, EIGHT, EIGHT_1, TEN), "megasas")},
    Bus.SCSI_LSI: dict.fromkeys((XP, V2003, VISTA, SEVEN, EIGHT, EIGHT_1, TEN, V2022, V2025)),
    Bus.VIRTIO_BLK: dict.fromkeys((XP, SEVEN, TEN, V2025)),
    Bus.VIRTIO_SCSI: dict.fromkeys((XP, SEVEN, TEN, V2025)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_exactly_these_services_with_this_start(family: str):
    assert {row.name: row.start_after for row in KNOWLEDGE.xen_services if family in row.families} == FAMILIES[family]


def test_no_family_is_forgotten():
    assert {row.id for row in KNOWLEDGE.families} == set(FAMILIES)


def test_only_pvvx_drives_virtio_too():
    assert [row.id for row in KNOWLEDGE.families if row.dual_use] == ["suse_vmdp_pvvx"]


def test_filters_root_devices_and_programs_are_switched_off_for_good():
    roles = (XenRole.FILTER, XenRole.ROOT, XenRole.AGENT, XenRole.MONITOR)
    rows = [row for row in KNOWLEDGE.xen_services if row.role in roles and "suse_vmdp_pvvx" not in row.families]
    assert {row.start_after for row in rows} == {4}


def test_every_filter_that_breaks_a_boot_or_sits_on_a_xen_device_is_known():
    fatal = {"xenfilt", "scsifilt", "xenpci", "xenhide", "rhelfltr"}
    of_the_article = {"xenpci", "xenvbd", "xennet", "xenhide"}
    on_devices = {"xendisk", "xenvbdfilter", "xenconfig", "xenaddresource"}
    assert set(FILTERS) == fatal | of_the_article | on_devices


@pytest.mark.parametrize("name", GENERIC)
def test_a_generic_name_is_proven_by_its_path_alone(name: str):
    proof = SERVICES[name].proof
    right, wrong = GENERIC[name]
    assert any(part.lower() in right.lower() for part in proof)
    assert not any(part.lower() in wrong.lower() for part in proof)


def test_nothing_but_generic_names_needs_proof():
    assert {row.name for row in KNOWLEDGE.xen_services if row.proof} == set(GENERIC)


@pytest.mark.parametrize("bus", INBOX, ids=lambda bus: bus.value)
def test_each_windows_has_this_driver_for_a_bus(bus: Bus):
    found = {version: _first(bus, version) for version in INBOX[bus]}
    assert found == INBOX[bus]


def _first(bus: Bus, version: NtVersion) -> str | None:
    """The inbox driver whose id is the most special one that QEMU shows on that bus."""
    ids = [each for row in KNOWLEDGE.emulated if row.bus is bus for each in row.ids]
    ranked = [(_rank(row, ids), row.service) for row in KNOWLEDGE.controllers if row.bus is bus and row.inbox]
    fitting = [
        (rank, service)
        for rank, service in ranked
        if rank < len(ids)
        and any(row.nt_from <= version <= row.nt_to for row in KNOWLEDGE.controllers if row.service == service and row.inbox)
    ]
    return min(fitting)[1] if fitting else None


def _rank(row: Controller, ids: list[str]) -> int:
    return min((ids.index(each) for each in row.ids if each in ids), default=len(ids))


def test_the_article_is_followed_service_by_service():
    assert {row.service: (row.start, row.number) for row in KNOWLEDGE.article} == {
        **dict.fromkeys(("msahci", "pciide", "iaStor", "iaStorV", "iaStorAVC"), (0, 6)),
        **dict.fromkeys(("xenpci", "xenvbd", "xennet"), (3, 7)),
    }
    for row in KNOWLEDGE.article:
        if row.number == 7:
            assert SERVICES[row.service].start_after == row.start


def test_hardware_ids_go_from_special_to_general():
    for row in KNOWLEDGE.emulated:
        vendor, device = row.ids[0].split("&")[:2]
        special = [each for each in row.ids if each.startswith(f"{vendor}&{device}")]
        assert list(row.ids[: len(special)]) == special, row.why
        assert f"{vendor}&{device}" in special
        assert all(each.startswith(r"PCI\CC_") for each in row.ids[-2:])
