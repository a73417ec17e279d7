# SPDX-License-Identifier: Apache-2.0
"""From a configuration to the one request that moves a disk: every row of the tables, and what may never be asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unxen.errors import Refused
from unxen.model.ids import Bus, Firmware, MachineType
from unxen.platforms.proxmox.boot_order import moved_order, order_of
from unxen.platforms.proxmox.buses import board_of, bus_of, firmware_of, offered, translated
from unxen.platforms.proxmox.config import VmConfig, parse, rewritten
from unxen.platforms.proxmox.drives import SLOTS, parse_drive
from unxen.platforms.proxmox.switch import pending_trouble, request, switched
from unxen.platforms.proxmox.tables import Elsewhere, Reach, default_scsihw, options, slots, storages
from unxen.platforms.proxmox.update import Update

DISK = "local:100/vm-100-disk-0.raw"
EVERY_BUS = frozenset(Bus)
BOARDS = {MachineType.I440FX: "pc", MachineType.Q35: "q35", None: "pc"}


def config(**values: str) -> VmConfig:
    return parse("".join(f"{key}: {value}\n" for key, value in values.items()).encode())


def asked(before: VmConfig, bus: Bus, *disks: str, drivers: frozenset[Bus] = EVERY_BUS) -> dict[str, str]:
    """The parameters of the request, but for the digest."""
    update = request(before, switched(before, disks or (DISK,), bus, drivers), before.digest)
    parameters = dict(update.parameters()) if update else {}
    parameters.pop("digest", None)
    return parameters


@pytest.mark.parametrize("row", slots(), ids=lambda row: f"{row.kind}-{row.board and row.board.value}-{row.scsihw}")
def test_every_slot_row_is_the_bus_that_windows_sees(row) -> None:
    values = {"machine": BOARDS[row.board], **({"scsihw": row.scsihw} if row.scsihw else {})}
    assert bus_of(f"{row.kind}0", values) is row.bus
    if row.default:
        assert default_scsihw() == row.scsihw
        assert bus_of("scsi0", {}) is row.bus
    assert (row.bus in offered(values, ["scsi0"])) == (row.offer or row.bus in (Bus.SATA,))


@pytest.mark.parametrize("row", options().values(), ids=lambda row: row.name)
@pytest.mark.parametrize("kind", SLOTS)
def test_every_option_row_on_every_kind_of_slot(row, kind: str) -> None:
    drive = parse_drive(f"{DISK},{row.name}=1,size=4G")
    old = next((each for each in row.kinds if each != kind), "scsi")
    if kind in row.kinds:
        assert translated(f"{old}0", drive, f"{kind}0") == drive
    elif row.elsewhere is Elsewhere.REFUSE:
        with pytest.raises(Refused):
            translated(f"{old}0", drive, f"{kind}0")
    else:
        assert translated(f"{old}0", drive, f"{kind}0") == parse_drive(f"{DISK},size=4G")


def test_read_only_that_is_off_may_go() -> None:
    assert translated("scsi0", parse_drive(f"{DISK},ro=0"), "sata0") == parse_drive(DISK)


def test_option_that_nobody_knows_is_not_dropped() -> None:
    with pytest.raises(Refused) as caught:
        translated("scsi0", parse_drive(f"{DISK},quantum=1"), "sata0")
    assert "quantum" in caught.value.first.detail("problem")


def test_tables_have_a_why_and_a_source_in_every_row() -> None:
    import tomllib
    from importlib.resources import files

    for file in ("buses.toml", "storages.toml"):
        tables = tomllib.loads(files("unxen.platforms.proxmox").joinpath(file).read_text())
        for row in (row for rows in tables.values() for row in rows):
            assert row["why"] and row["source"], row
    assert {each.reach for each in storages().values()} == set(Reach)


@pytest.mark.parametrize(
    ("machine", "board"),
    [
        ("", MachineType.I440FX),
        ("pc", MachineType.I440FX),
        ("pc-i440fx-9.2+pve1", MachineType.I440FX),
        ("q35", MachineType.Q35),
        ("pc-q35-9.0,viommu=intel", MachineType.Q35),
        ("viommu=virtio,type=q35", MachineType.Q35),
        ("virt", MachineType.UNKNOWN),
    ],
)
def test_board(machine: str, board: MachineType) -> None:
    assert board_of({"machine": machine} if machine else {}) is board


def test_firmware() -> None:
    assert [firmware_of(each) for each in ({}, {"bios": "seabios"}, {"bios": "ovmf"})] == [
        Firmware.BIOS,
        Firmware.BIOS,
        Firmware.UEFI,
    ]


def test_disk_moves_with_its_place_in_the_boot_order() -> None:
    before = config(boot="order=ide2;scsi0;net0", ide2="none,media=cdrom", net0="e1000", scsi0=f"{DISK},iothread=1,size=4G")
    assert asked(before, Bus.SATA) == {"delete": "scsi0", "sata0": f"{DISK},size=4G", "boot": "order=ide2;sata0;net0"}


def test_old_form_of_the_boot_order_becomes_the_new_one() -> None:
    before = config(boot="dcn", bootdisk="scsi0", ide2="none,media=cdrom", net1="e1000", scsi0=DISK)
    assert asked(before, Bus.SATA) == {"delete": "scsi0", "sata0": DISK, "boot": "order=ide2;sata0;net1"}


def test_no_boot_order_at_all_is_the_old_default() -> None:
    assert order_of({"virtio0": DISK, "net0": "e1000", "ide2": "none,media=cdrom"}) == ("virtio0", "ide2", "net0")


def test_boot_order_names_only_what_is_there() -> None:
    values = {"boot": "order=scsi7;scsi0;net3", "scsi0": DISK}
    assert moved_order(values, {"scsi0": "sata0"}) == ("sata0",)


def test_disk_that_was_in_no_order_goes_first_when_no_other_disk_is() -> None:
    values = {"boot": "order=ide2;net0", "ide2": "none,media=cdrom", "net0": "e1000", "scsi0": DISK}
    assert moved_order(values, {"scsi0": "sata0"}) == ("sata0", "ide2", "net0")
    assert moved_order({**values, "boot": "order=virtio0", "virtio0": "x:y"}, {"scsi0": "sata0"}) == ("virtio0",)


def test_unused_volume_is_attached_and_never_deleted() -> None:
    before = config(boot="order=net0", net0="e1000", unused0=DISK)
    assert asked(before, Bus.SATA) == {"sata0": DISK, "boot": "order=sata0;net0"}


def test_first_free_slot_is_taken() -> None:
    before = config(sata0="x:y", sata2="none,media=cdrom", scsi0=DISK)
    assert asked(before, Bus.SATA)["sata1"] == DISK


def test_no_slot_left_is_refused() -> None:
    before = config(scsi0=DISK, **{f"sata{number}": f"x:{number}" for number in range(6)})
    with pytest.raises(Refused) as caught:
        switched(before, [DISK], Bus.SATA, EVERY_BUS)
    assert "taken" in caught.value.first.detail("problem")


def test_ide_needs_i440fx() -> None:
    assert asked(config(scsi0=DISK), Bus.IDE)["ide0"] == DISK
    with pytest.raises(Refused):
        switched(config(machine="q35", scsi0=DISK), [DISK], Bus.IDE, EVERY_BUS)


def test_scsi_controller_changes_where_no_other_disk_hangs_on_it() -> None:
    assert asked(config(scsi0=DISK), Bus.VIRTIO_SCSI) == {"scsihw": "virtio-scsi-single"}
    assert asked(config(scsi0=DISK, scsihw="virtio-scsi-pci"), Bus.VIRTIO_SCSI) == {}
    with pytest.raises(Refused):
        switched(config(scsi0=DISK, scsi1="x:y"), [DISK], Bus.VIRTIO_SCSI, EVERY_BUS)
    assert Bus.VIRTIO_SCSI not in offered({"scsi0": DISK, "scsi1": "x:y"}, ["scsi0"])


def test_other_disks_come_along_where_their_bus_has_no_driver() -> None:
    before = config(boot="order=scsi0", scsi0=DISK, scsi3="local:100/vm-100-disk-1.raw", virtio0="x:y")
    drivers = frozenset({Bus.SATA, Bus.VIRTIO_BLK})
    assert asked(before, Bus.SATA, drivers=drivers) == {
        "delete": "scsi0,scsi3",
        "sata0": DISK,
        "sata1": "local:100/vm-100-disk-1.raw",
        "boot": "order=sata0",
    }


def test_other_disks_stay_where_there_is_no_room_for_all() -> None:
    others = {f"scsi{number}": f"local:100/vm-100-disk-{number}.raw" for number in range(1, 8)}
    assert asked(config(scsi0=DISK, **others), Bus.SATA, drivers=frozenset({Bus.SATA}))["delete"] == "scsi0"


def test_read_only_disk_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        switched(config(scsi0=f"{DISK},ro=1"), [DISK], Bus.SATA, EVERY_BUS)
    assert "writable" in caught.value.first.detail("problem")


def test_way_back_is_the_same_request_with_both_configurations_exchanged() -> None:
    text = f"boot: cdn\nbootdisk: scsi0\nname: a\nscsi0: {DISK},iothread=1\n".encode()
    after = parse(rewritten(text, switched(parse(text), [DISK], Bus.SATA, EVERY_BUS)))
    back = request(after, parse(text).values, "d")
    assert back is not None
    assert dict(back.parameters()) == {
        "delete": "sata0",
        "boot": "cdn",
        "bootdisk": "scsi0",
        "scsi0": f"{DISK},iothread=1",
        "digest": "d",
    }


def test_what_was_unused_becomes_unused_again_by_losing_its_slot() -> None:
    text = f"net0: e1000\nunused0: {DISK}\n".encode()
    after = parse(rewritten(text, switched(parse(text), [DISK], Bus.SATA, EVERY_BUS)))
    back = request(after, parse(text).values, "d")
    assert back is not None
    assert dict(back.parameters()) == {"delete": "sata0,boot", "digest": "d"}


def test_pending_changes_of_disks_are_trouble() -> None:
    assert pending_trouble(parse(b"a: 1\n[PENDING]\nmemory: 2\ndelete: name\n")) == ()
    assert pending_trouble(parse(b"a: 1\n[PENDING]\nscsi0: x\ndelete: sata1,name\n")) == ("scsi0", "sata1")


@pytest.mark.parametrize("key", ["unused0", "unused255", "scsi0,unused1", "scsi0;unused1", "scsi0 unused1", ""])
def test_request_that_deletes_an_unused_volume_cannot_be_made(key: str) -> None:
    with pytest.raises(ValueError, match="delete of"):
        Update((), (key,), "d")


@pytest.mark.parametrize("key", ["force", "delete", "unused0", "revert", "skiplock"])
def test_request_cannot_smuggle_a_deletion(key: str) -> None:
    with pytest.raises(ValueError, match="set of"):
        Update(((key, "1"),), (), "d")


_KEYS = st.sampled_from(["scsi0", "scsi1", "ide0", "sata0", "virtio1", "unused0", "unused1", "boot", "scsihw", "ide2"])
_VOLUMES = st.sampled_from([f"local:100/vm-100-disk-{number}.raw" for number in range(3)])


@given(st.dictionaries(_KEYS, _VOLUMES), st.sets(_VOLUMES), st.sampled_from(list(Bus)), st.frozensets(st.sampled_from(list(Bus))))
def test_no_configuration_leads_to_a_destructive_request(values, disks, bus, drivers) -> None:
    values.pop("boot", None)
    values.pop("scsihw", None)
    before = config(**values)
    try:
        after = switched(before, disks, bus, drivers)
    except Refused:
        return
    for pair in ((before, after), (parse(rewritten(b"", after)), before.values)):
        update = request(*pair, "d")
        parameters = dict(update.parameters()) if update else {}
        assert "unused" not in parameters.get("delete", "")
        assert not {"force", "skiplock"} & set(parameters)
        assert not any(key.startswith("unused") for key in parameters)
