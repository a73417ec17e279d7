# SPDX-License-Identifier: Apache-2.0
"""The verdict on a guest: when something is done, on which bus, and when it is refused instead."""

from dataclasses import replace

import pytest
from unit.facts_builder import (
    DISK,
    HDC,
    ICH9,
    KEYBOARD,
    PIIX3,
    SCSI,
    SMALL_KNOWLEDGE,
    SYSTEM,
    Windows,
    driver_file,
    override,
    string,
)
from unxen.model.guest import Machine
from unxen.model.ids import Architecture, Bus, DiskNumber, Firmware, InstallationId, KeyPath, MachineType, Offset, PartitionNumber
from unxen.model.judgement import Judgement, Note, NoteKind, Verdict, XenPart
from unxen.model.reason import ReasonKind, reason
from unxen.model.registry_facts import SelectFacts
from unxen.model.volume_facts import Content, Partition
from unxen.plan.judge import judge
from unxen.plan.plan_id import make_plan


def judged(*windows: Windows, machine: Machine | None = None, **options: object) -> Judgement:
    return judge(windows[0].facts(*windows[1:]), machine or Machine(), SMALL_KNOWLEDGE, **options)  # type: ignore[arg-type]


def kinds(judgement: Judgement) -> list[ReasonKind]:
    return [each.kind for each in judgement.reasons]


def notes(judgement: Judgement, kind: NoteKind) -> list[Note]:
    return [note for each in judgement.installations for note in each.notes if note.kind is kind]


def rules(judgement: Judgement) -> set[str]:
    return {edit.rule for each in judgement.plan.installations for edit in each.edits}


def on_kvm(windows: Windows) -> Windows:
    return windows.device(r"PCI\VEN_1AF4&DEV_1000&SUBSYS_00011AF4", "netkvm")


# When something is done


@pytest.mark.parametrize("generation", ["xp", "2003", "7", "10", "2022"])
def test_without_evidence_of_xen_every_windows_is_healthy(generation: str) -> None:
    judgement = judged(Windows(generation))
    assert (judgement.verdict, judgement.plan.empty, judgement.bus) == (Verdict.HEALTHY, True, Bus.IDE)


def test_a_bus_it_could_not_start_from_makes_no_windows_ill() -> None:
    judgement = judged(Windows("7"), machine=Machine(bus=Bus.SATA))
    assert (judgement.verdict, judgement.bus) == (Verdict.HEALTHY, Bus.SATA)
    assert [note.subject for note in notes(judgement, NoteKind.HEALTHY_ELSEWHERE)] == ["ide"]


def test_a_repaired_windows_that_overrode_the_absent_controllers_again_is_healthy() -> None:
    ran = Windows().service("storahci", 0).service("xenbus", 4).service("xenvbd", 3).service("xenfilt", 4, overrides=override(0))
    for name in ("intelide", "atapi", "pciide"):
        ran.service(name, 0, overrides=override(0))
    for options in ({}, {"machine": Machine(bus=Bus.SATA)}, {"bus": Bus.SATA}):
        assert judged(ran, **options).verdict is Verdict.HEALTHY
        assert judged(ran, **options).plan.empty


@pytest.mark.parametrize(
    "windows",
    [
        Windows().service("xenbus", 0).service("storahci", 0),
        Windows().service("storahci", 0).filters(SYSTEM, "upper", "XENFILT"),
        Windows().service("storahci", 0).filters(SCSI, "upper", "XenPci"),
        Windows().service("storahci", 0).device_filters(r"ACPI\PNP0A03", "upper", "rhelfltr"),
    ],
)
def test_each_kind_of_evidence_makes_a_windows_repairable(windows: Windows) -> None:
    judgement = judged(windows)
    assert judgement.verdict is Verdict.REPAIRABLE and not judgement.plan.empty
    assert any(edit.required for each in judgement.plan.installations for edit in each.edits)


@pytest.mark.parametrize(
    "windows",
    [
        Windows().service("xenbus", 4).service("xenvbd", 3),
        Windows().service("xenagent", 2),
        Windows().device(r"XENBUS\VEN_XP0001&DEV_VBD", "xenvbd"),
        Windows().device_filters(r"XENBUS\VEN_XP0001&DEV_VBD", "upper", "xendisk"),
        Windows().leftover(r"Services\XEN\Unplug", DISKS=1),
    ],
)
def test_traces_are_told_and_nothing_is_done(windows: Windows) -> None:
    judgement = judged(windows)
    assert judgement.verdict is Verdict.HEALTHY and judgement.plan.empty
    assert notes(judgement, NoteKind.XEN_TRACES)


def test_a_definition_that_speaks_of_xen_is_evidence() -> None:
    windows = Windows("7")
    machine = Machine(bus=Bus.SATA, xen_leftovers=("xen-platform",))
    assert judged(windows, machine=machine).verdict is Verdict.REPAIRABLE
    assert judged(Windows().service("storahci", 0), machine=machine).verdict is Verdict.HEALTHY


def test_a_bus_asked_for_is_judged_without_any_xen() -> None:
    judgement = judged(Windows("7"), bus=Bus.SATA)
    assert (judgement.verdict, judgement.bus) == (Verdict.REPAIRABLE, Bus.SATA)
    assert judged(Windows("7"), bus=Bus.IDE).verdict is Verdict.HEALTHY


def test_a_windows_that_ran_on_kvm_is_left_alone_unless_it_is_asked_for() -> None:
    windows = on_kvm(Windows().xen())
    judgement = judged(windows)
    assert judgement.verdict is Verdict.HEALTHY and judgement.plan.empty
    assert judgement.installations[0].ran_on_kvm
    assert notes(judgement, NoteKind.RAN_ON_KVM) and notes(judgement, NoteKind.XEN_TRACES)
    assert judged(windows, bus=Bus.SATA).verdict is Verdict.REPAIRABLE
    assert judged(windows, repair_kvm_guests=True).verdict is Verdict.REPAIRABLE


def test_beside_a_windows_that_is_repaired_one_that_ran_on_kvm_starts_from_the_same_bus() -> None:
    ill, ran = Windows("10").xen(), on_kvm(Windows("7").xen())
    judgement = judged(ill, ran)
    assert [each.verdict for each in judgement.installations] == [Verdict.REPAIRABLE, Verdict.REPAIRABLE]
    assert judged(ran, on_kvm(Windows("10").xen())).verdict is Verdict.HEALTHY


def test_the_firmware_that_windows_remembers_tells_of_kvm() -> None:
    assert judged(Windows().xen().system(hardware_configs=(r"{1}\SystemManufacturer=QEMU",))).installations[0].ran_on_kvm
    assert not judged(Windows().xen().system(hardware_configs=(r"{QEMU}\SystemManufacturer=Xen",))).installations[0].ran_on_kvm


def test_a_device_of_kvm_without_a_driver_tells_nothing() -> None:
    assert not judged(Windows().xen().device(r"PCI\VEN_1AF4&DEV_1000", "")).installations[0].ran_on_kvm


# Control sets


def test_every_control_set_is_edited_by_itself() -> None:
    windows = Windows("7", sets=(1, 2, 3)).service("xenbus", 0, only=2).filters(HDC, "upper", "XENFILT", only=3)
    windows.service("msahci", 0, only=1)
    edits = judged(windows).plan.installations[0].edits
    assert {edit.control_set for edit in edits if edit.rule in ("xen_services", "class_filters")} == {2, 3}
    assert not [edit for edit in edits if edit.control_set == 1]
    assert [edit.control_set for edit in edits] == sorted(edit.control_set for edit in edits)


@pytest.mark.parametrize(("default", "current", "deciding"), [(2, 1, 2), (9, 2, 2), (9, 9, 1)])
def test_the_set_that_the_next_start_takes_decides(default: int, current: int, deciding: int) -> None:
    windows = Windows("7", sets=(1, 2))
    windows.select = SelectFacts(current, default, 0, 1)
    judgement = judged(windows, bus=Bus.SATA)
    assert {chain.control_set for chain in judgement.installations[0].chains} == {deciding}


def test_a_broken_spare_set_does_not_refuse_the_one_that_starts() -> None:
    windows = Windows(sets=(1, 2)).xen().filters(DISK, "upper", "gone", "partmgr", only=2)
    assert judged(windows).verdict is Verdict.REPAIRABLE


# Bus choice


def test_xp_goes_to_ide_and_newer_ones_to_the_first_of_the_preference() -> None:
    assert judged(Windows("xp").xen()).bus is Bus.IDE
    assert judged(Windows("10").xen()).bus is Bus.SATA
    assert judged(Windows("10").xen(), preference=(Bus.IDE, Bus.SATA)).bus is Bus.IDE


def test_the_present_bus_wins_when_services_and_filters_make_it_whole() -> None:
    judgement = judged(Windows().xen(), machine=Machine(bus=Bus.IDE, board=MachineType.I440FX))
    assert (judgement.verdict, judgement.bus) == (Verdict.REPAIRABLE, Bus.IDE)


def test_a_present_bus_that_needs_more_than_services_and_filters_waits_for_the_others() -> None:
    windows = Windows("xp").xen().no_match(PIIX3).service("viostor", 0).device(r"PCI\VEN_1AF4&DEV_1001", "viostor")
    machine = Machine(bus=Bus.IDE, offered=(Bus.VIRTIO_BLK,))
    assert judged(windows, machine=machine, repair_kvm_guests=True).bus is Bus.VIRTIO_BLK
    assert judged(Windows("xp").xen().no_match(PIIX3), machine=machine).bus is Bus.IDE


def test_a_xen_bus_never_wins() -> None:
    assert judged(Windows().xen(), machine=Machine(bus=Bus.XEN)).bus is Bus.SATA
    assert kinds(judged(Windows().xen(), bus=Bus.XEN)) == [ReasonKind.BUS_NOT_POSSIBLE]


def test_a_virtio_bus_is_left_when_its_driver_is_missing_and_kept_when_it_is_there() -> None:
    machine = Machine(bus=Bus.VIRTIO_BLK)
    assert judged(Windows().xen(), machine=machine).bus is Bus.SATA
    ready = Windows().xen().service("viostor", 0).match(r"PCI\VEN_1AF4&DEV_1001", "oem4.inf", "viostor")
    assert judged(ready, machine=machine).bus is Bus.VIRTIO_BLK


def test_only_buses_that_the_platform_offers_are_chosen() -> None:
    assert judged(Windows().xen(), machine=Machine(offered=(Bus.IDE,))).bus is Bus.IDE


def test_xp_on_a_q35_board_has_no_bus_and_the_link_is_named() -> None:
    judgement = judged(Windows("xp").xen(), machine=Machine(bus=Bus.SATA, board=MachineType.Q35))
    assert kinds(judgement) == [ReasonKind.NO_BOOTABLE_BUS] and judgement.plan.empty
    assert (judgement.reasons[0].detail("link"), judgement.reasons[0].detail("bus")) == ("controller", "sata")
    assert kinds(judged(Windows("xp").xen(), bus=Bus.IDE, machine=Machine(board=MachineType.Q35))) == [ReasonKind.BUS_NOT_POSSIBLE]


def test_a_bus_asked_for_that_cannot_work_is_refused_with_its_link() -> None:
    judgement = judged(Windows(), bus=Bus.VIRTIO_BLK)
    assert kinds(judgement) == [ReasonKind.BUS_NOT_POSSIBLE]
    assert (judgement.reasons[0].detail("link"), judgement.reasons[0].detail("about")) == ("controller", "viostor")


def test_several_installations_get_one_bus_that_suits_all() -> None:
    judgement = judged(Windows("10").xen(), Windows("xp"))
    assert (judgement.verdict, judgement.bus) == (Verdict.REPAIRABLE, Bus.IDE)
    assert [each.verdict for each in judgement.installations] == [Verdict.REPAIRABLE, Verdict.HEALTHY]


def test_an_installation_that_shares_the_new_bus_is_made_to_start_from_it() -> None:
    judgement = judged(Windows("10").xen(), Windows("7"))
    assert [each.installation for each in judgement.plan.installations] == [r"1:1:\Windows", r"2:1:\Windows"]


def test_of_several_installations_one_can_be_chosen() -> None:
    judgement = judged(Windows("xp").xen(), Windows("10").xen(), installation=InstallationId(r"2:1:\Windows"))
    assert (judgement.bus, [each.installation for each in judgement.installations]) == (Bus.SATA, [r"2:1:\Windows"])


def test_when_no_bus_suits_all_the_installation_that_stands_in_the_way_is_named() -> None:
    judgement = judged(Windows("10").xen(), Windows("xp"), machine=Machine(board=MachineType.Q35))
    assert [each.subject for each in judgement.reasons] == [r"2:1:\Windows"]
    assert (judgement.verdict, judgement.plan.empty) == (Verdict.REFUSED, True)


# Refusals


def test_an_installation_that_is_not_there_is_refused() -> None:
    judgement = judged(Windows(), installation=InstallationId("9"))
    assert kinds(judgement) == [ReasonKind.NO_SUCH_INSTALLATION]
    assert judgement.reasons[0].detail("found") == r"1:1:\Windows"


def test_troubles_refuse_with_their_own_reasons() -> None:
    trouble = reason(ReasonKind.HIBERNATED, r"1:1:\Windows")
    judgement = judged(Windows().xen().troubles(trouble))
    assert (judgement.verdict, judgement.reasons, judgement.plan.empty) == (Verdict.REFUSED, (trouble,), True)
    assert judgement.installations[0].xen


def test_one_refused_installation_refuses_the_guest() -> None:
    bad = Windows().troubles(reason(ReasonKind.HIVE_DIRTY))
    assert judged(Windows().xen(), bad).verdict is Verdict.REFUSED
    assert judged(Windows().xen(), bad).plan.empty
    assert judged(Windows().xen(), bad, installation=InstallationId(r"1:1:\Windows")).verdict is Verdict.REPAIRABLE


def test_a_hive_that_could_not_be_read_is_refused_even_without_troubles() -> None:
    facts = Windows().facts()
    unread = replace(facts, installations=(replace(facts.installations[0], system=None),))
    assert kinds(judge(unread, Machine(), SMALL_KNOWLEDGE)) == [ReasonKind.HIVE_DAMAGED]
    assert kinds(judged(Windows().system(control_sets=()))) == [ReasonKind.HIVE_DAMAGED]


@pytest.mark.parametrize(
    "key", ["", "Select", r"ControlSet001\Services\foo", r"ControlSet001\Control\Class\{1}", r"ControlSet001\Enum\PCI"]
)
def test_unread_keys_on_the_way_to_the_verdict_are_never_called_healthy(key: str) -> None:
    assert kinds(judged(Windows().system(unread=(KeyPath(key),)))) == [ReasonKind.HIVE_DAMAGED]


def test_unread_keys_elsewhere_are_told() -> None:
    judgement = judged(Windows().system(unread=(KeyPath(r"ControlSet001\Control\Nls"),)))
    assert judgement.verdict is Verdict.HEALTHY and notes(judgement, NoteKind.UNREAD_KEYS)


@pytest.mark.parametrize("version", [(4, 0, 1381), (5, 0, 2195)])
def test_windows_of_which_too_little_is_known_is_refused(version: tuple[int, int, int]) -> None:
    windows = Windows("xp").xen()
    windows.version = version
    assert kinds(judged(windows)) == [ReasonKind.WINDOWS_UNSUPPORTED]


def test_windows_for_arm_is_judged_but_never_changed() -> None:
    whole = Windows()
    whole.architecture = Architecture.ARM64
    assert judged(whole, bus=Bus.IDE).verdict is Verdict.HEALTHY
    ill = Windows().xen()
    ill.architecture = Architecture.ARM64
    assert kinds(judged(ill)) == [ReasonKind.WINDOWS_UNSUPPORTED]


def test_windows_of_unknown_version_is_never_changed() -> None:
    windows = Windows().xen()
    windows.version = (0, 0, 0)
    assert kinds(judged(windows)) == [ReasonKind.WINDOWS_UNSUPPORTED]


def test_a_dangling_foreign_filter_is_named_and_refused() -> None:
    judgement = judged(Windows().xen().filters(DISK, "upper", "gone", "partmgr", "off").service("off", 4))
    assert kinds(judgement) == [ReasonKind.DANGLING_FILTER, ReasonKind.DANGLING_FILTER, ReasonKind.NO_BOOTABLE_BUS]
    assert [each.subject for each in judgement.reasons[:2]] == ["gone", "off"]
    assert judgement.reasons[0].detail("cause") == "service-absent" and judgement.plan.empty


def test_somebody_elses_driver_sends_the_guest_to_another_bus() -> None:
    windows = Windows().xen().match(ICH9, "oem7.inf", "iaStorA").device(ICH9, "iaStorA")
    assert judged(windows).bus is Bus.IDE
    assert notes(judged(windows), NoteKind.THIRD_PARTY_DRIVER)
    refused = judged(windows, bus=Bus.SATA)
    assert kinds(refused) == [ReasonKind.THIRD_PARTY_DRIVER, ReasonKind.BUS_NOT_POSSIBLE]
    assert refused.reasons[0].subject == "iaStorA"


def test_a_list_on_the_way_that_is_not_understood_is_refused() -> None:
    judgement = judged(Windows().filters(SYSTEM, "upper", value=string("XENFILT vmci")))
    assert kinds(judgement) == [ReasonKind.NO_BOOTABLE_BUS] and judgement.reasons[0].detail("finding") == "filter-not-understood"
    assert notes(judgement, NoteKind.ODD_FILTER_LIST)


def test_a_list_off_the_way_that_is_not_understood_is_only_told() -> None:
    judgement = judged(Windows().xen().filters(KEYBOARD, "upper", value=string("XENFILT kbdclass")))
    assert judgement.verdict is Verdict.REPAIRABLE and notes(judgement, NoteKind.ODD_FILTER_LIST)
    assert not [edit for edit in judgement.plan.installations[0].edits if KEYBOARD in edit.key]


def test_the_wrong_firmware_is_refused_on_every_bus() -> None:
    judgement = judged(Windows().xen(), machine=Machine(bus=Bus.SATA, firmware=Firmware.UEFI))
    assert kinds(judgement) == [ReasonKind.NO_BOOTABLE_BUS] and judgement.reasons[0].detail("link") == "firmware"


def test_a_deleted_partmgr_is_refused_and_told() -> None:
    judgement = judged(Windows().xen().without("partmgr").no_list(DISK, "upper"))
    assert judgement.verdict is Verdict.REFUSED and notes(judgement, NoteKind.MISSING_CLASS_FILTER)


@pytest.mark.parametrize("beside", [driver_file("pciidex.sys", False)])
def test_xp_without_a_file_that_ide_needs_is_refused(beside: tuple) -> None:
    assert kinds(judged(Windows("xp").xen().system(driver_files=beside))) == [ReasonKind.NO_BOOTABLE_BUS]


# No Windows


@pytest.mark.parametrize(
    ("content", "verdict", "kind"),
    [
        (Content.BITLOCKER, Verdict.REFUSED, ReasonKind.ENCRYPTED),
        (Content.LDM, Verdict.REFUSED, ReasonKind.DYNAMIC_DISK),
        (Content.STORAGE_SPACE, Verdict.REFUSED, ReasonKind.STORAGE_SPACE),
        (Content.OTHER, Verdict.NO_WINDOWS, ReasonKind.NO_WINDOWS),
        (Content.NTFS, Verdict.NO_WINDOWS, ReasonKind.NO_WINDOWS),
    ],
)
def test_disks_without_windows_say_why(content: Content, verdict: Verdict, kind: ReasonKind) -> None:
    partition = Partition(DiskNumber(1), PartitionNumber(2), "07", Offset(0), 1, False, content)
    facts = replace(Windows().on_disk(partitions=(partition,)).facts(), installations=())
    judgement = judge(facts, Machine(), SMALL_KNOWLEDGE)
    assert (judgement.verdict, kinds(judgement), judgement.plan.empty) == (verdict, [kind], True)
    if kind is not ReasonKind.NO_WINDOWS:
        assert judgement.reasons[0].subject == "1:2"


# Notes


def test_what_becomes_of_the_articles_services_is_told() -> None:
    windows = Windows("7").xen().service("iaStorV", 3, file_seen=False).service("pciide", 0)
    found = {note.subject: dict(note.details)["state"] for note in notes(judged(windows), NoteKind.ARTICLE_SERVICE)}
    assert found == {
        "msahci": "set to 0",
        "pciide": "already 0",
        "iaStorV": "file missing",
        "xenpci": "absent",
        "xenvbd": "set to 3",
    }


def test_damage_by_earlier_mends_is_told() -> None:
    assert [note.subject for note in notes(judged(Windows().no_list(KEYBOARD, "upper")), NoteKind.EMPTIED_CLASS)] == ["Keyboard"]
    assert notes(judged(Windows().no_list(DISK, "upper")), NoteKind.MISSING_CLASS_FILTER)
    assert not notes(judged(Windows()), NoteKind.EMPTIED_CLASS)


@pytest.mark.parametrize(
    ("heads", "size", "told"), [(0xFF, 20 << 30, False), (0x80, 20 << 30, True), (0x80, 3 << 30, False), (0x40, 1 << 30, False)]
)
def test_heads_of_an_old_boot_sector_are_held_against_the_disk(heads: int, size: int, told: bool) -> None:
    windows = Windows("xp").xen()
    volume = replace(windows.disk_facts(1).volumes[0], heads=heads)
    assert bool(notes(judged(windows.on_disk(volumes=(volume,), size=size)), NoteKind.BOOT_SECTOR_HEADS)) is told
    newer = Windows("7").xen().on_disk(volumes=(volume,), size=size)
    assert not notes(judged(newer), NoteKind.BOOT_SECTOR_HEADS)


def test_other_things_worth_knowing_are_told() -> None:
    windows = Windows().service("xenmystery", 3, image_path=r"\x\xenmystery.sys").service("pvvxblk", 0)
    windows.system(setup_in_progress=True).control_set(restrictions=("a=1",))
    windows.select = SelectFacts(1, 1, 2, 1)
    judgement = judged(windows)
    for kind in (
        NoteKind.UNKNOWN_XEN_SERVICE,
        NoteKind.DUAL_USE_DRIVER,
        NoteKind.SETUP_IN_PROGRESS,
        NoteKind.RESTRICTIONS,
        NoteKind.CONTROL_SET_FAILED,
    ):
        assert len(notes(judgement, kind)) == 1


def test_what_xen_left_is_listed_by_kind_and_family() -> None:
    windows = Windows().xen().device(r"PCI\VEN_5853&DEV_0001", "xenbus").leftover(r"Services\XEN\Unplug", DISKS=1)
    found = judged(windows).installations[0].xen
    assert {each.part for each in found} == set(XenPart)
    assert {(each.subject, each.evidence) for each in found if each.part is XenPart.SERVICE} == {
        ("xenbus", True),
        ("xenfilt", True),
        ("xenvbd", True),
        ("xennet", False),
        ("xenagent", False),
    }


# Plans


def test_equal_facts_give_equal_plans_and_other_facts_another() -> None:
    assert judged(Windows().xen()).plan == judged(Windows().xen()).plan
    assert judged(Windows().xen()).plan.id != judged(Windows().xen(), bus=Bus.IDE).plan.id
    assert make_plan(Bus.SATA, ()).id != make_plan(Bus.IDE, ()).id


def test_lists_are_cut_before_the_services_they_name() -> None:
    edits = judged(Windows("7").xen().no_match(PIIX3)).plan.installations[0].edits
    order = list(dict.fromkeys(edit.rule for edit in edits))
    assert order == ["class_filters", "xen_services", "inbox_controllers"]
    assert judged(Windows("10").xen()).plan.installations[0].edits[-1].rule == "overrides"
