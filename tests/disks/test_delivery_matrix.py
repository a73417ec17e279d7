# SPDX-License-Identifier: Apache-2.0
"""Every Windows with every family of Xen drivers: both deliveries bring the same SYSTEM file, and in place nothing else changes.

A disk holds four generations, each with every family: a Windows per directory of its one volume. One appliance writes all disks,
another reads those of both ways. Writing a file through an appliance takes a second where it is emulated, so a quarter of the pairs
(every generation and every family among them) is written by it; all with UNXEN_WHOLE_MATRIX=1.
"""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from generators.disks import MIB, WindowsTree, make_disk, mounted, run
from generators.hives import FAMILIES, GENERATION, GENERATIONS, driver_files, windows_hive
from generators.kernels import kernel
from unxen.cli.main import main
from unxen.model.ids import GuestPath, PartitionNumber
from unxen.probe.device import file_device
from unxen.probe.ntfs import NtfsVolume
from unxen.repair import pipeline
from unxen.repair.delivery import appliance
from unxen.repair.delivery.appliance import ApplianceJob, deliver_by_appliance
from unxen.repair.delivery.delivering import Parcel

pytestmark = pytest.mark.disk

# Drivers that serve Xen and KVM alike stay on: alone they are nothing to repair.
MENDED = tuple(each for each in FAMILIES if each != "suse_vmdp_pvvx")
ON_A_DISK = 4
GROUPS = tuple(GENERATIONS[first : first + ON_A_DISK] for first in range(0, len(GENERATIONS), ON_A_DISK))
WHOLE = bool(os.environ.get("UNXEN_WHOLE_MATRIX"))
START, SIZE, PARTITION = MIB, 48 * MIB, PartitionNumber(1)
READ_BACK = Path(__file__).parent.parent / "readers" / "appliance_sums.py"


@dataclass(frozen=True)
class Made:
    """One disk: as made, repaired in place, written by the appliance; `edited` are the hives that were delivered, by directory."""

    made: Path
    in_place: Path
    by_appliance: Path
    edited: dict[str, bytes]


def directories(group: Sequence[str]) -> list[tuple[str, str, str]]:
    """(generation, family, directory) of every Windows on a disk."""
    return [(generation, family, f"{generation}-{family}") for generation in group for family in MENDED]


def by_appliance(generation: str, family: str) -> bool:
    """Whether this pair goes through the appliance."""
    return WHOLE or (GENERATIONS.index(generation) + MENDED.index(family)) % 4 == 0


def hive_path(directory: str) -> str:
    return f"/{directory}/System32/config/SYSTEM"


def windows_path(directory: str) -> GuestPath:
    return GuestPath(hive_path(directory).replace("/", "\\"))


def make(path: Path, group: Sequence[str]) -> None:
    trees = []
    for generation, family, directory in directories(group):
        row, hive = GENERATION[generation], windows_hive(generation, families=[family])
        trees.append(WindowsTree(hive, directory, kernel(row.version, row.arch), driver_files(hive, rf"\{directory}")))
    make_disk(path, None, more=trees, size=SIZE)


@pytest.fixture(scope="module")
def disks(tmp_path_factory) -> list[Made]:
    folder = tmp_path_factory.mktemp("matrix")
    found = []
    for number, group in enumerate(GROUPS):
        made, in_place, through = (folder / f"{number}-{name}.qcow2" for name in ("made", "place", "appliance"))
        make(made, group)
        shutil.copyfile(made, in_place)
        shutil.copyfile(made, through)
        found.append(Made(made, in_place, through, repair_in_place(in_place, folder)))
    return found


@pytest.fixture(scope="module")
def sums(disks) -> dict[Path, dict[str, str]]:
    """What is read back of both deliveries."""
    write_by_appliance(disks)
    return read_back([path for each in disks for path in (each.in_place, each.by_appliance)])


def repair_in_place(disk: Path, folder: Path) -> dict[str, bytes]:
    """The whole way; gives the hives that were delivered."""
    edited: dict[str, bytes] = {}
    real = pipeline.deliver

    def noting(parcels: Sequence[Parcel], *rest: object) -> object:
        edited.update({each.installation.root.strip("\\"): each.hive.after for each in parcels})
        return real(parcels, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNXEN_STATE_DIR", str(folder / "state"))
        patch.setenv("UNXEN_CONFIG", str(folder / "unxen.toml"))
        patch.setattr(pipeline, "deliver", noting)
        assert main(["repair", "--delivery", "in-place", "--bus", "ide", "--quiet", str(disk)]) == 0
    return edited


@contextmanager
def exported(disk: Path) -> Iterator[Path]:
    socket = disk.with_suffix(".nbd")
    server = subprocess.Popen(["qemu-nbd", "-t", "-k", socket, "-f", "qcow2", disk])
    try:
        end = time.monotonic() + 30
        while not socket.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        yield socket
    finally:
        server.terminate()
        server.wait()


def write_by_appliance(disks: Sequence[Made]) -> None:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        # Two hundred files, not the one or two of a repair.
        patch.setattr(appliance, "WRITE_SECONDS", 900.0)
        jobs = []
        for group, disk in zip(GROUPS, disks, strict=True):
            socket = stack.enter_context(exported(disk.by_appliance))
            names = [name for generation, family, name in directories(group) if by_appliance(generation, family)]
            jobs += [ApplianceJob(socket, "", PARTITION, windows_path(name), disk.edited[name]) for name in names]
        deliver_by_appliance(jobs)


def read_back(disks: Sequence[Path]) -> dict[Path, dict[str, str]]:
    """The sums of all files, as another appliance's NTFS driver reads them."""
    asked = json.dumps([[str(disk), "qcow2", PARTITION] for disk in disks])
    env = {"LIBGUESTFS_BACKEND": "direct", "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg", **os.environ}
    done = subprocess.run(["/usr/bin/python3", READ_BACK], input=asked, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(disks, json.loads(done.stdout), strict=True))


@pytest.mark.appliance
def test_both_ways_deliver_the_same_file(disks, sums) -> None:
    compared: list[tuple[str, str]] = []
    for group, disk in zip(GROUPS, disks, strict=True):
        for generation, family, directory in directories(group):
            wanted = hashlib.sha256(disk.edited[directory]).hexdigest()
            assert sums[disk.in_place][hive_path(directory)] == wanted, directory
            if by_appliance(generation, family):
                assert sums[disk.by_appliance][hive_path(directory)] == wanted, directory
                compared.append((generation, family))
            assert wanted != hashlib.sha256(windows_hive(generation, families=[family])).hexdigest()
    assert {generation for generation, _ in compared} == set(GENERATIONS)
    assert {family for _, family in compared} == set(MENDED)


@pytest.mark.parametrize("number", range(len(GROUPS)), ids=["-".join(group) for group in GROUPS])
def test_in_place_changes_no_other_cluster_and_leaves_a_sound_volume(disks, tmp_path, number) -> None:
    disk, names = disks[number], [name for _, _, name in directories(GROUPS[number])]
    run("qemu-img", "check", "-q", "-f", "qcow2", disk.in_place)
    before, after = (volume_of(path, tmp_path / name) for path, name in ((disk.made, "before"), (disk.in_place, "after")))
    assert set() < changed_clusters(before, after) <= hive_clusters(before, names)
    then, now = contents(before), contents(after)
    assert then.keys() == now.keys()
    assert {path for path, data in now.items() if data != then[path]} == {hive_path(name) for name in names}


def volume_of(disk: Path, to: Path) -> Path:
    """The Windows volume as a file of its own, with holes."""
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk, to)
    run("dd", f"if={to}", f"of={to}.volume", "bs=1M", f"skip={START // MIB}", f"count={SIZE // MIB}", "conv=sparse", "status=none")
    return Path(f"{to}.volume")


def changed_clusters(before: Path, after: Path) -> set[int]:
    old, new = before.read_bytes(), after.read_bytes()
    assert len(old) == len(new)
    return {at // 4096 for at in range(0, len(old), 4096) if old[at : at + 4096] != new[at : at + 4096]}


def hive_clusters(volume: Path, names: Sequence[str]) -> set[int]:
    """$MFT, $Bitmap and $LogFile are not among them."""
    opened = NtfsVolume(file_device(volume), 0, SIZE)
    found = set()
    for name in names:
        entry = opened.find(windows_path(name))
        assert entry is not None
        found |= {run.cluster + index for run in opened.record(entry).runs for index in range(run.count)}
    return found


def contents(volume: Path) -> Mapping[str, bytes]:
    """Every file, as ntfs-3g reads it."""
    with mounted(volume, "ro") as top:
        return {f"/{each.relative_to(top)}": each.read_bytes() for each in sorted(top.rglob("*")) if each.is_file()}
