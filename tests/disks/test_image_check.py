# SPDX-License-Identifier: Apache-2.0
"""The check of a written image tells sound from damaged, in a box, and within its time."""

import os
import random
import struct
import subprocess
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.host import image_check
from unxen.host.image_check import check_image
from unxen.host.sandbox import Box
from unxen.model.disk import Disk, ImageChain
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import ReasonKind
from unxen.probe.images import check_images

pytestmark = pytest.mark.disk
MIB = 1 << 20


@pytest.fixture
def chain(tmp_path) -> ImageChain:
    path = tmp_path / "disk.qcow2"
    (tmp_path / "raw").write_bytes(random.Random(1).randbytes(4 * MIB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", tmp_path / "raw", path], check=True)
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
    with Box.open() as box:
        (made,) = check_images([Disk(DiskNumber(1), str(path), ImageFormat.QCOW2)], box, [])
    return made


def damage(chain: ImageChain, at: int, data: bytes) -> None:
    with Path(chain.disk.path).open("r+b") as file:
        file.seek(at)
        file.write(data)


def number(chain: ImageChain, at: int) -> int:
    return struct.unpack_from(">Q", Path(chain.disk.path).read_bytes(), at)[0]


def test_a_sound_image_passes_and_stays_as_it_is(chain) -> None:
    before = Path(chain.disk.path).read_bytes()
    check_image(chain)
    assert Path(chain.disk.path).read_bytes() == before


def test_clusters_that_nobody_uses_do_no_harm(chain) -> None:
    counts = number(chain, number(chain, 48))
    used = len(Path(chain.disk.path).read_bytes()) >> 16
    damage(chain, counts + 2 * used, struct.pack(">H", 1))
    with Path(chain.disk.path).open("r+b") as file:
        file.truncate((used + 1) << 16)
    check_image(chain)


def test_wrong_counts_all_over_are_told_with_qemus_words(chain) -> None:
    """More errors than a pipe holds."""
    counts = number(chain, number(chain, 48))
    damage(chain, counts + 8, bytes(100))
    with pytest.raises(Refused) as caught:
        check_image(chain)
    assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.IMAGE_DAMAGED, chain.disk.path)
    assert "cluster" in caught.value.first.detail("cause")


def test_a_name_that_appears_in_the_header_is_not_followed(chain, tmp_path) -> None:
    subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", chain.disk.path], check=True)
    check_image(chain)
    damage(chain, 72, struct.pack(">Q", 4))
    with pytest.raises(Refused) as caught:
        check_image(chain)
    assert "/etc/passwd" not in caught.value.first.detail("cause")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes loop devices")
def test_an_image_on_a_block_device_is_checked_like_a_file(chain, tmp_path) -> None:
    with Path(chain.disk.path).open("r+b") as file:
        file.truncate(8 * MIB)
    done = subprocess.run(["losetup", "--find", "--show", chain.disk.path], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop device can be made here: {done.stderr.strip()}")
    device = done.stdout.strip()
    try:
        with Box.open() as box:
            (made,) = check_images([Disk(DiskNumber(1), device, ImageFormat.QCOW2)], box, [])
        check_image(made)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.mark.parametrize("program", ["while :; do echo no end >&2; done", "while :; do :; done"], ids=["babbles", "spins"])
def test_a_check_without_end_is_ended(chain, monkeypatch, program: str) -> None:
    monkeypatch.setattr(image_check, "SCRIPT", program)
    monkeypatch.setattr(image_check, "CHECK_SECONDS", 0.5)
    with pytest.raises(Refused) as caught:
        check_image(chain)
    assert caught.value.first.kind is ReasonKind.TOOL_FAILED
