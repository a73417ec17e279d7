# SPDX-License-Identifier: Apache-2.0
"""A real appliance writes into real volumes, and only what it was asked for; everything that can go wrong before is a refusal."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from generators.disks import MIB, make_disk, run
from generators.hives import windows_hive
from unxen.errors import Refused
from unxen.model.ids import DiskNumber, GuestPath, PartitionNumber
from unxen.model.progress import Event
from unxen.model.reason import Reason, ReasonKind
from unxen.probe.device import file_device
from unxen.probe.ntfs import NtfsVolume
from unxen.probe.partitions import read_partitions
from unxen.repair.delivery import appliance, appliance_program
from unxen.repair.delivery.appliance import ApplianceJob, deliver_by_appliance

HIVE = windows_hive("10")
SAME_LENGTH = Random(1).randbytes(len(HIVE))
# Written whole, and by what differs: a piece in the middle, and what it is longer by.
LONGER = HIVE[:20_000] + Random(2).randbytes(3000) + HIVE[23_000:] + Random(2).randbytes(3 * 4096)
SPELLED = GuestPath(r"\Windows\System32\config\SYSTEM")
OTHER_CASE = GuestPath(r"\WINDOWS\system32\CONFIG\system")
BLOCK = 512


@contextmanager
def exported(disk: Path, image_format: str, name: str = "") -> Iterator[Path]:
    """The disk as a writable NBD export; gives the socket."""
    with tempfile.TemporaryDirectory(prefix="a:b,c-") as directory:
        address = Path(directory) / "nbd"
        server = subprocess.Popen(["qemu-nbd", "-t", "-k", address, "-x", name, "-f", image_format, disk])
        try:
            wait_until(address.exists)
            yield address
        finally:
            server.terminate()
            server.wait()


def wait_until(true: Callable[[], object], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def as_raw(disk: Path, image_format: str, to: Path) -> Path:
    run("qemu-img", "convert", "-f", image_format, "-O", "raw", disk, to)
    return to


@dataclass(frozen=True)
class Written:
    """One disk before and after, as raw copies."""

    before: Path
    after: Path
    partition: int

    def place(self, disk: Path) -> tuple[int, int]:
        _, found = read_partitions(file_device(disk), DiskNumber(1))
        (place,) = (each for each in found if each.number == self.partition)
        return place.start, place.length

    def volume(self, disk: Path) -> NtfsVolume:
        return NtfsVolume(file_device(disk), *self.place(disk))

    def hive(self, disk: Path) -> bytes:
        volume = self.volume(disk)
        entry = volume.find(SPELLED)
        assert entry is not None
        return volume.read(SPELLED, entry, 0, 1 << 30)


@dataclass(frozen=True)
class Delivered:
    accelerator: str
    events: list[Event]
    same: Written
    longer: Written


@pytest.fixture(scope="module")
def delivered(tmp_path_factory) -> Delivered:
    """Two disks written by one appliance: one hive of the same length, one that grows."""
    work = tmp_path_factory.mktemp("appliance")
    mbr = make_disk(work / "mbr.qcow2", HIVE, format="qcow2", scheme="mbr", size=48 * MIB)
    gpt = make_disk(work / "gpt.raw", HIVE, format="raw", scheme="gpt", size=48 * MIB)
    before = (as_raw(mbr, "qcow2", work / "mbr.before"), as_raw(gpt, "raw", work / "gpt.before"))
    events: list[Event] = []
    with ExitStack() as stack:
        first = stack.enter_context(exported(mbr, "qcow2"))
        second = stack.enter_context(exported(gpt, "raw", "named"))
        jobs = (
            ApplianceJob(first, "", PartitionNumber(1), OTHER_CASE, SAME_LENGTH),
            ApplianceJob(second, "named", PartitionNumber(3), SPELLED, LONGER, before=HIVE),
        )
        accelerator = deliver_by_appliance(jobs, events.append)
    after = (as_raw(mbr, "qcow2", work / "mbr.after"), as_raw(gpt, "raw", work / "gpt.after"))
    return Delivered(accelerator, events, Written(before[0], after[0], 1), Written(before[1], after[1], 3))


@pytest.mark.appliance
def test_only_what_differs_is_written_where_that_is_known() -> None:
    def ranges(data: bytes, before: bytes) -> list[tuple[int, int]]:
        return list(appliance.differing(ApplianceJob(Path("nbd"), "", PartitionNumber(1), SPELLED, data, before)))

    assert ranges(HIVE, b"") == ranges(HIVE, HIVE) == []
    assert len(ranges(SAME_LENGTH, HIVE)) == -(-len(HIVE) // appliance.PIECE)
    found = ranges(LONGER, HIVE)
    assert found[0] == (appliance.PIECE, appliance.PIECE)
    made = bytearray(HIVE.ljust(len(LONGER), b"?"))
    for at, length in found:
        made[at : at + length] = LONGER[at : at + length]
    assert made == LONGER


def test_both_disks_hold_the_new_bytes(delivered: Delivered):
    assert (delivered.same.hive(delivered.same.before), delivered.longer.hive(delivered.longer.before)) == (HIVE, HIVE)
    assert delivered.same.hive(delivered.same.after) == SAME_LENGTH
    assert delivered.longer.hive(delivered.longer.after) == LONGER


@pytest.mark.appliance
def test_other_reader_finds_the_new_bytes(delivered: Delivered, tmp_path: Path):
    for written, expected in ((delivered.same, SAME_LENGTH), (delivered.longer, LONGER)):
        source = written.volume(written.after).source
        volume = tmp_path / "volume"
        volume.write_bytes(source.read(0, source.size))
        read = subprocess.run(["ntfscat", "-q", "-f", volume, "Windows/System32/config/SYSTEM"], capture_output=True, check=True)
        assert read.stdout == expected


@pytest.mark.appliance
def test_accelerator_is_told_and_its_change_remarked(delivered: Delivered):
    assert delivered.accelerator in ("kvm", "tcg")
    remarks = [getattr(each, "kind", "") for each in delivered.events]
    assert remarks == (["appliance-tcg"] if delivered.accelerator == "tcg" and appliance_program.KVM.exists() else [])


def identity(volume: NtfsVolume) -> tuple:
    """Everything of the file that a delivery must leave: its number, generation, creation, access, attributes and protection."""
    entry = volume.find(SPELLED)
    assert entry is not None
    file = volume.mft.file(entry.number)
    (standard,) = (each for each in file.attributes if each.type == 0x10)
    assert standard.value is not None
    protection = [each.value for each in file.attributes if each.type == 0x50]
    return entry.number, file.record.sequence, standard.value[:8], standard.value[24:], protection


@pytest.mark.appliance
def test_file_keeps_its_record_and_its_protection(delivered: Delivered):
    for written in (delivered.same, delivered.longer):
        assert identity(written.volume(written.after)) == identity(written.volume(written.before))


@pytest.mark.appliance
def test_file_keeps_its_clusters_and_grows_behind_them(delivered: Delivered):
    def clusters(written: Written, disk: Path) -> list[int]:
        volume = written.volume(disk)
        entry = volume.find(SPELLED)
        assert entry is not None
        return [run.cluster + at for run in volume.mft.file_record(entry.number).runs for at in range(run.count)]

    same, longer = delivered.same, delivered.longer
    assert clusters(same, same.after) == clusters(same, same.before)
    before = clusters(longer, longer.before)
    assert clusters(longer, longer.after)[: len(before)] == before
    assert len(clusters(longer, longer.after)) == len(before) + 3


def allowed(volume: NtfsVolume, start: int) -> list[range]:
    """Where on the disk a delivery may write: the hive, its record, its directory with the index, and $Bitmap."""
    hive, directory = volume.find(SPELLED), volume.find(SPELLED.rpartition("\\")[0])
    assert hive is not None
    assert directory is not None
    size, mft = volume.boot.cluster_size, volume.mft
    runs = [*mft.file_record(hive.number).runs, *mft.file_record(6).runs]
    index = [each for part in mft.file(directory.number).attributes if part.type == 0xA0 for each in part.extents]
    places = [range(start + each.cluster * size, start + (each.cluster + each.count) * size) for each in (*runs, *index)]
    return places + [range(mft.place(each), mft.place(each) + 1024) for each in (hive.number, directory.number)]


@pytest.mark.appliance
def test_nothing_else_on_the_disk_changes(delivered: Delivered):
    for written in (delivered.same, delivered.longer):
        before, after = written.before.read_bytes(), written.after.read_bytes()
        assert len(before) == len(after)
        places = allowed(written.volume(written.after), written.place(written.after)[0])
        changed = [at for at in range(0, len(before), BLOCK) if before[at : at + BLOCK] != after[at : at + BLOCK]]
        assert changed
        assert [at for at in changed if not any(at in place for place in places)] == []


SLOW_END = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from unxen.repair.delivery.appliance import ApplianceJob, deliver_by_appliance
deliver_by_appliance([ApplianceJob(Path(sys.argv[1]), "", 0, "/nothing", b"")])
"""


def descendants(process: int) -> dict[int, str]:
    """Number and program of every process below one, however deep."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, fields = stat.read_text().split(" ", 1)[1].rsplit(") ", 1)
        except OSError:
            continue
        parents[int(stat.parent.name)] = (int(fields.split()[1]), name.lstrip("("))
    found: dict[int, str] = {}
    while more := {each: name for each, (parent, name) in parents.items() if parent in {process, *found} and each not in found}:
        found |= more
    return found


@pytest.mark.appliance
def test_appliance_dies_with_unxen(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(MIB))
    environment = {**os.environ, appliance_program.SETTINGS: appliance_program.FORCE_TCG, "TMPDIR": str(tmp_path)}
    plugin = str(Path(appliance.__file__).parents[3])
    with exported(disk, "raw") as address:
        command = [sys.executable, "-c", SLOW_END, str(address), plugin]
        process = subprocess.Popen(command, env=environment)
        try:
            wait_until(lambda: any(name.startswith("qemu-system") for name in descendants(process.pid).values()), 60)
            time.sleep(1)  # QEMU takes this long until it runs the machine.
            below = descendants(process.pid)
            assert any(name.startswith("qemu-system") for name in below.values())
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        wait_until(lambda: not any(Path(f"/proc/{each}").exists() for each in below), 10)


# From here on nothing is started that lives long.


def job(data: bytes = HIVE) -> ApplianceJob:
    return ApplianceJob(Path("/nowhere/nbd"), "", PartitionNumber(1), SPELLED, data)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """Temporary files go where they can be counted: none may stay."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert list(place.iterdir()) == []


def refusal(events: list[Event] | None = None) -> Reason:
    with pytest.raises(Refused) as caught:
        deliver_by_appliance([job()], (events if events is not None else []).append)
    return caught.value.first


def test_missing_module_names_its_package(scratch: Path, monkeypatch):
    monkeypatch.setattr(
        appliance_program, "INTERPRETER", (*appliance_program.INTERPRETER, "-S")
    )  # No packages of the distribution.
    events: list[Event] = []
    reason = refusal(events)
    assert (reason.kind, reason.detail("package")) == (ReasonKind.TOOL_MISSING, "python3-guestfs")
    assert events == []


def test_appliance_that_never_starts_is_refused_after_both_ways(scratch: Path, monkeypatch):
    monkeypatch.setenv("LIBGUESTFS_HV", "/bin/false")
    events: list[Event] = []
    reason = refusal(events)
    assert (reason.kind, reason.subject) == (ReasonKind.APPLIANCE_FAILED, "start")
    assert "/bin/false" in reason.detail("cause")
    assert len(events) == appliance_program.KVM.exists()


def test_without_kvm_there_is_no_second_way(scratch: Path, monkeypatch):
    monkeypatch.setenv("LIBGUESTFS_HV", "/bin/false")
    monkeypatch.setenv(appliance_program.SETTINGS, appliance_program.FORCE_TCG)
    events: list[Event] = []
    assert refusal(events).kind == ReasonKind.APPLIANCE_FAILED
    assert events == []


def test_missing_kernel_names_its_package(scratch: Path, tmp_path: Path, monkeypatch):
    hide = 'mount -t tmpfs none /boot && mount -t tmpfs none /lib/modules && exec /usr/bin/python3 -I "$0"'
    monkeypatch.setattr(appliance_program, "INTERPRETER", ("unshare", "--mount", "sh", "-c", hide))
    monkeypatch.setenv("LIBGUESTFS_CACHEDIR", str(tmp_path))
    events: list[Event] = []
    reason = refusal(events)
    assert (reason.kind, reason.detail("package")) == (ReasonKind.APPLIANCE_FAILED, "linux-image-amd64")
    assert "kernel" in reason.detail("cause")
    assert events == []


ODD_PROGRAMS = {
    "print('hello')": "babbled",
    "print('[1]')": "babbled",
    "print('{}')": "babbled",
    "print('x' * 100000)": "babbled",
    "import os; os.abort()": "ended without an answer",
    "raise ValueError('telling')": "ValueError: telling",
    "import time; time.sleep(60)": "no answer after 1 s",
    """print('{"started": "tcg"}')""": "ended without an answer",
    """print('{"started": "tcg"}'); print('{"failed": "mount: odd"}')""": "mount: odd",
    """print('{"started": "tcg"}'); print('{"longer": "8192"}')""": "longer",
    """print('{"started": "tcg"}'); print('{"odd": ""}')""": "answered odd",
}


@pytest.mark.parametrize("program", ODD_PROGRAMS)
def test_program_that_breaks_its_rules_is_a_refusal(program: str, scratch: Path, tmp_path: Path, monkeypatch):
    child = tmp_path / "child.py"
    child.write_text(program)
    monkeypatch.setattr(appliance, "CHILD", child)
    monkeypatch.setattr(appliance_program, "START_SECONDS", 1.0)
    reason = refusal()
    assert reason.kind == ReasonKind.APPLIANCE_FAILED
    assert ODD_PROGRAMS[program] in reason.detail("cause")


@pytest.mark.appliance
def test_appliance_without_anything_to_write_is_only_tried() -> None:
    assert deliver_by_appliance(()) in ("kvm", "tcg")
