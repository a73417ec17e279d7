# SPDX-License-Identifier: Apache-2.0
"""The boot path link by link: every finding that a link can have comes from facts that a real disk can show."""

from dataclasses import replace

import pytest
from unit.facts_builder import DISK, HDC, ICH9, NET, PIIX3, SCSI, SMALL_KNOWLEDGE, SYSTEM, Windows, driver_file, override, string
from unxen.model.guest import Machine
from unxen.model.ids import Bus, Firmware, GuestPath, MachineType, Missing
from unxen.model.judgement import Finding, FindingKind, Link, LinkName, LinkState
from unxen.model.registry_facts import RegistryValue
from unxen.model.volume_facts import BootFile, Scheme
from unxen.plan.boot_path import first_broken, walk
from unxen.plan.examined import examine
from unxen.plan.view import View

Kind = FindingKind


def view(windows: Windows, machine: Machine | None = None) -> View:
    facts = windows.facts()
    examined = examine(facts, facts.installations[0], machine or Machine(), SMALL_KNOWLEDGE)
    assert examined
    return examined.deciding


def link(windows: Windows, name: LinkName, bus: Bus = Bus.IDE, machine: Machine | None = None) -> Link:
    return next(each for each in walk(view(windows, machine), bus) if each.name is name)


def found(made: Link, kind: FindingKind) -> list[Finding]:
    return [each for each in made.findings if each.kind is kind]


@pytest.mark.parametrize("generation", ["xp", "2003", "7", "10", "2022"])
def test_the_bus_windows_was_started_from_is_whole(generation: str) -> None:
    links = walk(view(Windows(generation)), Bus.IDE)
    assert first_broken(links) is None
    assert [each.name for each in links] == list(LinkName)


# Firmware


@pytest.mark.parametrize(
    ("firmware", "state", "kind"),
    [
        (Firmware.BIOS, LinkState.HOLDS, Kind.FIRMWARE_FITS),
        (Firmware.UEFI, LinkState.BROKEN, Kind.FIRMWARE_DIFFERS),
        (Firmware.UNKNOWN, LinkState.UNKNOWN, Kind.FIRMWARE_UNKNOWN),
    ],
)
def test_boot_files_must_fit_the_firmware(firmware: Firmware, state: LinkState, kind: FindingKind) -> None:
    made = link(Windows(), LinkName.FIRMWARE, machine=Machine(firmware=firmware))
    assert (made.state, made.findings[0].kind) == (state, kind)


def test_without_boot_files_the_firmware_never_blocks() -> None:
    made = link(Windows().on_disk(boot_files=()), LinkName.FIRMWARE, machine=Machine(firmware=Firmware.UEFI))
    assert made.state is LinkState.UNKNOWN


@pytest.mark.parametrize(("scheme", "state"), [(Scheme.GPT, LinkState.HOLDS), (Scheme.MBR, LinkState.BROKEN)])
def test_on_a_converted_disk_the_partition_table_decides(scheme: Scheme, state: LinkState) -> None:
    both = tuple(
        BootFile(1, 1, GuestPath(path), firmware)  # type: ignore[arg-type]
        for path, firmware in ((r"\bootmgr", Firmware.BIOS), (r"\EFI\Microsoft\Boot\bootmgfw.efi", Firmware.UEFI))
    )
    windows = Windows().on_disk(boot_files=both, scheme=scheme)
    assert link(windows, LinkName.FIRMWARE, machine=Machine(firmware=Firmware.UEFI)).state is state


# Drivers


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"start": 3}, Kind.NOT_BOOT_START),
        ({"start": Missing.ABSENT}, Kind.NOT_BOOT_START),
        ({"start": Missing.UNREADABLE}, Kind.START_UNREADABLE),
        ({"file_seen": False}, Kind.FILE_ABSENT),
        ({"overrides": override(0)}, Kind.OVERRIDDEN),
        ({"overrides": override(4)}, Kind.OVERRIDDEN),
    ],
)
@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("ACPI", LinkName.BUSES),
        ("pci", LinkName.BUSES),
        ("disk", LinkName.DISK),
        ("partmgr", LinkName.DISK),
        ("fvevol", LinkName.DISK),
    ],
)
def test_a_boot_driver_that_cannot_load_breaks_its_link(service: str, name: LinkName, changes: dict, kind: FindingKind) -> None:
    made = link(Windows().service(service, **({"start": 0} | changes)), name)
    assert made.state is LinkState.BROKEN
    assert [each.subject for each in found(made, kind)] == [service]


def test_a_deleted_boot_driver_breaks_its_link_unless_windows_can_do_without() -> None:
    assert found(link(Windows().without("partmgr"), LinkName.DISK), Kind.SERVICE_ABSENT)
    assert link(Windows().without("fvevol"), LinkName.DISK).state is LinkState.HOLDS


def test_an_override_that_says_zero_counters_nothing() -> None:
    made = link(Windows().service("intelide", 0, overrides=override(0, value=0)), LinkName.CONTROLLER)
    assert found(made, Kind.DRIVER_READY) and made.state is LinkState.HOLDS


def test_windows_7_does_not_know_overrides() -> None:
    assert link(Windows("7").service("disk", 0, overrides=override(0)), LinkName.DISK).state is LinkState.HOLDS


@pytest.mark.parametrize("seen", [Missing.UNREADABLE, Missing.NOT_LOOKED_AT])
def test_a_file_nobody_could_look_for_is_unknown_and_does_not_block(seen: Missing) -> None:
    made = link(Windows().service("disk", 0, file_seen=seen), LinkName.DISK)
    assert made.state is LinkState.UNKNOWN and found(made, Kind.FILE_UNKNOWN)


# Controller


def test_what_a_driver_requires_and_its_files_are_judged_with_it() -> None:
    assert found(link(Windows().service("atapi", 3), LinkName.CONTROLLER), Kind.NOT_BOOT_START)
    beside = link(Windows().system(driver_files=driver_file("PCIIDEX.SYS", False)), LinkName.CONTROLLER)
    assert found(beside, Kind.FILE_ABSENT)
    assert link(Windows().system(driver_files=driver_file("pciidex.sys", True)), LinkName.CONTROLLER).state is LinkState.HOLDS


def test_xp_has_no_driver_for_ahci() -> None:
    assert found(link(Windows("xp"), LinkName.CONTROLLER, Bus.SATA), Kind.NO_INBOX_DRIVER)
    assert found(link(Windows(), LinkName.CONTROLLER, Bus.NVME), Kind.NO_INBOX_DRIVER)


def test_a_driver_that_was_never_installed_is_absent() -> None:
    assert found(link(Windows(), LinkName.CONTROLLER, Bus.VIRTIO_BLK), Kind.SERVICE_ABSENT)


def test_an_installed_virtio_driver_makes_its_bus_possible() -> None:
    windows = Windows().service("viostor", 0).match(r"PCI\VEN_1AF4&DEV_1001", "oem4.inf", "viostor")
    assert link(windows, LinkName.CONTROLLER, Bus.VIRTIO_BLK).state is LinkState.HOLDS


@pytest.mark.parametrize(
    ("generation", "state", "kind"),
    [
        ("7", LinkState.BROKEN, Kind.ID_UNMATCHED),
        ("10", LinkState.BROKEN, Kind.ID_UNMATCHED),
        ("2022", LinkState.UNKNOWN, Kind.ID_UNMATCHED),
    ],
)
def test_windows_must_find_the_driver_by_a_row(generation: str, state: LinkState, kind: FindingKind) -> None:
    made = link(Windows(generation).no_match(PIIX3).no_match(r"PCI\CC_0101"), LinkName.CONTROLLER)
    assert [each.state for each in found(made, kind)] == [state]


def test_the_next_less_special_row_is_taken_and_its_driver_judged() -> None:
    made = link(Windows().no_match(PIIX3), LinkName.CONTROLLER)
    assert [each.subject for each in found(made, Kind.OVERRIDDEN)] == ["pciide"]


def test_a_device_that_windows_knows_needs_no_row() -> None:
    made = link(Windows("xp").no_match(PIIX3).device(rf"{PIIX3}&SUBSYS_11001AF4&REV_00", "intelide"), LinkName.CONTROLLER)
    assert made.state is LinkState.HOLDS and found(made, Kind.ID_MATCHED)


def test_a_device_of_another_maker_does_not_count_as_known() -> None:
    made = link(Windows("xp").no_match(PIIX3).device(r"PCI\VEN_8086&DEV_70100&REV_00", "intelide"), LinkName.CONTROLLER)
    assert found(made, Kind.ID_UNMATCHED)


def test_without_any_table_the_driver_is_unknown_not_broken() -> None:
    windows = Windows("xp").no_match(PIIX3).control_set(critical_devices_seen=False)
    assert [each.state for each in found(link(windows, LinkName.CONTROLLER), Kind.ID_UNKNOWN)] == [LinkState.UNKNOWN]


def test_a_device_switched_off_by_somebody_breaks_the_link() -> None:
    assert found(link(Windows().device(rf"{PIIX3}&REV_00", "intelide", flags=1), LinkName.CONTROLLER), Kind.DEVICE_DISABLED)


@pytest.mark.parametrize("service", ["iaStorA", Missing.ABSENT])
def test_somebody_elses_driver_for_the_controller_is_named(service: str | Missing) -> None:
    windows = Windows().match(ICH9, "oem7.inf", service).service("storahci", 0)
    made = link(windows, LinkName.CONTROLLER, Bus.SATA)
    assert [each.subject for each in found(made, Kind.THIRD_PARTY_BOUND)] == [service if isinstance(service, str) else "oem7.inf"]


def test_a_row_whose_package_names_no_service_means_the_inbox_driver() -> None:
    windows = Windows().no_match(r"PCI\CC_010601").match(r"PCI\CC_010601", "mshdc.inf", Missing.ABSENT).service("storahci", 0)
    assert link(windows, LinkName.CONTROLLER, Bus.SATA).state is LinkState.HOLDS


@pytest.mark.parametrize(
    ("policy", "broken"),
    [
        (r"ControlSet001\Policies\DeviceInstall\Restrictions\DenyUnspecified=1", True),
        (r"ControlSet001\Policies\DeviceInstall\Restrictions\DenyUnspecified=0", False),
        (rf"Software\Policies\DeviceInstall\Restrictions\DenyDeviceIDs\1={ICH9}", True),
        (r"Software\Policies\DeviceInstall\Restrictions\DenyDeviceIDs\1=USB\Class_08", False),
    ],
)
def test_a_policy_can_keep_windows_from_a_controller_it_has_not_met(policy: str, broken: bool) -> None:
    windows = Windows().service("storahci", 0).control_set(restrictions=(policy,))
    made = link(windows, LinkName.CONTROLLER, Bus.SATA)
    assert bool(found(made, Kind.INSTALLATION_RESTRICTED)) is broken
    known = link(windows.device(f"{ICH9}&REV_02", "storahci"), LinkName.CONTROLLER, Bus.SATA)
    assert not found(known, Kind.INSTALLATION_RESTRICTED)


# Filters


@pytest.mark.parametrize(
    ("guid", "name", "bus"),
    [
        (SYSTEM, LinkName.BUSES, Bus.IDE),
        (HDC, LinkName.CONTROLLER_FILTERS, Bus.IDE),
        (SCSI, LinkName.CONTROLLER_FILTERS, Bus.VIRTIO_BLK),
        (DISK, LinkName.DISK, Bus.IDE),
    ],
)
@pytest.mark.parametrize("side", ["upper", "lower"])
def test_filters_of_a_class_on_the_way_are_judged(guid: str, name: LinkName, bus: Bus, side: str) -> None:
    names = ["partmgr"] if guid == DISK else []
    made = link(Windows().filters(guid, side, "ok", *names).service("ok", 0), name, bus)
    assert "ok" in [each.subject for each in found(made, Kind.FILTER_READY)]
    assert found(link(Windows().filters(guid, side, "XENFILT", *names), name, bus), Kind.FILTER_XEN)
    assert found(link(Windows().filters(guid, side, "gone", *names), name, bus), Kind.FILTER_DANGLING)


@pytest.mark.parametrize("changes", [{"start": 3}, {"start": 4}, {"file_seen": False}, {"overrides": override(0)}])
def test_a_foreign_filter_that_cannot_load_dangles(changes: dict) -> None:
    windows = Windows().filters(HDC, "upper", "other").service("other", **({"start": 0} | changes))
    (finding,) = found(link(windows, LinkName.CONTROLLER_FILTERS), Kind.FILTER_DANGLING)
    assert finding.subject == "other" and dict(finding.details)["cause"]


def test_a_filter_whose_file_nobody_looked_for_is_unknown() -> None:
    windows = Windows().filters(HDC, "upper", "other").service("other", 0, file_seen=Missing.NOT_LOOKED_AT)
    assert link(windows, LinkName.CONTROLLER_FILTERS).state is LinkState.UNKNOWN


def test_filters_of_other_classes_do_not_break_the_boot_path() -> None:
    windows = Windows().filters(NET, "upper", "gone").filters(SCSI, "upper", "gone")
    assert first_broken(walk(view(windows), Bus.IDE)) is None


@pytest.mark.parametrize(
    ("device", "name", "bus", "judged"),
    [
        (r"ACPI\PNP0A03", LinkName.BUSES, Bus.SATA, True),
        (r"PCIIDE\IDEChannel", LinkName.CONTROLLER_FILTERS, Bus.IDE, True),
        (r"PCIIDE\IDEChannel", LinkName.CONTROLLER_FILTERS, Bus.SATA, False),
        (rf"{PIIX3}&SUBSYS_11001AF4&REV_00", LinkName.CONTROLLER_FILTERS, Bus.IDE, True),
        (rf"{PIIX3}&SUBSYS_11001AF4&REV_00", LinkName.CONTROLLER_FILTERS, Bus.SATA, False),
        (r"IDE\DiskQEMU_HARDDISK", LinkName.DISK, Bus.IDE, True),
        (r"IDE\DiskMAXTOR", LinkName.DISK, Bus.IDE, False),
        (r"STORAGE\Volume", LinkName.DISK, Bus.IDE, True),
        (r"USB\VID_1234", LinkName.DISK, Bus.IDE, False),
    ],
)
def test_lists_of_single_devices_count_where_kvm_shows_the_device_again(
    device: str, name: LinkName, bus: Bus, judged: bool
) -> None:
    assert bool(found(link(Windows().device_filters(device, "upper", "gone"), name, bus), Kind.FILTER_DANGLING)) is judged


@pytest.mark.parametrize("value", [string("XENFILT other"), RegistryValue(3, b"\1\2"), RegistryValue(4, b"\1\0\0\0")])
def test_a_list_that_is_not_understood_breaks_the_path(value: RegistryValue) -> None:
    assert found(link(Windows().filters(HDC, "upper", value=value), LinkName.CONTROLLER_FILTERS), Kind.FILTER_NOT_UNDERSTOOD)


def test_an_unknown_filter_that_says_xen_is_not_understood_even_when_it_can_load() -> None:
    windows = Windows().filters(HDC, "upper", "xenmystery").service("xenmystery", 0)
    assert found(link(windows, LinkName.CONTROLLER_FILTERS), Kind.FILTER_NOT_UNDERSTOOD)
    elsewhere = Windows().filters(HDC, "upper", "flt").service("flt", 0, image_path=r"System32\drivers\xenother.sys")
    assert found(link(elsewhere, LinkName.CONTROLLER_FILTERS), Kind.FILTER_NOT_UNDERSTOOD)


def test_a_disk_class_without_partmgr_is_broken() -> None:
    assert [each.subject for each in found(link(Windows().no_list(DISK, "upper"), LinkName.DISK), Kind.FILTER_MISSING)] == [
        "partmgr"
    ]


# Xen


def test_a_xen_driver_that_starts_by_itself_breaks_the_last_link() -> None:
    made = link(Windows().service("xenbus", 0), LinkName.XEN)
    assert made.state is LinkState.BROKEN and found(made, Kind.XEN_STARTS_AT_BOOT)


@pytest.mark.parametrize(
    ("name", "start"), [("xenbus", 3), ("xenbus", 4), ("xenagent", 2), ("pvvxblk", 0), ("XEN", Missing.ABSENT)]
)
def test_what_is_only_a_trace_leaves_the_last_link_whole(name: str, start: int | Missing) -> None:
    made = link(Windows().service(name, start), LinkName.XEN)
    assert made.state is LinkState.HOLDS and found(made, Kind.XEN_QUIET)


def test_a_xen_filter_off_the_way_is_named_by_the_last_link() -> None:
    made = link(Windows().filters(NET, "upper", "XenPci"), LinkName.XEN)
    assert [each.subject for each in found(made, Kind.FILTER_XEN)] == ["XenPci"]
    assert not found(link(Windows().device_filters(r"XENBUS\VEN_XP", "upper", "xendisk"), LinkName.XEN), Kind.FILTER_XEN)


def test_an_unknown_driver_that_says_xen_is_unknown() -> None:
    made = link(Windows().service("xenmystery", 0), LinkName.XEN)
    assert made.state is LinkState.UNKNOWN and found(made, Kind.XEN_UNIDENTIFIED)


def test_max_entries_does_not_say_xen() -> None:
    assert not found(link(Windows().service("MaxEntries", 0), LinkName.XEN), Kind.XEN_UNIDENTIFIED)


# Unknown versions


def test_of_an_unknown_build_the_rows_of_its_generation_hold() -> None:
    windows = Windows("7")
    windows.version = (6, 1, 0)
    assert found(link(windows, LinkName.CONTROLLER, Bus.SATA), Kind.NOT_BOOT_START)


def test_the_board_decides_which_controllers_are_meant() -> None:
    rows = tuple(replace(row, board="i440fx") if row.bus is Bus.SATA else row for row in SMALL_KNOWLEDGE.emulated)
    knowledge = replace(SMALL_KNOWLEDGE, emulated=rows)
    facts = Windows().facts()
    examined = examine(facts, facts.installations[0], Machine(board=MachineType.Q35), knowledge)
    assert examined and walk(examined.deciding, Bus.SATA)


def test_every_kind_of_finding_is_shown_by_a_case_here() -> None:
    text = __import__("pathlib").Path(__file__).read_text()
    assert [kind.name for kind in FindingKind if f"Kind.{kind.name}" not in text] == []
