# SPDX-License-Identifier: Apache-2.0
"""Each rule of a repair by itself: what it edits, what it leaves, and on which of its edits a start depends."""

from collections.abc import Callable

import pytest
from unit.facts_builder import (
    DISK,
    HDC,
    KEYBOARD,
    NET,
    PIIX3,
    SMALL_KNOWLEDGE,
    SYSTEM,
    Windows,
    driver_file,
    dword,
    multi,
    override,
    string,
)
from unxen.model.edit import Action, Edit
from unxen.model.guest import Machine
from unxen.model.ids import Bus, Missing
from unxen.plan.examined import examine
from unxen.plan.rules import (
    class_filters,
    controllers_findable,
    device_filters,
    inbox_controllers,
    overrides,
    processors,
    xen_services,
    xen_settings,
)
from unxen.plan.view import View

Rule = Callable[[View, Bus], list[Edit]]


def view(windows: Windows) -> View:
    facts = windows.facts()
    examined = examine(facts, facts.installations[0], Machine(), SMALL_KNOWLEDGE)
    assert examined
    return examined.deciding


def edits(rule: Rule, windows: Windows, bus: Bus = Bus.SATA) -> list[Edit]:
    return rule(view(windows), bus)


def starts(rule: Rule, windows: Windows, bus: Bus = Bus.SATA) -> dict[str, tuple[int, bool]]:
    """Start after, and whether it is required, by service."""
    found = edits(rule, windows, bus)
    assert all(edit.value_name == "Start" and edit.action is Action.SET_VALUE for edit in found)
    return {edit.key.rpartition("\\")[2]: (int.from_bytes(edit.after.data, "little"), edit.required) for edit in found}


# Rule 1


def test_the_controller_of_the_bus_is_switched_on_and_a_start_depends_on_it() -> None:
    assert starts(inbox_controllers.edits, Windows("7"))["msahci"] == (0, True)


def test_the_articles_services_and_the_fallback_ride_along() -> None:
    windows = Windows("7").service("iaStorV", 3).service("atapi", 3).service("intelide", 3)
    found = starts(inbox_controllers.edits, windows, Bus.VIRTIO_BLK)
    assert found == dict.fromkeys(("msahci", "pciide", "iaStorV", "atapi", "intelide"), (0, False))


def test_what_a_controller_requires_is_switched_on_with_it() -> None:
    assert starts(inbox_controllers.edits, Windows("7").service("atapi", 3))["atapi"] == (0, True)


@pytest.mark.parametrize("seen", [False, Missing.UNREADABLE, Missing.NOT_LOOKED_AT])
def test_a_driver_whose_file_was_not_seen_is_never_switched_on(seen: object) -> None:
    assert "msahci" not in starts(inbox_controllers.edits, Windows("7").service("msahci", 3, file_seen=seen))


@pytest.mark.parametrize("start", [Missing.ABSENT, Missing.UNREADABLE])
def test_a_service_without_a_readable_start_is_left_alone(start: Missing) -> None:
    assert "msahci" not in starts(inbox_controllers.edits, Windows("7").service("msahci", start))


def test_services_that_are_not_there_are_not_made() -> None:
    assert "iaStorV" not in starts(inbox_controllers.edits, Windows("7"))


def test_other_storage_services_keep_their_start() -> None:
    assert "nvstor" not in starts(inbox_controllers.edits, Windows("7").service("nvstor", 3))


# Rule 2


def test_the_override_of_the_bus_goes_whole_whatever_numbers_it_holds() -> None:
    windows = Windows("10").service("storahci", 0, overrides=override(0, 1, 5))
    (edit,) = [each for each in edits(overrides.edits, windows) if "storahci" in each.key]
    assert (edit.action, edit.key, edit.required) == (Action.DELETE_KEY, r"ControlSet001\Services\storahci\StartOverride", True)
    assert edit.tree == override(0, 1, 5)


def test_an_override_that_says_zero_goes_but_nothing_depends_on_it() -> None:
    windows = Windows("10").service("storahci", 0, overrides=override(0, value=0))
    assert [each.required for each in edits(overrides.edits, windows) if "storahci" in each.key] == [False]


def test_overrides_of_acpi_and_pci_go_and_those_of_hyper_v_stay() -> None:
    windows = Windows("10").service("pci", 0, overrides=override(0)).service("vpci", 0, overrides=override(0))
    windows.service("vmbus", 0, overrides=override(0)).service("storvsc", 0, overrides=override(0))
    keys = [each.key.split("\\")[2] for each in edits(overrides.edits, windows) if each.required]
    assert keys == ["storahci", "pci"]


def test_overrides_of_other_buses_stay() -> None:
    assert not [each for each in edits(overrides.edits, Windows("10"), Bus.SATA) if "pciide" in each.key]
    assert [each.required for each in edits(overrides.edits, Windows("10"), Bus.IDE) if "pciide" in each.key] == [False]


def test_windows_7_has_no_overrides() -> None:
    assert not edits(overrides.edits, Windows("7").service("msahci", 0, overrides=override(0)))


# Rule 3


def test_xen_services_go_to_the_start_of_their_row() -> None:
    found = starts(xen_services.edits, Windows().xen())
    assert found == {"xenbus": (4, True), "xenfilt": (4, True), "xenvbd": (3, True), "xenagent": (4, False)}


def test_a_service_is_never_started_earlier() -> None:
    assert not starts(xen_services.edits, Windows().service("xenvbd", 4).service("xenbus", 4))
    assert starts(xen_services.edits, Windows().service("xenbus", 3)) == {"xenbus": (4, False)}


def test_the_articles_xenpci_goes_to_three_though_it_is_a_filter() -> None:
    assert starts(xen_services.edits, Windows().service("XenPci", 0)) == {"XenPci": (3, True)}


def test_drivers_for_virtio_too_and_keys_of_settings_stay() -> None:
    assert not starts(xen_services.edits, Windows().service("pvvxblk", 0).service("XEN", 0))


@pytest.mark.parametrize(
    ("image", "edited"),
    [(r"C:\Program Files\XenTools\InstallAgent.exe", True), (r"C:\Other\InstallAgent.exe", False), (Missing.ABSENT, False)],
)
def test_a_generic_name_needs_its_image_path_as_proof(image: object, edited: bool) -> None:
    assert bool(starts(xen_services.edits, Windows().service("InstallAgent", 2, image_path=image))) is edited


# Rule 4


def test_xen_names_leave_every_class_upper_and_lower() -> None:
    windows = (
        Windows().filters(SYSTEM, "upper", "XENFILT", "other").filters(DISK, "lower", "scsifilt").filters(NET, "upper", "XenPci")
    )
    found = {
        (each.key[-38:], each.value_name): (each.action, each.after, each.required) for each in edits(class_filters.edits, windows)
    }
    assert found == {
        (SYSTEM, "UpperFilters"): (Action.SET_VALUE, multi("other"), True),
        (DISK, "LowerFilters"): (Action.DELETE_VALUE, None, True),
        (NET, "UpperFilters"): (Action.DELETE_VALUE, None, True),
    }


def test_a_service_named_by_the_article_counts_as_filter() -> None:
    assert edits(class_filters.edits, Windows().filters(HDC, "upper", "xenvbd"))


def test_a_driver_for_virtio_too_is_no_xen_filter() -> None:
    assert not edits(class_filters.edits, Windows().filters(HDC, "upper", "pvvxblk").service("pvvxblk", 0))


def test_a_string_of_one_xen_name_goes_and_a_mixture_stays() -> None:
    assert [each.after for each in edits(class_filters.edits, Windows().filters(HDC, "upper", value=string("xenfilt")))] == [None]
    assert not edits(class_filters.edits, Windows().filters(HDC, "upper", value=string("xenfilt other")))


def test_the_reasons_of_all_names_are_told_once_each() -> None:
    (edit,) = edits(class_filters.edits, Windows().filters(HDC, "upper", "XENFILT", "xenfilt", "XenPci"))
    assert edit.why == "xenfilt waits for Xen; xenpci waits for Xen"
    assert edit.source == "test"


def test_foreign_lists_are_left_alone() -> None:
    assert not edits(class_filters.edits, Windows().filters(KEYBOARD, "upper", "VBoxMouse", "kbdclass"))


# Rule 5


def test_xen_names_leave_devices_that_come_back_on_kvm() -> None:
    windows = (
        Windows()
        .device_filters(r"ACPI\PNP0A03", "upper", "rhelfltr", "mine")
        .device_filters(r"PCIIDE\IDEChannel", "upper", "rhelfltr")
    )
    found = {each.key: (each.after, each.required) for each in edits(device_filters.edits, windows)}
    assert found == {
        r"ControlSet001\Enum\ACPI\PNP0A03\0": (multi("mine"), True),
        r"ControlSet001\Enum\PCIIDE\IDEChannel\0": (None, True),
    }


def test_on_a_device_that_only_xen_makes_nothing_depends_on_the_filter() -> None:
    windows = Windows().device_filters(r"XENBUS\VEN_XP0001&DEV_VBD", "upper", "xendisk")
    assert [each.required for each in edits(device_filters.edits, windows)] == [False]


# Rule 6


def test_missing_rows_are_added_for_xp_on_ide() -> None:
    found = edits(controllers_findable.edits, Windows("xp").no_match(PIIX3), Bus.IDE)
    key = r"ControlSet001\Control\CriticalDeviceDatabase\pci#ven_8086&dev_7010"
    assert [(each.action, each.key, each.value_name, each.after, each.required) for each in found] == [
        (Action.CREATE_KEY, key, None, None, True),
        (Action.SET_VALUE, key, "Service", string("intelide"), True),
        (Action.SET_VALUE, key, "ClassGUID", string(HDC), True),
    ]


def test_a_row_for_a_controller_that_is_known_already_only_rides_along() -> None:
    windows = Windows("xp").no_match(PIIX3).device(PIIX3, "intelide")
    assert {each.required for each in edits(controllers_findable.edits, windows, Bus.IDE)} == {False}


def test_no_row_is_added_without_the_drivers_files() -> None:
    windows = Windows("xp").no_match(PIIX3)
    assert not edits(controllers_findable.edits, windows.service("intelide", 0, file_seen=False), Bus.IDE)
    beside = Windows("xp").no_match(PIIX3).system(driver_files=driver_file("pciidex.sys", False))
    assert not edits(controllers_findable.edits, beside, Bus.IDE)


def test_rows_that_are_there_and_newer_windows_are_left_alone() -> None:
    assert not edits(controllers_findable.edits, Windows("xp"), Bus.IDE)
    assert not edits(controllers_findable.edits, Windows("7").no_match(PIIX3), Bus.IDE)
    assert not edits(controllers_findable.edits, Windows("xp").no_match(PIIX3).control_set(critical_devices_seen=False), Bus.IDE)


def test_processor_drivers_of_xp_are_switched_off_along_with_a_repair() -> None:
    assert starts(processors.edits, Windows("xp")) == {"intelppm": (4, False)}
    assert not starts(processors.edits, Windows("7").service("intelppm", 1))


# Rule 7


def test_settings_that_unplug_disks_are_cleared() -> None:
    windows = (
        Windows()
        .leftover(r"Services\XEN\Unplug", DISKS=1, NICS=1)
        .leftover(r"Services\xenfilt\Parameters", ActiveDeviceID=1, Mine=2)
    )
    found = [(each.action, each.key, each.value_name, each.required) for each in edits(xen_settings.edits, windows)]
    assert found == [
        (Action.DELETE_KEY, r"ControlSet001\Services\XEN\Unplug", None, False),
        (Action.DELETE_VALUE, r"ControlSet001\Services\xenfilt\Parameters", "ActiveDeviceID", False),
    ]


def test_what_keeps_paravirtual_drivers_off_stays() -> None:
    assert not edits(xen_settings.edits, Windows().leftover(r"Services\xenevtchn", NOPVBoot=1))


# All


def test_every_edit_states_what_was_there() -> None:
    found = edits(xen_services.edits, Windows().xen())
    assert {each.before for each in found} == {dword(0), dword(2)}
    assert all(each.why and each.source and each.rule for each in found)
