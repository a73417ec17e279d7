# SPDX-License-Identifier: Apache-2.0
"""What readers get through the box of qemu-nbd is the disk, all of it and nothing else; and the box is gone afterwards."""

import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbd
import pytest
from unxen.errors import Refused
from unxen.host import sandbox
from unxen.host.nbd import NbdServer, serve_read_only
from unxen.host.sandbox import Box, BoxMode
from unxen.model.disk import Disk, ImageChain
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import ReasonKind
from unxen.probe.images import check_images

pytestmark = pytest.mark.disk
MIB = 1 << 20
ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def box():
    with Box.open() as box:
        yield box


def chain_of(box: Box, path: Path, format: str) -> ImageChain:
    (chain,) = check_images([Disk(DiskNumber(1), str(path), ImageFormat(format))], box, [])
    return chain


@contextmanager
def client(server: NbdServer) -> Iterator[nbd.NBD]:
    handle = nbd.NBD()
    handle.connect_socket(server.connect().detach())
    yield handle
    handle.shutdown()


def content(server: NbdServer) -> bytes:
    with client(server) as handle:
        size = handle.get_size()
        return b"".join(bytes(handle.pread(min(4 * MIB, size - at), at)) for at in range(0, size, 4 * MIB))


def pattern(size: int) -> bytes:
    """Bytes that differ everywhere, with a hole that formats leave out."""
    data = random.Random(1).randbytes(size)
    return data[: size // 4] + bytes(size // 4) + data[size // 4 + size // 4 :]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "disk.raw"
    path.write_bytes(pattern(8 * MIB))
    return path


def convert(source: Path, target: Path, format: str, *options: str) -> Path:
    words = [word for option in options for word in ("-o", option)]
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format, *words, source, target], check=True)
    return target


FORMATS = {
    "raw": ("raw", "raw", ()),
    "qcow2": ("qcow2", "qcow2", ()),
    "qcow2 of old": ("qcow2", "qcow2", ("compat=0.10",)),
    "dynamic vhd": ("vhd", "vpc", ("force_size=on",)),
    "fixed vhd": ("vhd", "vpc", ("subformat=fixed,force_size=on",)),
    "vhdx": ("vhdx", "vhdx", ()),
    "vmdk": ("vmdk", "vmdk", ()),
    "streamed vmdk": ("vmdk", "vmdk", ("subformat=streamOptimized",)),
    "vdi": ("vdi", "vdi", ()),
}


@pytest.mark.parametrize(("format", "driver", "options"), FORMATS.values(), ids=FORMATS.keys())
def test_every_format_reads_as_the_disk_that_went_in(box, tmp_path, plain, format: str, driver: str, options) -> None:
    chain = chain_of(box, convert(plain, tmp_path / "image", driver, *options), format)
    assert chain.virtual_size == 8 * MIB
    with serve_read_only(chain) as server:
        assert content(server) == plain.read_bytes()


def test_a_chain_reads_through_all_its_layers(box, tmp_path, plain) -> None:
    shutil.copy(plain, tmp_path / "base.raw")
    for name, backing, format, at in (("m.qcow2", "base.raw", "raw", 1), ("top.qcow2", "m.qcow2", "qcow2", 5)):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", format, tmp_path / name], check=True)
        command = ["qemu-io", "-f", "qcow2", "-c", f"write -P {at} {at}M 64k", tmp_path / name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    expected = bytearray(plain.read_bytes())
    for at in (1, 5):
        expected[at * MIB : at * MIB + 65536] = bytes([at]) * 65536
    with serve_read_only(chain_of(box, tmp_path / "top.qcow2", "qcow2")) as server:
        assert content(server) == expected


def test_a_base_without_a_backing_file_gets_none(box, tmp_path, plain) -> None:
    """A name that appears in the header after it was checked is not followed."""
    image = convert(plain, tmp_path / "image", "qcow2")
    chain = chain_of(box, image, "qcow2")
    subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", image], check=True)
    with serve_read_only(chain) as server:
        assert content(server) == plain.read_bytes()


@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
@pytest.mark.parametrize("creator", [b"caml", b"xo  ", b"tap\0", b"vpc ", b"win "])
def test_a_vhd_keeps_its_last_bytes_whoever_made_it(box, tmp_path, kind: str, creator: bytes) -> None:
    image = tmp_path / "disk.vhd"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vpc", "-o", f"subformat={kind},force_size=on", image, "100M"], check=True)
    command = ["qemu-io", "--image-opts", "-c", "write -P 9 104856576 1k"]
    node = f"driver=vpc,force_size_calc=current_size,file.filename={image}"
    subprocess.run([*command, node], check=True, stdout=subprocess.DEVNULL)
    data = bytearray(image.read_bytes())
    for start in {len(data) - 512, 0 if kind == "dynamic" else len(data) - 512}:
        data[start + 28 : start + 32], data[start + 64 : start + 68] = creator, bytes(4)
        # Cylinders, heads and sectors as the specification computes them for 100 MiB: a little less than the size.
        data[start + 56 : start + 60] = struct.pack(">HBB", 3009, 4, 17)
        data[start + 64 : start + 68] = struct.pack(">I", ~sum(data[start : start + 512]) & 0xFFFFFFFF)
    image.write_bytes(data)
    with serve_read_only(chain_of(box, image, "vhd")) as server, client(server) as handle:
        assert handle.get_size() == 100 * MIB
        assert handle.pread(1024, 100 * MIB - 1024) == b"\t" * 1024


@pytest.mark.parametrize("format", ["raw", "qcow2", "vhd", "vdi"])
def test_a_size_of_no_whole_sector_is_the_one_that_qemu_exports(box, tmp_path, format: str) -> None:
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", {"vhd": "vpc"}.get(format, format), image, "10M"], check=True)
    odd = struct.pack(">Q", 10 * MIB - 200)
    with image.open("r+b") as file:
        if format == "raw":
            file.truncate(10 * MIB - 200)
        elif format == "vdi":
            file.seek(0x170)
            file.write(odd[::-1])
        elif format == "qcow2":
            file.seek(24)
            file.write(odd)
    chain = chain_of(box, image, format)
    with serve_read_only(chain) as server, client(server) as handle:
        assert handle.get_size() == chain.virtual_size


def test_nobody_writes_through_it(box, tmp_path, plain) -> None:
    image = convert(plain, tmp_path / "image", "qcow2")
    before = image.read_bytes()
    with serve_read_only(chain_of(box, image, "qcow2")) as server, client(server) as handle:
        assert handle.is_read_only()
        with pytest.raises(nbd.Error):
            handle.pwrite(b"x" * 512, 0)
    assert image.read_bytes() == before


def test_several_readers_at_once_and_one_after_another(box, tmp_path, plain) -> None:
    with serve_read_only(chain_of(box, convert(plain, tmp_path / "image", "qcow2"), "qcow2")) as server:
        with client(server) as one, client(server) as two:
            assert one.pread(512, 0) == two.pread(512, 0)
        for _ in range(6):
            with client(server) as handle:
                assert handle.get_size() == 8 * MIB


@contextmanager
def writer(image: Path) -> Iterator[None]:
    """Another program that has the image open for writing, as a running machine has."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["qemu-nbd", "-f", "qcow2", "-t", "-k", f"{directory}/nbd", image]
        with subprocess.Popen(command) as process:
            try:
                while not Path(directory, "nbd").exists():
                    time.sleep(0.01)
                yield
            finally:
                process.kill()


def test_an_image_that_a_machine_uses_is_in_use_and_can_be_read_beside_it(box, tmp_path, plain) -> None:
    image = convert(plain, tmp_path / "image", "qcow2")
    chain = chain_of(box, image, "qcow2")
    with writer(image):
        with serve_read_only(chain) as server, pytest.raises(Refused) as caught:
            server.connect()
        assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.IN_USE, str(image))
        with serve_read_only(chain, force_share=True) as server:
            assert content(server) == plain.read_bytes()


def test_another_file_in_the_place_of_the_checked_one_is_not_served(box, tmp_path, plain) -> None:
    image = convert(plain, tmp_path / "image", "qcow2")
    chain = chain_of(box, image, "qcow2")
    image.rename(tmp_path / "old")
    shutil.copy(tmp_path / "old", image)
    with pytest.raises(Refused) as caught, serve_read_only(chain):
        pass
    assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.PROBE_FAILED, str(image))


def test_what_only_qemu_finds_damaged_is_told_with_our_names(box, tmp_path, plain) -> None:
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vdi", image, "8M"], check=True)
    with image.open("r+b") as file:
        file.seek(0x178)
        file.write(struct.pack("<I", 2 * MIB))
    with serve_read_only(chain_of(box, image, "vdi")) as server, pytest.raises(Refused) as caught:
        server.connect()
    found = caught.value.first
    assert (found.kind, found.subject) == (ReasonKind.IMAGE_DAMAGED, str(image))
    assert "block size" in found.detail("cause")
    assert "/proc/" not in found.detail("cause")


def reachable(path: Path) -> Path:
    """Lets other users walk to it."""
    for directory in (path, *path.parents[:3]):
        if directory.is_relative_to(tempfile.gettempdir()) and directory != Path(tempfile.gettempdir()):
            directory.chmod(0o755)
    return path


@pytest.mark.skipif(not ROOT, reason="root gives files to other users for this")
@pytest.mark.parametrize("mode", [None, BoxMode.PLAIN], ids=["as here", "without user namespaces"])
@pytest.mark.parametrize("owner", [0, 12345], ids=["root's", "another user's"])
def test_an_image_closed_to_others_is_read_with_its_owners_rights(box, tmp_path, plain, monkeypatch, mode, owner: int) -> None:
    if mode:
        monkeypatch.setattr(sandbox, "box_mode", lambda: mode)
    closed = tmp_path / "closed"
    closed.mkdir()
    image = convert(plain, closed / "image", "qcow2")
    image.chmod(0o600)
    os.chown(image, owner, owner)
    closed.chmod(0o700)
    with serve_read_only(chain_of(box, image, "qcow2")) as server:
        assert content(server) == plain.read_bytes()
    assert all_gone(image)


@pytest.mark.skipif(not ROOT, reason="root gives files to other users for this")
def test_a_base_that_the_disks_owner_may_not_read_is_named(box, tmp_path, plain) -> None:
    base = tmp_path / "base.raw"
    shutil.copy(plain, base)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", tmp_path / "top"], check=True)
    base.chmod(0o600)
    os.chown(tmp_path / "top", 12345, 12345)
    with serve_read_only(chain_of(box, tmp_path / "top", "qcow2")) as server, pytest.raises(Refused) as caught:
        server.connect()
    assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.NO_PERMISSION, str(base))


@pytest.mark.skipif(not ROOT, reason="only root makes loop devices")
@pytest.mark.parametrize("mode", [None, BoxMode.PLAIN], ids=["as here", "without user namespaces"])
def test_a_block_device_is_read_like_a_file(box, tmp_path, plain, monkeypatch, mode) -> None:
    if mode:
        monkeypatch.setattr(sandbox, "box_mode", lambda: mode)
    shutil.copy(plain, tmp_path / "disk")
    done = subprocess.run(["losetup", "--find", "--show", tmp_path / "disk"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop device can be made here: {done.stderr.strip()}")
    device = Path(done.stdout.strip())
    try:
        chain = chain_of(box, device, "raw")
        assert chain.layers[0].file_size == 8 * MIB
        with serve_read_only(chain) as server:
            assert content(server) == plain.read_bytes()
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


@pytest.fixture
def device(tmp_path, plain) -> Iterator[Path]:
    """A block device with the plain disk, which root alone may read."""
    shutil.copy(plain, tmp_path / "loop")
    done = subprocess.run(["losetup", "--find", "--show", tmp_path / "loop"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop device can be made here: {done.stderr.strip()}")
    yield Path(done.stdout.strip())
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


@pytest.mark.skipif(not ROOT, reason="only root makes loop devices")
@pytest.mark.parametrize("mode", [None, BoxMode.PLAIN], ids=["as here", "without user namespaces"])
@pytest.mark.parametrize("owner", [0, 12345], ids=["root's", "another user's"])
def test_a_file_above_a_block_device_reads_through(tmp_path, plain, device: Path, monkeypatch, mode, owner: int) -> None:
    if mode:
        monkeypatch.setattr(sandbox, "box_mode", lambda: mode)
    top = tmp_path / "top.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", device, "-F", "raw", top], check=True)
    top.chmod(0o600)
    os.chown(top, owner, owner)
    with Box.open() as opened:
        (chain,) = check_images([Disk(DiskNumber(1), str(top), ImageFormat.QCOW2)], opened, [Path("/dev")])
    with serve_read_only(chain) as server:
        assert content(server) == plain.read_bytes()


PROGRAM = """
import sys, time
sys.path[:0] = {paths!r}
from unxen.host.sandbox import Box
from unxen.host.nbd import serve_read_only
from unxen.model.disk import Disk
from unxen.model.ids import ImageFormat
from unxen.probe.images import check_images
from unxen.host import sandbox
if {mode!r}:
    sandbox.box_mode = lambda: sandbox.BoxMode({mode!r})
with Box.open() as box:
    (chain,) = check_images([Disk(1, {image!r}, ImageFormat.QCOW2)], box, [])
    with serve_read_only(chain) as server, server.connect():
        print(sandbox.box_mode().value, flush=True)
        time.sleep({seconds})
"""


@pytest.mark.skipif(not ROOT, reason="this is already an ordinary user")
def test_an_ordinary_user_reads_an_own_image(tmp_path, plain) -> None:
    for path in (sandbox.PACKAGE_PARENT, *sandbox.PACKAGE_PARENT.parents):
        if not path.stat().st_mode & 0o001:
            pytest.skip(f"{path} is closed to ordinary users")
    image = convert(plain, reachable(tmp_path) / "image", "qcow2")
    image.chmod(0o600)
    os.chown(image, 12345, 12345)
    text = PROGRAM.format(paths=[str(sandbox.PACKAGE_PARENT)], image=str(image), seconds=0, mode="")
    done = subprocess.run(
        ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "/usr/bin/python3", "-c", text],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin"},
        cwd="/",
    )
    assert (done.returncode, done.stdout) == (0, "own\n"), done.stderr


def holders(image: Path) -> set[int]:
    """Processes that have the image open, or run for it; by what is open, because a detached mount shows no path."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and any(fd.exists() and fd.samefile(image) for fd in (entry / "fd").iterdir()):
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def all_gone(image: Path) -> bool:
    end = time.monotonic() + 3
    while holders(image) and time.monotonic() < end:
        time.sleep(0.02)
    return not holders(image)


def test_nothing_is_left_of_a_server(box, tmp_path, plain, monkeypatch) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    image = convert(plain, tmp_path / "image", "qcow2")
    chain = chain_of(box, image, "qcow2")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with serve_read_only(chain) as server:
        content(server)
        assert list(room.iterdir()) == []
        assert holders(image)
    with pytest.raises(KeyError), serve_read_only(chain):
        raise KeyError
    assert all_gone(image)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("when", [0.1, 0.15, 0.2, None], ids=str)
@pytest.mark.parametrize("mode", ["", "plain"], ids=["as here", "without user namespaces"])
def test_nothing_is_left_when_unxen_is_killed(tmp_path, plain, when: float | None, mode: str) -> None:
    image = convert(plain, tmp_path / "image", "qcow2")
    if mode and not ROOT:
        pytest.skip("only root makes boxes without user namespaces")
    if mode:
        os.chown(image, 12345, 12345)
    text = PROGRAM.format(paths=sys.path, image=str(image), seconds=60, mode=mode)
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if when is None:
        assert process.stdout.readline()
        assert len(holders(image)) > 1
    else:
        time.sleep(when)
    process.kill()
    process.wait()
    assert all_gone(image)
