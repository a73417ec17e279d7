# SPDX-License-Identifier: Apache-2.0
"""The configuration file: what is read of it, what a rewritten one keeps, and how drives survive."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unxen.platforms.proxmox.config import parse, rewritten
from unxen.platforms.proxmox.drives import Drive, hard_disks, is_slot, parse_drive, unused_volumes, volumes

TEXT = """\
#first line%3A 100%25 %C3%A9
#
#third
agent: 1
boot: order=scsi0;ide2;net0
ide2: none,media=cdrom
lock: backup
name: win
scsi0: local:100/vm-100-disk-0.raw,iothread=1,size=32G
scsi1: thin:vm-100-disk-1,size=1G
unused0: local:100/vm-100-disk-2.qcow2
unused10: thin:vm-100-disk-10
unused2: thin:vm-100-disk-2
odd line without meaning

[PENDING]
delete: scsi1,!name
scsi0: local:100/vm-100-disk-9.raw

[special:cloudinit]
name: wrong

[before]
#a note of the snapshot
lock: none
name: old
vmstate: local:100/vm-100-state-before.raw
"""


def test_sections_do_not_mix() -> None:
    config = parse(TEXT.encode())
    assert config.values["name"] == "win"
    assert config.pending == {"scsi0": "local:100/vm-100-disk-9.raw"}
    assert config.pending_deletes == ("scsi1", "name")
    assert config.snapshots["before"]["name"] == "old"
    assert config.lock == "backup"
    assert not config.has_memory_image
    assert not config.is_template


def test_notes_are_decoded_and_end_with_the_main_part() -> None:
    assert parse(TEXT.encode()).description == "first line: 100% é\n\nthird"


def test_digest_is_that_of_proxmox() -> None:
    assert parse(TEXT.encode()).digest == hashlib.sha1(TEXT.encode()).hexdigest()


def test_marks_of_a_guest_that_sleeps_and_of_a_template() -> None:
    assert parse(b"vmstate: local:100/vm-100-state.raw\n").has_memory_image
    assert parse(b"template: 1\n").is_template


def test_unused_volumes_come_by_number() -> None:
    assert [key for key, _ in unused_volumes(parse(TEXT.encode()))] == ["unused0", "unused2", "unused10"]


def test_volumes_are_those_of_the_main_part() -> None:
    assert volumes(parse(TEXT.encode())) == {
        "local:100/vm-100-disk-0.raw",
        "thin:vm-100-disk-1",
        "local:100/vm-100-disk-2.qcow2",
        "thin:vm-100-disk-10",
        "thin:vm-100-disk-2",
    }


def test_rewriting_touches_only_what_changed() -> None:
    config = parse(TEXT.encode())
    values = dict(config.values)
    values["sata0"] = values.pop("scsi0")
    values["boot"] = "order=sata0"
    text = rewritten(TEXT.encode(), values).decode()
    before, after = TEXT.splitlines(), text.splitlines()
    gone = [line for line in before if line not in after]
    new = [line for line in after if line not in before]
    assert gone == ["boot: order=scsi0;ide2;net0", "scsi0: local:100/vm-100-disk-0.raw,iothread=1,size=32G"]
    assert new == ["boot: order=sata0", "sata0: local:100/vm-100-disk-0.raw,iothread=1,size=32G"]
    assert text.index("sata0:") < text.index("[PENDING]")
    assert dict(parse(text.encode()).values) == values


def test_rewriting_with_the_same_values_changes_nothing_that_is_read() -> None:
    config = parse(TEXT.encode())
    assert rewritten(TEXT.encode(), config.values).decode() == TEXT


@pytest.mark.parametrize(
    "value",
    [
        "local:100/vm-100-disk-0.raw,iothread=1,size=32G",
        "none,media=cdrom",
        "/dev/disk/by-id/x,serial=a%20b",
        "S:base-100-disk-0/vm-101-disk-0",
    ],
)
def test_drive_survives(value: str) -> None:
    assert parse_drive(value).text() == value


def test_volume_may_have_its_name() -> None:
    assert parse_drive("iothread=1,file=local:1/x.raw") == Drive("local:1/x.raw", (("iothread", "1"),))


@pytest.mark.parametrize("value", ["", "size=1G", "a,b", "a,file=b", "a,size="])
def test_what_is_no_drive_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^.*$"):
        parse_drive(value)


def test_cdroms_and_odd_lines_are_no_hard_disks() -> None:
    values = {
        "ide0": "local:iso/x.iso,media=cdrom",
        "ide2": "none,media=cdrom",
        "sata0": "a,b",
        "scsi1": "local:1/x.raw",
        "sata9": "local:1/y.raw",
        "efidisk0": "local:1/z.raw",
    }
    assert [slot for slot, _ in hard_disks(values)] == ["scsi1"]


def test_slots_end_where_proxmox_ends() -> None:
    assert all(is_slot(each) for each in ("ide3", "sata5", "scsi30", "virtio15"))
    assert not any(is_slot(each) for each in ("ide4", "sata6", "scsi31", "virtio16", "unused0", "sata01", "net0", "boot"))


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read(data: bytes) -> None:
    config = parse(data)
    assert parse(rewritten(data, config.values)).values == config.values
