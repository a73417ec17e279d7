# SPDX-License-Identifier: Apache-2.0
"""The names that other repair tools know are known here too, and where another Start is set, the reason stands beside it."""

import pytest
from unxen.knowledge.loader import load_knowledge
from unxen.knowledge.tables import SettingAction

KNOWLEDGE = load_knowledge()
SERVICES = {row.name.lower(): row for row in KNOWLEDGE.xen_services}
FILTERS = {row.name.lower() for row in KNOWLEDGE.xen_filters}
CLEARED = {row.key.lower() for row in KNOWLEDGE.xen_settings if row.action is SettingAction.CLEAR and row.value is None}

# xcp-ng/win-pv-drivers XenBootFix/XenBootFix.cpp @aee8e06: fifteen services, all set to 4.
XEN_BOOT_FIX = (
    *("XenAgent", "XenBus", "XenBus_Monitor", "XenCons", "XenCons_Monitor", "XenDisk", "XenFilt", "XenHid", "XenIface"),
    *("XenInstall", "XenNet", "XenSvc", "XenVbd", "XenVif", "XenVkbd"),
)
DEMAND = "started on demand by a Xen device only, and KVM has none; 3 is what its own installer wrote"
ARTICLE = "the article asks for 3 (article:7); at 3 only a Xen device starts it, and KVM has none"
# What XenBootFix sets to 4 and unxen to 3.
OTHER_START = {
    **dict.fromkeys(("xencons", "xenhid", "xeniface", "xenvif", "xenvkbd"), DEMAND),
    **dict.fromkeys(("xennet", "xenvbd"), ARTICLE),
}
# libguestfs/virt-v2v convert/convert_windows.ml @71376bdb: one service, set to 4.
VIRT_V2V = ("rhelscsi",)
# xenserver/win-installer src/PVDriversRemoval, src/xenprep @73dadf4: set to 3; some of their names, spelled in two ways.
PURGE = ("xenevtchn", "xevtchn", "scsifilt", "xenfilt", "xenutil")


@pytest.mark.parametrize("name", XEN_BOOT_FIX)
def test_a_service_of_xenbootfix_is_switched_off_or_the_difference_has_a_reason(name: str):
    row = SERVICES[name.lower()]
    wanted = 3 if row.name in OTHER_START else 4
    assert row.start_after == wanted


def test_no_difference_stands_here_that_is_none():
    assert OTHER_START.keys() <= {name.lower() for name in XEN_BOOT_FIX}


@pytest.mark.parametrize("name", VIRT_V2V)
def test_a_service_of_virt_v2v_is_switched_off(name: str):
    assert SERVICES[name].start_after == 4


@pytest.mark.parametrize("name", PURGE)
def test_a_service_of_xenservers_purge_is_known(name: str):
    assert name in SERVICES


def test_filters_of_the_peers_are_known():
    # XenBootFix, XenClean and PVDriversPurge: xenfilt, scsifilt; AWS' script: rhelfltr; GPLPV's batch files: xenpci, xenhide.
    assert {"xenfilt", "scsifilt", "rhelfltr", "xenpci", "xenhide"} <= FILTERS


def test_settings_that_the_peers_clear_are_cleared():
    # XenBootFix: ForceUnplug; XenClean: Unplug too; PVDriversPurge: xenfilt\Unplug.
    assert {r"services\xen\forceunplug", r"services\xen\unplug", r"services\xenfilt\unplug"} <= CLEARED
