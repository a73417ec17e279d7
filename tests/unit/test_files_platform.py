# SPDX-License-Identifier: Apache-2.0
"""Paths become disks with formats that are given or plain from the name, never guessed."""

import os
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.model.definition import Switch
from unxen.model.guest import Guest
from unxen.model.ids import Bus, ImageFormat
from unxen.model.reason import ReasonKind
from unxen.platforms.base import Platform
from unxen.platforms.files import FilesPlatform


def describe(*paths: object, formats: tuple[str, ...] = ()) -> Guest:
    return FilesPlatform().describe([str(path) for path in paths], formats)


def refusal(*paths: object, formats: tuple[str, ...] = ()) -> ReasonKind:
    with pytest.raises(Refused) as caught:
        describe(*paths, formats=formats)
    return caught.value.first.kind


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.qcow2", ImageFormat.QCOW2),
        ("a.vmdk", ImageFormat.VMDK),
        ("a.vhd", ImageFormat.VHD),
        ("a.vhdx", ImageFormat.VHDX),
        ("a.vdi", ImageFormat.VDI),
        ("a.raw", ImageFormat.RAW),
        ("a.img", ImageFormat.RAW),
        ("A.QCOW2", ImageFormat.QCOW2),
    ],
)
def test_format_may_come_from_the_name(name: str, format: ImageFormat) -> None:
    assert describe(f"/nowhere/{name}").disks[0].format is format


@pytest.mark.parametrize("name", ["a", "a.qcow", "a.iso", "/dev/sdb", "a.qcow2.bak", ".raw", ""])
def test_other_names_need_a_format(name: str) -> None:
    assert refusal(name) is ReasonKind.FORMAT_NEEDED


def test_formats_go_to_the_disks_in_their_order() -> None:
    disks = describe("/a.img", "/b", "/c.qcow2", formats=("qcow2", "vpc")).disks
    assert [(each.number, each.format) for each in disks] == [
        (1, ImageFormat.QCOW2),
        (2, ImageFormat.VHD),
        (3, ImageFormat.QCOW2),
    ]


def test_more_formats_than_disks_is_a_mistake() -> None:
    assert refusal("/a.img", formats=("raw", "raw")) is ReasonKind.USAGE


@pytest.mark.parametrize(
    ("offset", "magic"),
    [(0, b"QFI\xfb"), (0, b"vhdxfile"), (0, b"conectix"), (0, b"KDMV"), (0, b"# Disk DescriptorFile"), (64, b"\x7f\x10\xda\xbe")],
)
def test_image_that_is_called_raw_is_not_taken_as_raw(offset: int, magic: bytes, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(offset) + magic + bytes(1024))
    assert refusal(path) is ReasonKind.WRONG_FORMAT
    assert describe(path, formats=("raw",)).disks[0].format is ImageFormat.RAW


def test_nothing_that_hangs_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.raw")
    (tmp_path / "dir.raw").mkdir()
    for name in ("pipe.raw", "dir.raw", "none.raw", "nul\0.raw"):
        assert describe(tmp_path / name).disks[0].format is ImageFormat.RAW


def test_same_disk_twice_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"")
    os.link(path, tmp_path / "b.raw")
    (tmp_path / "c.raw").symlink_to(path)
    assert refusal(path, tmp_path / "b.raw") is ReasonKind.USAGE
    assert refusal(path, tmp_path / "c.raw") is ReasonKind.USAGE
    assert refusal("/none.raw", "/x/../none.raw") is ReasonKind.USAGE


def test_files_have_no_machine_and_no_switch() -> None:
    platform: Platform = FilesPlatform()
    guest = describe("/a.raw")
    assert guest.machine.bus is Bus.UNKNOWN
    assert guest.id == ""
    with platform.locked(guest) as still_stopped:
        still_stopped()
    with pytest.raises(Refused):
        platform.switch(guest, Switch("a", "b"))
