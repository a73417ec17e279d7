# SPDX-License-Identifier: Apache-2.0
"""Proof before a move: what of the boot path on the new bus is missing, link by link, and that nothing missing lets it move."""

import pytest
from generators.hives import windows_hive
from unit.hive_guest import files_of, judged, tables
from unxen.model.guest import Machine
from unxen.model.ids import Bus, Firmware, MachineType, Missing
from unxen.model.reason import Reason, ReasonKind
from unxen.plan.promotion import not_shown
from unxen.report.messages import tell_reason

BOARDS = (MachineType.I440FX, MachineType.Q35)
VIRTIO = {Bus.VIRTIO_BLK: "viostor", Bus.VIRTIO_SCSI: "vioscsi"}


def machine(board: MachineType = MachineType.I440FX) -> Machine:
    return Machine(bus=Bus.SATA, board=board, firmware=Firmware.BIOS)


def lacking(hive: bytes, bus: Bus, *, missing: tuple[str, ...] = (), board: MachineType = MachineType.I440FX) -> tuple[Reason, ...]:
    """What is not shown of this Windows on the bus."""
    return not_shown(judged(hive, files_of(hive, missing), machine(board), bus=bus), bus, tables())


def only(reasons: tuple[Reason, ...]) -> tuple[str, str, str, str]:
    """Link, finding, driver to be installed, bus to be repaired for."""
    (found,) = reasons
    assert found.kind is ReasonKind.DRIVER_NOT_SHOWN
    return found.detail("link"), found.detail("finding"), found.detail("driver"), found.detail("mend")


@pytest.mark.parametrize("bus", VIRTIO)
@pytest.mark.parametrize("board", BOARDS, ids=lambda each: each.value)
@pytest.mark.parametrize("generation", ["8.1", "10", "2019", "2022", "11"])
def test_a_windows_that_ran_with_the_driver_is_shown_to_start_from_virtio(generation: str, board: MachineType, bus: Bus) -> None:
    assert lacking(windows_hive(generation, virtio_win=[VIRTIO[bus]]), bus, board=board) == ()


@pytest.mark.parametrize("generation", ["2003", "7", "2008r2"])
def test_until_windows_7_the_device_that_it_met_is_the_proof_so_on_q35_both_forms_must_be_known(generation: str) -> None:
    """Its tables tell nothing of ids that it never met, and which form a board shows is the platform's choice."""
    hive = windows_hive(generation, virtio_win=["viostor"])
    assert lacking(hive, Bus.VIRTIO_BLK) == ()
    assert only(lacking(hive, Bus.VIRTIO_BLK, board=MachineType.Q35))[1] == "id-unmatched"
    express = "PCI#VEN_1AF4&DEV_1042"
    row = f'[ControlSet*\\Control\\CriticalDeviceDatabase\\{express}]\n"Service"="viostor"\n'
    assert lacking(windows_hive(generation, virtio_win=["viostor"], text=row), Bus.VIRTIO_BLK, board=MachineType.Q35) == ()


@pytest.mark.parametrize("bus", VIRTIO)
@pytest.mark.parametrize("generation", ["7", "10", "2022"])
def test_without_the_driver_it_is_named_and_who_brings_it(generation: str, bus: Bus) -> None:
    reasons = lacking(windows_hive(generation), bus)
    assert only(reasons) == ("controller", "service-absent", VIRTIO[bus], "")
    told = tell_reason(reasons[0])
    assert VIRTIO[bus] in told.cause
    assert "virtio-win" in told.remedy
    assert "virt-v2v" in told.remedy
    assert "unxen repair" not in told.remedy


def test_the_driver_of_the_other_virtio_bus_is_no_proof() -> None:
    assert only(lacking(windows_hive("10", virtio_win=["viostor"]), Bus.VIRTIO_SCSI))[1] == "service-absent"
    assert only(lacking(windows_hive("10", virtio_win=["vioscsi"]), Bus.VIRTIO_BLK))[1] == "service-absent"


def test_a_service_without_its_file_is_no_driver() -> None:
    assert only(lacking(windows_hive("10", virtio_win=["viostor"]), Bus.VIRTIO_BLK, missing=("viostor",)))[1:3] == (
        "file-absent",
        "viostor",
    )


def test_a_file_that_could_not_be_looked_for_is_not_there() -> None:
    hive = windows_hive("10", virtio_win=["viostor"])
    there = files_of(hive)
    seen = judged(hive, lambda path: Missing.UNREADABLE if "viostor" in path else there(path), machine(), bus=Bus.VIRTIO_BLK)
    assert only(not_shown(seen, Bus.VIRTIO_BLK, tables()))[1] == "file-unknown"


def test_what_edits_would_mend_is_the_business_of_repair() -> None:
    hives = {
        "overridden": windows_hive("10", virtio_win=["viostor"], overrides={"viostor": [0]}),
        "not-boot-start": windows_hive("10", virtio_win=["viostor"], starts={"viostor": 3}),
    }
    for finding, hive in hives.items():
        reasons = lacking(hive, Bus.VIRTIO_BLK)
        assert only(reasons) == ("controller", finding, "", "virtio-blk")
        assert "unxen repair --bus virtio-blk" in tell_reason(reasons[0]).remedy


@pytest.mark.parametrize("generation", ["7", "10", "2022", "11"])
def test_a_driver_that_windows_never_matched_is_no_proof_though_newer_builds_might_start(generation: str) -> None:
    reasons = lacking(windows_hive(generation, virtio=["viostor"]), Bus.VIRTIO_BLK)
    assert only(reasons)[:3] == ("controller", "id-unmatched", "viostor")


def test_a_driver_of_windows_itself_needs_no_row_where_repair_needs_none() -> None:
    hive = windows_hive("2022", driver_rows=False, no_overrides=["storahci"])
    assert lacking(hive, Bus.SATA) == ()
    old = windows_hive("2019", driver_rows=False, no_overrides=["storahci"])
    assert only(lacking(old, Bus.SATA))[1] == "id-unmatched"


def test_a_foreign_filter_that_cannot_load_keeps_it_where_it_is() -> None:
    text = '[ControlSet*\\Control\\Class\\{4d36e97b-e325-11ce-bfc1-08002be10318}]\n"UpperFilters"=+multi:gone\n'
    reasons = lacking(windows_hive("10", virtio_win=["viostor"], text=text), Bus.VIRTIO_BLK)
    assert {each.kind for each in reasons} == {ReasonKind.DANGLING_FILTER, ReasonKind.DRIVER_NOT_SHOWN}


def test_xen_that_is_still_active_keeps_it_where_it_is() -> None:
    hive = windows_hive("10", families=["xcpng"], virtio_win=["viostor"])
    assert only(lacking(hive, Bus.VIRTIO_BLK))[3] == "virtio-blk"


def test_what_forbids_to_judge_at_all_is_told_as_that() -> None:
    assert judged(windows_hive("10"), bus=Bus.VIRTIO_BLK).installations
    nothing = not_shown(judged(windows_hive("10"), bus=Bus.VIRTIO_BLK, installation="9:9:\\X"), Bus.VIRTIO_BLK, tables())
    assert [each.kind for each in nothing] == [ReasonKind.NO_SUCH_INSTALLATION]


@pytest.mark.parametrize(
    ("bus", "hive"),
    [
        (Bus.SATA, windows_hive("10", no_overrides=["storahci"])),
        (Bus.IDE, windows_hive("10")),
        (Bus.IDE, windows_hive("xp")),
        (Bus.SATA, windows_hive("7", starts={"msahci": 0})),
    ],
)
def test_the_way_back_asks_the_same_of_the_drivers_of_windows(bus: Bus, hive: bytes) -> None:
    assert lacking(hive, bus) == ()


def test_the_way_back_is_closed_by_an_override_and_open_after_a_repair() -> None:
    assert only(lacking(windows_hive("10"), Bus.SATA)) == ("controller", "overridden", "", "sata")
    assert only(lacking(windows_hive("7"), Bus.SATA)) == ("controller", "not-boot-start", "", "sata")
    assert only(lacking(windows_hive("xp"), Bus.SATA))[1:] == ("no-inbox-driver", "", "")


def test_a_windows_for_arm_which_is_never_edited_may_move() -> None:
    assert lacking(windows_hive("11", architecture="arm64", virtio_win=["viostor"]), Bus.VIRTIO_BLK) == ()
