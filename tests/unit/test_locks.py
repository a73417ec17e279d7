# SPDX-License-Identifier: Apache-2.0
"""Nobody works on a disk that somebody else holds, whoever that is and by whatever name."""

import fcntl
import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.host import locks
from unxen.host.locks import disk_key, forbid_machines, in_use, open_device_exclusively, own_locks
from unxen.model.reason import ReasonKind

NEVER = 0.0
HOLDER = """
import fcntl, os, struct, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for byte in map(int, sys.argv[2:]):
    fcntl.fcntl(fd, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, byte, 1, 0))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    return path


@pytest.fixture
def held_by_another(disk):
    """Another process with QEMU's locks on these bytes; ended afterwards."""
    holders = []

    def hold(*numbers: int) -> None:
        command = [sys.executable, "-I", "-c", HOLDER, str(disk), *map(str, numbers)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        holders.append(holder)
        assert holder.stdout.readline() == b"held\n"

    yield hold
    for each in holders:
        each.communicate()


def own(tmp_path: Path, *paths: Path, wait: float = NEVER, waiting=lambda: None):
    return own_locks(tmp_path / "locks", [str(path) for path in paths], wait=wait, waiting=waiting)


def test_second_unxen_is_told_that_the_disk_is_busy(tmp_path, disk) -> None:
    with own(tmp_path, disk), pytest.raises(Refused) as refusal, own(tmp_path, disk):
        pytest.fail("two at once")
    assert refusal.value.first.kind is ReasonKind.BUSY
    with own(tmp_path, disk):
        pass


def test_other_names_of_a_disk_are_the_same_disk(tmp_path, disk) -> None:
    hard, soft = tmp_path / "hard.raw", tmp_path / "soft.raw"
    hard.hardlink_to(disk)
    soft.symlink_to(disk)
    assert disk_key(str(hard)) == disk_key(str(soft)) == disk_key(str(disk))
    with own(tmp_path, hard), pytest.raises(Refused), own(tmp_path, soft):
        pytest.fail("two at once")


def test_whoever_waits_gets_the_disk_and_says_once_that_he_waits(tmp_path, disk) -> None:
    told, taken = [], threading.Event()

    def first() -> None:
        with own(tmp_path, disk):
            taken.set()
            time.sleep(0.3)

    thread = threading.Thread(target=first)
    thread.start()
    taken.wait()
    with own(tmp_path, disk, wait=10, waiting=lambda: told.append(1)):
        pass
    thread.join()
    assert told == [1]


def test_two_guests_with_the_same_disks_in_another_order_do_not_lock_each_other_out(tmp_path, disk, monkeypatch) -> None:
    other = tmp_path / "other.raw"
    other.write_bytes(b"")
    done = []
    real = locks._flock

    def slow(*arguments) -> None:
        real(*arguments)
        time.sleep(0.05)

    monkeypatch.setattr(locks, "_flock", slow)

    def work(*paths: Path) -> None:
        for _ in range(3):
            with own(tmp_path, *paths, wait=3):
                done.append(paths)

    threads = [threading.Thread(target=work, args=order) for order in ((disk, other), (other, disk))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(done) == 6


@pytest.mark.parametrize(("numbers", "expected"), [((101,), True), ((103,), True), ((100, 201), False), ((), False)])
def test_writer_is_in_use_and_reader_is_not(disk, held_by_another, numbers, expected) -> None:
    held_by_another(*numbers)
    assert in_use(str(disk)) is expected


def test_what_cannot_be_asked_is_not_in_use(tmp_path) -> None:
    assert not in_use(str(tmp_path / "absent"))


@pytest.mark.parametrize("numbers", [(101,), (103,), (201,), (100, 101, 201)])
def test_raw_image_of_a_machine_cannot_be_taken(disk, held_by_another, numbers) -> None:
    held_by_another(*numbers)
    with disk.open("r+b") as file, pytest.raises(Refused) as refusal:
        forbid_machines(file.fileno(), str(disk))
    assert refusal.value.first.kind is ReasonKind.IN_USE


def test_held_raw_image_is_in_use_for_others_until_it_is_closed(disk) -> None:
    with disk.open("r+b") as file:
        forbid_machines(file.fileno(), str(disk))
        assert in_use(str(disk))
    assert not in_use(str(disk))


def test_reader_alone_does_not_keep_a_repair_away(disk, held_by_another) -> None:
    held_by_another(100)
    with disk.open("r+b") as file:
        forbid_machines(file.fileno(), str(disk))


def test_claimed_block_device_is_in_use(tmp_path) -> None:
    image = tmp_path / "device.raw"
    image.write_bytes(bytes(1 << 20))
    found = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"no loop device here: {found.stderr.strip()}")
    device = found.stdout.strip()
    try:
        fd = open_device_exclusively(device)
        with pytest.raises(Refused) as refusal:
            open_device_exclusively(device)
        assert refusal.value.first.kind is ReasonKind.IN_USE
        assert disk_key(device).startswith("block-")
        os.close(fd)
        os.close(open_device_exclusively(device))
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_lock_structure_is_the_kernels() -> None:
    """`struct flock` of 64-bit Linux: a wrong size would ask about other bytes."""
    assert struct.calcsize("hhqqi4x") == 32
    assert (fcntl.F_OFD_GETLK, fcntl.F_OFD_SETLK) == (36, 37) if hasattr(fcntl, "F_OFD_GETLK") else True
