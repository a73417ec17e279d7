# SPDX-License-Identifier: Apache-2.0
"""Every Windows with every family: planned, edited, read and judged again, it starts from its bus and nothing is left to do."""

import pytest
from generators.hives import FAMILIES, GENERATIONS, windows_hive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.hive_guest import files_of, judged
from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.model.judgement import Judgement, NoteKind, Verdict, XenPart
from unxen.registry.changes import expected_changes
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive

DUAL_USE = "suse_vmdp_pvvx"
NO_AHCI = ("xp", "2003")


def edits(judgement: Judgement) -> tuple[Edit, ...]:
    return tuple(edit for each in judgement.plan.installations for edit in each.edits)


def assert_mended(hive: bytes, judgement: Judgement, **options: object) -> bytes:
    """Carries the plan out and walks the boot path again, with the eyes of the verification and of the next inspection."""
    seen = files_of(hive)
    mended = edit_hive(hive, edits(judgement))
    again = judged(mended, seen, bus=judgement.bus)
    assert (again.verdict, again.plan.empty, again.reasons) == (Verdict.HEALTHY, True, ())
    assert next(chain for chain in again.installations[0].chains if chain.bus is judgement.bus).whole
    assert judged(mended, seen).verdict is Verdict.HEALTHY
    assert set(compare(hive, mended)) == set(expected_changes(edits(judgement)))
    return mended


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_family_is_taken_off_the_boot_path(generation: str) -> None:
    for family in FAMILIES:
        if family == DUAL_USE:
            continue
        hive = windows_hive(generation, families=[family])
        judgement = judged(hive)
        assert judgement.verdict is Verdict.REPAIRABLE, family
        assert judgement.bus is (Bus.IDE if generation in NO_AHCI else Bus.SATA), family
        again = judged(assert_mended(hive, judgement), files_of(hive))
        assert not [finding for finding in again.installations[0].xen if finding.evidence or finding.part is XenPart.FILTER], family


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_windows_without_xen_is_healthy_and_nothing_is_planned(generation: str) -> None:
    judgement = judged(windows_hive(generation))
    assert (judgement.verdict, judgement.plan.empty, judgement.bus) == (Verdict.HEALTHY, True, Bus.IDE)
    assert not [note for note in judgement.installations[0].notes if note.kind is NoteKind.XEN_TRACES]


@pytest.mark.parametrize("generation", ["xp", "7", "10", "2022"])
def test_drivers_for_xen_and_virtio_alike_stay_on(generation: str) -> None:
    judgement = judged(windows_hive(generation, families=[DUAL_USE]))
    assert (judgement.verdict, judgement.plan.empty) == (Verdict.HEALTHY, True)
    beside = judged(windows_hive(generation, families=[DUAL_USE, "citrix_legacy"]))
    assert beside.verdict is Verdict.REPAIRABLE
    assert not [edit for edit in edits(beside) if "pvvx" in edit.key.lower()]


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("bus", [Bus.IDE, Bus.SATA, Bus.NVME, Bus.SCSI_MEGASAS, Bus.SCSI_MPTSAS])
def test_a_bus_asked_for_is_made_whole_or_refused(generation: str, bus: Bus) -> None:
    hive = windows_hive(generation)
    judgement = judged(hive, bus=bus)
    if judgement.verdict is Verdict.REPAIRABLE:
        assert_mended(hive, judgement)
    chain = next(chain for chain in judgement.installations[0].chains if chain.bus is bus)
    assert (judgement.verdict is Verdict.REFUSED) is (not chain.mendable)
    assert judgement.plan.empty is (judgement.verdict is not Verdict.REPAIRABLE)


ODDITIES = st.fixed_dictionaries(
    {},
    optional={
        "foreign_filter": st.just("fooflt"),
        "dangling_filter": st.sampled_from(["goneflt", "xenodd"]),
        "disk_filter": st.just("diskflt"),
        "overrides": st.dictionaries(
            st.sampled_from(["storahci", "pci", "intelide", "atapi", "disk"]), st.just(range(6)), max_size=3
        ),
        "starts": st.dictionaries(
            st.sampled_from(["atapi", "intelide", "xenbus", "msahci", "ACPI"]), st.integers(0, 4), max_size=3
        ),
        "virtio": st.just(["viostor", "vioscsi"]),
        "kvm_traces": st.just(True),
        "third_party": st.just("ownahci"),
        "emptied_keyboard": st.just(True),
        "missing_service": st.sampled_from(["partmgr", "atapi", "storahci"]),
        "no_database": st.just(True),
    },
)


# Controllers' lists written by somebody else; they replace what stands there, so they come after everything that appends.
LISTS = st.sampled_from(
    [
        {},
        {"reg_sz_list": "XENFILT"},
        {"reg_sz_list": "XENFILT other"},
        {"two_endings": ["XENFILT", "fooflt"]},
        {"no_ending": ["fooflt", "XENFILT"]},
        {"upper_cased": ["xenpci", "xenfilt"]},
    ]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    generation=st.sampled_from(GENERATIONS),
    families=st.lists(st.sampled_from(FAMILIES), max_size=2, unique=True),
    oddities=ODDITIES,
    lists=LISTS,
    bus=st.sampled_from([None, Bus.IDE, Bus.SATA, Bus.VIRTIO_BLK]),
)
def test_planning_the_result_of_a_plan_gives_an_empty_plan(generation, families, oddities, lists, bus) -> None:
    hive = windows_hive(generation, families=families, **oddities, **lists)
    judgement = judged(hive, bus=bus)
    assert judgement.plan.empty is (judgement.verdict is not Verdict.REPAIRABLE)
    if judgement.verdict is Verdict.REPAIRABLE:
        assert_mended(hive, judgement)
    if judgement.verdict is Verdict.REFUSED:
        assert judgement.reasons
