# SPDX-License-Identifier: Apache-2.0
"""One daemon holds a disk from lock to end: no machine gets in, and not one byte of the file changes before the commit."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from content import digest
from unxen.errors import Refused
from unxen.host import storage_daemon as storage_daemon_module
from unxen.host.locks import forbid_machines
from unxen.host.nbd_client import Range
from unxen.host.sandbox import Box
from unxen.host.storage_daemon import BASE, CommitFailed, storage_daemon
from unxen.model.disk import Disk, ImageChain
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import ReasonKind
from unxen.probe.images import check_images
from unxen.repair.undo_data import exported

pytestmark = pytest.mark.disk

MIB = 1 << 20
QEMU_NAMES = {"vhd": "vpc"}
FORMATS = ["raw", "qcow2", "vhd", "vhdx", "vdi", "vmdk"]


def make(path: Path, kind: str, size: int = 16 * MIB, *options: str) -> Path:
    name = QEMU_NAMES.get(kind, kind)
    subprocess.run(["qemu-img", "create", "-q", "-f", name, *options, path, str(size)], check=True)
    subprocess.run(["qemu-io", "-f", name, "-c", "write -P 1 0 4M", path], check=True, stdout=subprocess.DEVNULL)
    return path


def checked(path: Path) -> ImageChain:
    with Box.open() as box:
        (chain,) = check_images([Disk(DiskNumber(1), str(path), ImageFormat(path.suffix[1:]))], box, [])
    return chain


@pytest.fixture
def daemon_of(tmp_path):
    @contextmanager
    def run(path: Path) -> Iterator:
        directory = tmp_path / "work"
        directory.mkdir(mode=0o700, exist_ok=True)
        with storage_daemon(checked(path), directory) as daemon:
            yield daemon

    return run


def stage(daemon) -> None:
    daemon.create_image("overlay", daemon.check_size(), above_base=True)
    daemon.export("overlay", writable=True)


@contextmanager
def machine(path: Path, kind: str, *, read_only: bool = False) -> Iterator[str]:
    """A real machine, stopped at its first instruction, with the disk; gives what it said when it did not start."""
    node = {"driver": kind, "node-name": "d", "read-only": read_only, "file": {"driver": "file", "filename": str(path)}}
    command = [
        *("qemu-system-x86_64", "-accel", "tcg", "-S", "-nodefaults", "-display", "none", "-qmp", "stdio"),
        *("-blockdev", json.dumps(node), "-device", "virtio-blk-pci,drive=d"),
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # The greeting comes before the devices are made; an answer comes after.
    process.stdin.write('{"execute": "qmp_capabilities"}\n')
    process.stdin.flush()
    process.stdout.readline()
    answer = process.stdout.readline()
    try:
        yield "" if answer else process.stderr.read()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", FORMATS)
def test_overlay_is_merged_into_every_format(tmp_path, daemon_of, kind) -> None:
    path = make(tmp_path / f"disk.{kind}", kind)
    before = digest(path)
    with daemon_of(path) as daemon:
        stage(daemon)
        with daemon.client(depths=True) as client:
            client.write(MIB + 512, b"\x02" * 512)
            client.flush()
            assert client.top_ranges() == (Range(MIB, 65536),)
        daemon.unexport()
        assert digest(path) == before
        daemon.commit("overlay")
        daemon.close_image("overlay")
        daemon.reopen_base(read_only=True)
        daemon.export(BASE)
        with daemon.client() as client:
            assert client.read(MIB, 1536) == b"\x01" * 512 + b"\x02" * 512 + b"\x01" * 512
    assert digest(path) != before


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_no_machine_starts_from_lock_to_commit_and_after_it_does(tmp_path, daemon_of, kind) -> None:
    path = make(tmp_path / f"disk.{kind}", kind)
    with path.open("r+b") as held:
        if kind == "raw":
            forbid_machines(held.fileno(), str(path))
        with daemon_of(path) as daemon:
            steps = (
                lambda: None,
                lambda: stage(daemon),
                lambda: daemon.unexport(),
                lambda: daemon.commit("overlay"),
                lambda: daemon.close_image("overlay"),
                lambda: daemon.reopen_base(read_only=True),
            )
            for number, step in enumerate(steps):
                step()
                with machine(path, kind) as said:
                    assert "lock" in said, number
    with machine(path, kind) as said:
        assert said == ""


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_disk_of_a_running_machine_is_in_use(tmp_path, daemon_of, kind) -> None:
    path = make(tmp_path / f"disk.{kind}", kind)
    with machine(path, kind) as said:
        assert said == ""
        with pytest.raises(Refused) as refusal, path.open("r+b") as held:
            if kind == "raw":
                forbid_machines(held.fileno(), str(path))
            with daemon_of(path):
                pytest.fail("opened")
    assert refusal.value.first.kind is ReasonKind.IN_USE


def test_machine_that_only_reads_stops_the_commit_before_its_first_byte(tmp_path, daemon_of) -> None:
    """It may start beside a daemon that only reads; writing under it would be wrong."""
    path = make(tmp_path / "disk.qcow2", "qcow2")
    before = digest(path)
    with daemon_of(path) as daemon:
        stage(daemon)
        with daemon.client() as client:
            client.write(0, b"\x07" * 4096)
            client.flush()
        daemon.unexport()
        with machine(path, "qcow2", read_only=True) as said:
            assert said == ""
            with pytest.raises(CommitFailed, match="lock"):
                daemon.commit("overlay")
            assert digest(path) == before


def test_image_with_a_bitmap_is_untouched_until_the_commit(tmp_path, daemon_of) -> None:
    path = make(tmp_path / "disk.qcow2", "qcow2")
    subprocess.run(["qemu-img", "bitmap", "--add", path, "backup"], check=True)
    before = digest(path), path.stat().st_mtime_ns
    with daemon_of(path) as daemon:
        stage(daemon)
        with daemon.client() as client:
            client.write(0, b"\x07" * 4096)
            client.flush()
    assert (digest(path), path.stat().st_mtime_ns) == before


def test_backing_file_is_the_checked_one_whatever_the_header_says_later(tmp_path, daemon_of) -> None:
    base, other = make(tmp_path / "base.raw", "raw"), tmp_path / "other.raw"
    other.write_bytes(b"\x55" * 16 * MIB)
    top = tmp_path / "top.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top], check=True)
    chain = checked(top)
    subprocess.run(["qemu-img", "rebase", "-u", "-b", other, "-F", "raw", top], check=True)
    directory = tmp_path / "work"
    directory.mkdir()
    with storage_daemon(chain, directory) as daemon:
        daemon.export(BASE)
        with daemon.client() as client:
            assert client.read(0, 512) == b"\x01" * 512


def _daemons_below(parent: int) -> list[str]:
    """What the kernel says of the daemon, which is bubblewrap's child or became it."""
    found = []
    for each in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            text = each.read_text()
            family = (f"\nPid:\t{parent}\n", f"\nPPid:\t{parent}\n")
            if text.startswith("Name:\tqemu-storage-da") and any(line in text for line in family):
                found.append(text)
            elif text.startswith("Name:\tbwrap") and family[1] in text:
                found += _daemons_below(int(each.parent.name))
    return found


def test_daemon_runs_with_the_rights_of_the_images_owner(tmp_path, daemon_of) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can act for others")
    path = make(tmp_path / "disk.qcow2", "qcow2")
    os.chown(path, 65534, 65534)
    path.chmod(0o600)
    with daemon_of(path) as daemon:
        stage(daemon)
        (status,) = _daemons_below(daemon._process.pid)
        assert "Uid:\t65534\t65534\t65534\t65534" in status
        daemon.unexport()
        daemon.commit("overlay")


def test_daemon_dies_with_unxen(tmp_path) -> None:
    path = make(tmp_path / "disk.qcow2", "qcow2")
    program = (
        "import sys, time; sys.path[:0] = sys.argv[1:3]\n"
        "from pathlib import Path\n"
        "from disks.test_storage_daemon import checked\n"
        "from unxen.host.storage_daemon import storage_daemon\n"
        "with storage_daemon(checked(Path(sys.argv[3])), Path(sys.argv[4])):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    directory = tmp_path / "work"
    directory.mkdir()
    tests = Path(__file__).resolve().parent.parent
    arguments = [str(tests.parent / "plugin"), str(tests), str(path), str(directory)]
    process = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for _ in range(100):
        with machine(path, "qcow2") as said:
            if not said:
                return
        time.sleep(0.05)
    pytest.fail(f"still held: {said}")


def test_full_file_system_is_no_space_and_can_be_tried_again(tmp_path, daemon_of) -> None:
    """A sparse disk that has to grow by what the overlay holds, on a file system without room for it."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", small], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.strip()}")
    try:
        path = make(small / "disk.raw", "raw")
        filler = small / "filler"
        with daemon_of(path) as daemon:
            stage(daemon)
            with daemon.client() as client:
                client.write(8 * MIB, b"\x07" * MIB)
                client.flush()
            daemon.unexport()
            filler.write_bytes(bytes(MIB + MIB // 2))
            with pytest.raises(CommitFailed, match="No space left"):
                daemon.commit("overlay")
            filler.unlink()
            daemon.commit("overlay")
        assert path.read_bytes()[8 * MIB : 9 * MIB] == b"\x07" * MIB
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("failing", [False, True])
def test_request_without_an_end_is_given_up(tmp_path, daemon_of, monkeypatch, failing) -> None:
    """The daemon itself waits for ever for what is below it; a look that nobody answers must not hold a guest's lock for ever."""
    monkeypatch.setattr(storage_daemon_module, "REQUEST_SECONDS", 0.5)
    never = {"driver": "null-co", "size": 16 * MIB, "latency-ns": 1 << 60}
    path = make(tmp_path / "disk.raw", "raw")
    with daemon_of(path) as daemon:
        daemon.close_image(BASE)
        daemon._add(BASE, {**never, "node-name": BASE})
        with pytest.raises(ValueError if failing else Refused) as caught, exported(daemon, BASE, ""), daemon.connect() as client:
            ask_for_a_sector(client)
            if failing:
                raise ValueError("the first")
    if not failing:
        assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.TOOL_FAILED, str(path))


def ask_for_a_sector(client: socket.socket) -> None:
    """Newstyle, fixed; no zeroes behind the answer; the default export; the first 512 bytes of it."""
    client.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 0))
    heard = 0
    while heard < 18 + 10:
        heard += len(client.recv(18 + 10 - heard))
    client.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, 0, 512))
    # Whoever asked is gone before the answer.
    time.sleep(0.2)
