# SPDX-License-Identifier: Apache-2.0
"""Images are judged by their headers, and no QEMU program is started for one that is refused."""

import os
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.host import process
from unxen.host.sandbox import Box
from unxen.model.disk import Disk, ImageChain
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import Reason, ReasonKind
from unxen.probe.images import check_images, check_writable_headers

pytestmark = pytest.mark.disk
MIB = 1 << 20


@pytest.fixture(scope="module")
def box():
    with Box.open() as box:
        yield box


@pytest.fixture(autouse=True)
def no_qemu(tmp_path_factory, monkeypatch):
    """Decoys in the place of every QEMU program that unxen could start; a touched one fails the test."""
    decoys = tmp_path_factory.mktemp("decoys")
    for name in ("qemu-img", "qemu-io", "qemu-nbd", "qemu-storage-daemon"):
        (decoys / name).write_text(f"#!/bin/sh\ntouch {decoys}/started\n")
        (decoys / name).chmod(0o755)
    monkeypatch.setattr(process, "PATH", f"{decoys}:{process.PATH}")
    yield
    assert not (decoys / "started").exists(), "a QEMU program was started to read a header"


def qemu_img(*words: object) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def raw(path: Path) -> Path:
    path.write_bytes(bytes(MIB))
    return path


def qcow2(path: Path, *, backing: str | None = None, format: str | None = "qcow2", options: Sequence[str] = ()) -> Path:
    """An image; its backing file, if any, is a name that need not exist."""
    names = ("-u", "-b", backing) if backing else ()
    qemu_img("create", "-q", "-f", "qcow2", *names, *(("-F", format) if backing and format else ()), *options, path, "1M")
    return path


def check(box: Box, path: Path | str, format: str = "qcow2", dirs: Sequence[Path] = ()) -> ImageChain:
    (chain,) = check_images([Disk(DiskNumber(1), str(path), ImageFormat(format))], box, dirs)
    return chain


def refusal(box: Box, path: Path | str, format: str = "qcow2", dirs: Sequence[Path] = ()) -> Reason:
    with pytest.raises(Refused) as caught:
        check(box, path, format, dirs)
    return caught.value.first


def patched(path: Path, offset: int, data: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    return path


def test_a_chain_is_followed_to_its_end(box, tmp_path) -> None:
    raw(tmp_path / "base.raw")
    qcow2(tmp_path / "middle.qcow2", backing="base.raw", format="raw")
    top = qcow2(tmp_path / "top.qcow2", backing=str(tmp_path / "middle.qcow2"))
    chain = check(box, top)
    assert [Path(layer.path).name for layer in chain.layers] == ["top.qcow2", "middle.qcow2", "base.raw"]
    assert [layer.header.format.value for layer in chain.layers] == ["qcow2", "qcow2", "raw"]
    assert [layer.inode for layer in chain.layers] == [Path(layer.path).stat().st_ino for layer in chain.layers]
    assert chain.layers[0].file_size == top.stat().st_size


def test_relative_names_count_from_the_image_that_names_them(box, tmp_path) -> None:
    (tmp_path / "below").mkdir()
    raw(tmp_path / "below" / "base.raw")
    qcow2(tmp_path / "below" / "middle.qcow2", backing="base.raw", format="raw")
    chain = check(box, qcow2(tmp_path / "top.qcow2", backing="below/middle.qcow2"))
    assert Path(chain.layers[2].path) == tmp_path / "below" / "base.raw"


def test_names_are_resolved_from_a_link_as_qemu_does(box, tmp_path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        raw(tmp_path / name / "base.raw")
    qcow2(tmp_path / "there" / "disk.qcow2", backing="base.raw", format="raw")
    (tmp_path / "here" / "link.qcow2").symlink_to(tmp_path / "there" / "disk.qcow2")
    chain = check(box, tmp_path / "here" / "link.qcow2")
    assert chain.layers[1].inode == (tmp_path / "here" / "base.raw").stat().st_ino


OUTSIDE = {
    "absolute": ("/etc/passwd", "raw"),
    "upwards": ("../outside.raw", "raw"),
    "through a link": ("link.raw", "raw"),
    "json": ('json:{"driver":"file","filename":"/etc/passwd"}', "raw"),
    "nbd": ("nbd://127.0.0.1/x", "raw"),
    "http": ("http://127.0.0.1/x", "raw"),
    "rbd": ("rbd:pool/image", "raw"),
    "file protocol": ("file:/etc/passwd", "raw"),
    "a protocol of any letters": ("o_o:x", "raw"),
    "a device": ("/dev/sda", "raw"),
    "a process' memory": ("/proc/self/mem", "raw"),
}


@pytest.mark.parametrize(("name", "format"), OUTSIDE.values(), ids=OUTSIDE.keys())
def test_a_backing_file_elsewhere_is_not_opened(box, tmp_path, name: str, format: str) -> None:
    raw(tmp_path / "outside.raw")
    own = tmp_path / "own"
    own.mkdir()
    (own / "link.raw").symlink_to(tmp_path / "outside.raw")
    image = qcow2(own / "disk.qcow2", backing="x" * len(name), format=format)
    patched(image, image.read_bytes().index(b"x" * len(name)), name.encode())
    found = refusal(box, image)
    assert (found.kind, found.subject, found.detail("name")) == (ReasonKind.BACKING_OUTSIDE, str(image), name)


def test_a_directory_that_the_administrator_added_is_allowed(box, tmp_path) -> None:
    for name in ("own", "pool"):
        (tmp_path / name).mkdir()
    base = raw(tmp_path / "pool" / "base.raw")
    image = qcow2(tmp_path / "own" / "disk.qcow2", backing=str(base), format="raw")
    assert refusal(box, image).kind is ReasonKind.BACKING_OUTSIDE
    (tmp_path / "link").symlink_to(tmp_path / "pool")
    assert len(check(box, image, dirs=[tmp_path / "link"]).layers) == 2


def test_a_missing_backing_file_is_named(box, tmp_path) -> None:
    found = refusal(box, qcow2(tmp_path / "disk.qcow2", backing="gone.qcow2"))
    assert (found.kind, found.subject) == (ReasonKind.BACKING_MISSING, str(tmp_path / "gone.qcow2"))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_circle_is_found(box, tmp_path, length: int) -> None:
    for number in range(length):
        qcow2(tmp_path / f"{number}.qcow2", backing=f"{(number + 1) % length}.qcow2")
    assert refusal(box, tmp_path / "0.qcow2").kind is ReasonKind.BACKING_CYCLE


def test_a_circle_of_hard_links_is_found(box, tmp_path) -> None:
    qcow2(tmp_path / "a.qcow2", backing="b.qcow2")
    (tmp_path / "b.qcow2").hardlink_to(tmp_path / "a.qcow2")
    assert refusal(box, tmp_path / "a.qcow2").kind is ReasonKind.BACKING_CYCLE


def test_a_chain_without_end_is_refused(box, tmp_path) -> None:
    first = qcow2(tmp_path / "000.qcow2", backing="001.qcow2").read_bytes()
    for number in range(1, 70):
        (tmp_path / f"{number:03}.qcow2").write_bytes(first.replace(b"001.qcow2", b"%03d.qcow2" % (number + 1)))
    found = refusal(box, tmp_path / "000.qcow2")
    assert (found.kind, found.detail("depth")) == (ReasonKind.BACKING_CYCLE, "64")


def test_a_backing_file_whose_format_is_not_said_is_not_guessed(box, tmp_path) -> None:
    raw(tmp_path / "base")
    qcow2(tmp_path / "disk.qcow2", backing="base", format="raw")
    image = tmp_path / "disk.qcow2"
    patched(image, image.read_bytes().index(struct.pack(">I", 0xE2792ACA)), struct.pack(">I", 0x01020304))
    assert refusal(box, image).kind is ReasonKind.BACKING_FORMAT_UNKNOWN


def test_a_backing_format_that_nobody_reads_is_refused(box, tmp_path) -> None:
    raw(tmp_path / "base")
    image = qcow2(tmp_path / "disk.qcow2", backing="base", format="raw")
    patched(image, image.read_bytes().index(b"raw\0", 104), b"qed\0")
    found = refusal(box, image)
    assert (found.kind, found.detail("format")) == (ReasonKind.BACKING_FORMAT_UNKNOWN, "qed")


def test_the_wrong_format_of_a_backing_file_is_told_of_that_file(box, tmp_path) -> None:
    qcow2(tmp_path / "base.qcow2")
    found = refusal(box, qcow2(tmp_path / "disk.qcow2", backing="base.qcow2", format="vmdk"))
    assert (found.kind, found.subject) == (ReasonKind.WRONG_FORMAT, str(tmp_path / "base.qcow2"))


def test_an_unsafe_layer_below_is_refused_like_the_disk_itself(box, tmp_path) -> None:
    qcow2(tmp_path / "base.qcow2", options=("-o", f"data_file={tmp_path / 'data'}"))
    found = refusal(box, qcow2(tmp_path / "disk.qcow2", backing="base.qcow2"))
    assert (found.kind, found.subject) == (ReasonKind.EXTERNAL_DATA_FILE, str(tmp_path / "base.qcow2"))


@pytest.mark.parametrize("method", [1, 2], ids=["AES", "LUKS"])
def test_encrypted_images_are_refused(box, tmp_path, method: int) -> None:
    image = patched(qcow2(tmp_path / "disk"), 32, struct.pack(">I", method))
    assert refusal(box, image).kind is ReasonKind.IMAGE_ENCRYPTED


def test_unknown_features_are_named(box, tmp_path) -> None:
    found = refusal(box, patched(qcow2(tmp_path / "disk"), 72, struct.pack(">Q", 1 << 40)))
    assert (found.kind, found.detail("feature")) == (ReasonKind.UNSUPPORTED_FEATURE, "incompatible bit 40")


def test_a_differencing_vhd_is_refused(box, tmp_path) -> None:
    qemu_img("create", "-q", "-f", "vpc", tmp_path / "disk.vhd", "10M")
    footer = bytearray((tmp_path / "disk.vhd").read_bytes()[-512:])
    footer[60:64], footer[64:68] = struct.pack(">I", 4), bytes(4)
    footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
    patched(tmp_path / "disk.vhd", (tmp_path / "disk.vhd").stat().st_size - 512, footer)
    patched(tmp_path / "disk.vhd", 0, footer)
    assert refusal(box, tmp_path / "disk.vhd", "vhd").kind is ReasonKind.DIFFERENCING_VHD


def test_a_missing_disk_is_told(box, tmp_path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "gone", tmp_path / "file" / "below", tmp_path / "no" / "such"):
        found = refusal(box, path, "raw")
        assert (found.kind, found.subject) == (ReasonKind.DISK_MISSING, str(path))


def test_what_is_no_file_is_no_image_and_never_waited_for(box, tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/null"), Path("/dev/zero")):
        assert refusal(box, path, "raw").kind is ReasonKind.NOT_AN_IMAGE


@pytest.mark.skipif(os.geteuid() != 0, reason="root takes another user's rights for this")
def test_a_disk_that_may_not_be_read_is_told(box, tmp_path) -> None:
    image = raw(tmp_path / "disk.raw")
    image.chmod(0o600)
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    os.seteuid(65534)
    try:
        found = refusal(box, image, "raw")
    finally:
        os.seteuid(0)
    assert (found.kind, found.subject) == (ReasonKind.NO_PERMISSION, str(image))


def test_a_raw_disk_is_raw_whatever_its_guest_wrote_at_its_beginning(box, tmp_path) -> None:
    chain = check(box, qcow2(tmp_path / "disk.raw", backing="/etc/shadow", format="raw"), "raw")
    assert [each.header.format for each in chain.layers] == [ImageFormat.RAW]


def test_a_dirty_or_corrupt_disk_is_read_and_not_written(box, tmp_path) -> None:
    check_writable_headers(check(box, qcow2(tmp_path / "good")))
    for bit, kind in ((1, ReasonKind.IMAGE_DIRTY), (2, ReasonKind.IMAGE_DAMAGED)):
        chain = check(box, patched(qcow2(tmp_path / "disk"), 72, struct.pack(">Q", bit)))
        with pytest.raises(Refused) as caught:
            check_writable_headers(chain)
        assert caught.value.first.kind is kind


def test_a_streamed_vmdk_is_read_and_not_written(box, tmp_path) -> None:
    qemu_img("create", "-q", "-f", "vmdk", "-o", "subformat=streamOptimized", tmp_path / "disk.vmdk", "1M")
    with pytest.raises(Refused) as caught:
        check_writable_headers(check(box, tmp_path / "disk.vmdk", "vmdk"))
    assert caught.value.first.kind is ReasonKind.NOT_WRITABLE_KIND


def test_one_bad_disk_refuses_all(box, tmp_path) -> None:
    disks = [
        Disk(DiskNumber(1), str(raw(tmp_path / "a")), ImageFormat.RAW),
        Disk(DiskNumber(2), str(tmp_path / "b"), ImageFormat.RAW),
    ]
    with pytest.raises(Refused):
        check_images(disks, box, [])


def test_no_look_changes_a_file(box, tmp_path) -> None:
    image = qcow2(tmp_path / "disk")
    before = (image.read_bytes(), image.stat().st_mtime_ns)
    check(box, image)
    assert (image.read_bytes(), image.stat().st_mtime_ns) == before
