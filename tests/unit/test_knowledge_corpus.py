# SPDX-License-Identifier: Apache-2.0
"""The tables against real hives: what they call boot services starts at boot there, and Windows finds controllers as they say."""

import pytest
from unxen.knowledge.loader import load_knowledge
from unxen.knowledge.tables import NtVersion
from unxen.model.ids import Architecture, GuestPath
from unxen.model.registry_facts import ControlSetFacts, FilterScope, SystemFacts
from unxen.plan.names import fold
from unxen.plan.names import in_range as within
from unxen.probe.system_hive import read_system
from unxen.probe.wanted_names import wanted_from
from unxen.probe.windows_version import windows_facts

pytestmark = pytest.mark.corpus
KNOWLEDGE = load_knowledge()
HIVES = (
    "winxp-sp3-x86-dell-m57pat/SYSTEM",
    "winxp-sp3-x86-virtualpc-iecompat/SYSTEM",
    "win2003-sp1-x86-vmware-dc/SYSTEM",
    "win7-sp1-x86-vmware-wks/SYSTEM",
    "win81-x64-virtualbox-dirty-nologs/SYSTEM",
    "win10-1709-x64-dell-dirty-logs/SYSTEM.recovered",
    "win10-19041-x64-vmware/SYSTEM",
)


@pytest.fixture(scope="module", params=HIVES, ids=lambda name: name.partition("/")[0])
def hive(request, corpus) -> tuple[SystemFacts, NtVersion]:
    data = corpus.read(request.param)
    facts = read_system(data, wanted_from(KNOWLEDGE), lambda _path: True, GuestPath(r"\Windows"))
    return facts, windows_facts(data, None, None, Architecture.UNKNOWN).version


def current(facts: SystemFacts) -> ControlSetFacts:
    return next(each for each in facts.control_sets if each.number == facts.select.current)


def test_boot_services_are_there_and_start_at_boot(hive):
    facts, version = hive
    services = {fold(each.name): each for each in current(facts).services}
    rows = [row for row in KNOWLEDGE.boot_services if within(version, row.nt_from, row.nt_to)]
    assert {row.service for row in rows} >= {"ACPI", "pci", "disk", "partmgr", "mountmgr", "volsnap"}
    for row in rows:
        service = services.get(fold(row.service))
        assert service is not None or not row.required, row.service
        assert service is None or (service.start, service.overrides) == (0, None), row.service


def test_windows_takes_the_driver_of_the_table_for_each_id(hive):
    """Where the hive has a row for an id of an inbox driver, it leads to that driver."""
    facts, version = hive
    rows = [row for row in KNOWLEDGE.controllers if row.inbox and within(version, row.nt_from, row.nt_to)]
    found = {fold(each.id): fold(str(each.service)) for each in facts.driver_matches}
    found |= {fold(each.id.replace("#", "\\")): fold(each.service) for each in current(facts).critical_devices}
    for row in rows:
        for device in row.ids:
            assert found.get(fold(device), fold(row.service)) == fold(row.service), device
    # Vista and later know them all from the start; XP only what it has met.
    if version >= (6, 0, 0):
        assert all(any(fold(each) in found for each in row.ids) for row in rows)


def test_qemus_lsi_controller_has_no_driver_from_vista_on(hive):
    facts, version = hive
    ids = {fold(each) for row in KNOWLEDGE.emulated if row.bus.value == "scsi-lsi" for each in row.ids if "DEV_" in each}
    found = {fold(each.id) for each in facts.driver_matches}
    found |= {fold(each.id.replace("#", "\\")) for each in current(facts).critical_devices}
    assert version < (6, 0, 0) or not ids & found


def test_stock_filters_are_listed(hive):
    facts, version = hive
    lists = {
        (fold(each.class_guid), each.side.value): set(map(fold, each.names))
        for each in current(facts).filters
        if each.scope is FilterScope.CLASS
    }
    rows = [row for row in KNOWLEDGE.stock_filters if row.nt_from <= version <= row.nt_to]
    assert len(rows) >= 3
    for row in rows:
        assert set(row.names) <= lists.get((fold(row.class_guid), row.side.value), set()), row.names


def test_nothing_of_xen_is_seen_where_there_is_none(hive):
    facts, _version = hive
    names = {fold(row.name) for row in KNOWLEDGE.xen_services} | {fold(row.name) for row in KNOWLEDGE.xen_filters}
    prefixes = tuple(fold(row.prefix) for row in KNOWLEDGE.xen_devices)
    for each in facts.control_sets:
        assert not names & {fold(service.name) for service in each.services}
        assert not names & {fold(name) for filters in each.filters for name in filters.names}
        assert not [device.id for device in each.devices if fold(device.id).startswith(prefixes)]
        assert not each.leftovers
