# SPDX-License-Identifier: Apache-2.0
"""Disks as they really arrive: each state is told by its own exit code, cause and remedy, and refused without one byte changed."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from content import digest
from generators import states
from generators.disks import MIB, WindowsTree, format_ntfs, make_disk, mounted, write_tree
from generators.hives import add_family, driver_files, windows_hive
from generators.kernels import kernel
from generators.tables import BASIC, gpt_disk, put, row, table
from generators.volumes import open_volume, write_log
from unxen.probe.mft_record import Type

pytestmark = pytest.mark.disk

ACCEPT = "--accept-unclean-volume"
NEW_WINDOWS = "$WINDOWS.~BT/NewOS/Windows/System32/config/SYSTEM"


def windows(path: Path, hive: bytes, version: tuple[int, int, int] = (10, 0, 19041), size: int = 24 * MIB) -> Path:
    """A bare NTFS volume with this Windows."""
    return make_disk(path, hive, format="raw", scheme="none", kernel=kernel(version), files=driver_files(hive), size=size)


@pytest.fixture(scope="module")
def of_xen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Windows that would be repaired; copy it before bending it."""
    return windows(tmp_path_factory.mktemp("xen") / "disk", windows_hive("10", families=["xcpng"]))


@pytest.fixture(scope="module")
def without_xen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Windows that would start as it is."""
    return windows(tmp_path_factory.mktemp("plain") / "disk", windows_hive("10"))


@pytest.fixture
def disk(of_xen: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(of_xen, tmp_path / "disk.raw"))


def kinds(document: dict) -> list[str]:
    return [each["kind"] for each in document["reasons"]]


def notes(document: dict) -> list[str]:
    return [each["kind"] for installation in document["installations"] for each in installation["notes"]]


@dataclass(frozen=True)
class State:
    """One way in which a disk arrives, what unxen says to it, and a word that its remedy must hold."""

    bend: Callable[[Path], None]
    code: int
    kind: str
    remedy: str
    accepted: bool = False


REFUSED = {
    "hibernated": State(states.sleeping(b"HIBR"), 22, "hibernated", "powercfg /h off"),
    "hibernated NT 5": State(states.sleeping(b"hibr"), 22, "hibernated", "powercfg /h off"),
    "resume cut off": State(states.sleeping(b"RSTR"), 22, "hibernated", "powercfg /h off"),
    "dirty": State(states.dirty, 23, "volume-dirty", "chkdsk", accepted=True),
    "journal open": State(states.logged(clean=False), 23, "journal-unclean", ACCEPT, accepted=True),
    "journal of 8 open": State(states.logged(clean=False, version=(2, 0)), 23, "journal-unclean", ACCEPT, accepted=True),
    "journal of 8": State(states.logged(clean=True, version=(2, 0)), 23, "journal-unclean", ACCEPT, accepted=True),
    "journal unreadable": State(states.unreadable_log, 23, "journal-unclean", "shut it down"),
    "compressed": State(states.rewritten(states.compress, "compression"), 28, "hive-file-not-editable", "compact /u"),
    "sparse": State(states.rewritten(states.make_sparse), 28, "hive-file-not-editable", "compact /u"),
    "encrypted by EFS": State(states.encrypt, 28, "hive-file-not-editable", "cipher /d"),
    "compressed by the system": State(states.rewritten(states.overlay), 28, "hive-file-not-editable", "compact /u"),
    "resident": State(states.rewritten(states.shorten), 20, "hive-damaged", "backup"),
    "upgrade in flight": State(states.upgrading, 27, "upgrade-in-flight", "roll back"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_state_is_refused_with_its_cause_and_remedy_and_nothing_is_written(unxen, disk: Path, name: str) -> None:
    state = REFUSED[name]
    state.bend(disk)
    before = digest(disk)
    for verb in ("inspect", "repair"):
        code, document = unxen(verb, disk)
        told = next(each for each in document["reasons"] if each["kind"] == state.kind)
        assert (code, document["verdict"], document["changed"]) == (state.code, "refused", False)
        assert state.remedy in told["remedy"]
    assert digest(disk) == before


@pytest.mark.parametrize("name", [name for name, state in REFUSED.items() if not state.accepted])
def test_what_is_no_unclean_volume_is_not_accepted_for_one(unxen, disk: Path, name: str) -> None:
    REFUSED[name].bend(disk)
    code, document = unxen("inspect", disk, ACCEPT)
    assert (code, document["verdict"]) == (REFUSED[name].code, "refused")


@pytest.mark.parametrize("name", [name for name, state in REFUSED.items() if state.accepted])
def test_unclean_volume_is_repaired_in_place_when_that_is_asked_for(unxen, disk: Path, name: str) -> None:
    REFUSED[name].bend(disk)
    before = digest(disk)
    assert unxen("inspect", disk, ACCEPT)[0] == 3
    code, document = unxen("repair", disk, ACCEPT)
    assert (code, document["delivery"], "unclean-volume" in notes(document)) == (0, "in-place", True)
    assert unxen("inspect", disk, ACCEPT)[0] == 0
    assert unxen("inspect", disk)[0] == 23
    assert unxen("undo", disk)[0] == 0
    assert digest(disk) == before


def test_snapshot_of_a_running_machine_is_repaired_in_place_when_its_journal_leaves_the_hive_alone(unxen, disk: Path) -> None:
    states.at_work_elsewhere(disk)
    before = digest(disk)
    assert unxen("repair", disk, "--delivery", "appliance")[0] == 23
    code, document = unxen("repair", disk)
    (note,) = (each for each in document["installations"][0]["notes"] if each["kind"] == "unclean-volume")
    assert (code, document["delivery"], note["details"]["pending"]) == (0, "in-place", "elsewhere")
    assert unxen("inspect", disk)[0] == 0
    assert unxen("undo", disk)[0] == 0
    assert digest(disk) == before


@pytest.mark.corpus
def test_real_hive_beside_the_open_journal_of_a_real_windows_is_repaired_in_place(unxen, corpus, tmp_path: Path) -> None:
    real = open_volume(corpus.path("ntfs-compressed/test.ntfs.dd"))
    log = real.mft.read(real.mft.stream(real.mft.file(2), Type.DATA), 0, 2 * MIB)
    path = windows(tmp_path / "disk.raw", add_family(corpus.read("win10-19041-x64-vmware/SYSTEM"), "xcpng"), size=48 * MIB)
    write_log(path, [log])
    before = digest(path)
    code, document = unxen("repair", path)
    assert (code, document["delivery"], "unclean-volume" in notes(document)) == (0, "in-place", True)
    assert unxen("inspect", path)[0] == 0
    assert unxen("undo", path)[0] == 0
    assert digest(path) == before


@pytest.mark.parametrize("options", [(), (ACCEPT,)])
def test_snapshot_whose_journal_would_change_the_hives_record_is_refused_even_on_request(unxen, disk: Path, options) -> None:
    states.at_work_on_the_hive(disk)
    code, document = unxen("repair", disk, *options)
    assert (code, kinds(document)) == (23, ["journal-unclean"])


OPEN = states.logged(clean=False)
NOT_ACCEPTED = {
    "a cluster that is not in use": (states.all_of(OPEN, states.free_a_cluster), "bitmap"),
    "something else in the hive's place": (states.all_of(OPEN, states.replace_a_page), "bins"),
    "dirty, and a journal that cannot be read": (states.all_of(states.dirty, states.unreadable_log), "state"),
}


@pytest.mark.parametrize("name", NOT_ACCEPTED)
def test_unclean_volume_is_not_accepted_where_the_hive_may_lie_elsewhere(unxen, disk: Path, name: str) -> None:
    bend, obstacle = NOT_ACCEPTED[name]
    bend(disk)
    before = digest(disk)
    code, document = unxen("repair", disk, ACCEPT)
    assert code in (20, 23)
    assert obstacle in [each["details"].get("obstacle") for each in document["reasons"]]
    assert digest(disk) == before


def test_unclean_volume_is_never_given_to_an_appliance(unxen, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBGUESTFS_HV", "/bin/false")
    states.dirty(disk)
    before = digest(disk)
    code, document = unxen("repair", disk, ACCEPT, "--delivery", "appliance")
    assert (code, kinds(document)) == (23, ["volume-dirty"])
    assert document["reasons"][0]["details"]["obstacle"] == "appliance"
    assert digest(disk) == before


@pytest.mark.parametrize("signature", [b"HIBR", b"RSTR"])
def test_way_out_of_hibernation_is_told_only_where_windows_would_start_from_ide(
    unxen, without_xen, disk, tmp_path, signature
) -> None:
    plain = Path(shutil.copy(without_xen, tmp_path / "plain.raw"))
    for path, told in ((plain, True), (disk, False)):
        states.sleeping(signature)(path)
        _, document = unxen("inspect", path)
        assert ("on ide" in document["reasons"][0]["remedy"]) is told


SIGNS = {
    "pending updates": (states.with_files("Windows/WinSxS/pending.xml"), ["servicing-pending"]),
    "upgrade downloaded": (states.with_files("$WINDOWS.~BT/Sources/setup.exe"), ["upgrade-begun"]),
    "upgrade laid out": (states.with_files(NEW_WINDOWS, "$WINDOWS.~BT/NewOS/Windows/System32/ntoskrnl.exe"), ["upgrade-ready"]),
    "upgrade done": (states.with_files("Windows.old/Windows/System32/config/SYSTEM"), []),
    "second hive": (states.with_files("Windows/System32/config/SYSTEM.ALT"), ["second-hive"]),
}


@pytest.mark.parametrize("name", SIGNS)
def test_unfinished_work_is_told_and_no_other_hive_is_touched(unxen, disk: Path, name: str) -> None:
    bend, expected = SIGNS[name]
    bend(disk)
    with mounted(disk) as top:
        others = {each: each.read_bytes() for each in top.rglob("SYSTEM*") if each.is_file() and states.HIVE not in str(each)}
    code, document = unxen("repair", disk)
    found = [each for each in notes(document) if each in ("servicing-pending", "upgrade-begun", "upgrade-ready", "second-hive")]
    assert (code, found, len(document["installations"])) == (0, expected, 1)
    with mounted(disk) as top:
        again = {each.name: each.read_bytes() for each in top.rglob("SYSTEM*") if each.is_file() and states.HIVE not in str(each)}
    assert again == {each.name: data for each, data in others.items()}


def test_windows_2000_with_its_second_hive_is_refused(unxen, tmp_path: Path) -> None:
    path = windows(tmp_path / "disk.raw", windows_hive("xp", families=["gplpv"]), (5, 0, 2195))
    states.with_files("Windows/System32/config/SYSTEM.ALT")(path)
    before = digest(path)
    code, document = unxen("repair", path)
    assert (code, kinds(document)) == (27, ["windows-unsupported"])
    assert digest(path) == before


def test_dynamic_disk_is_refused(unxen, of_xen: Path, tmp_path: Path) -> None:
    states.dynamic_disk(tmp_path / "disk.raw", of_xen)
    before = digest(tmp_path / "disk.raw")
    for verb in ("inspect", "repair"):
        code, document = unxen(verb, tmp_path / "disk.raw")
        assert (code, kinds(document)) == (25, ["dynamic-disk"])
    assert digest(tmp_path / "disk.raw") == before


GPT_TYPES = {
    "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3": "dynamic-disk",
    "AF9B60A0-1431-4F62-BC68-3311714A69AD": "dynamic-disk",
    "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D": "storage-space",
}


@pytest.mark.parametrize("kind", GPT_TYPES)
def test_gpt_disk_of_a_volume_manager_is_refused(unxen, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(8 * MIB))
    rows = f"label: gpt\nstart=2048, size=4096, type={kind}\n"
    subprocess.run(["sfdisk", "--quiet", "--no-reread", path], input=rows, text=True, check=True)
    code, document = unxen("inspect", path)
    assert (code, kinds(document)) == (25, [GPT_TYPES[kind]])


@pytest.fixture(params=["gpt", "dos"])
def large_sectors(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A disk with sectors of 4096 bytes, its table made for such."""
    volume, path = tmp_path / "volume", tmp_path / "disk.raw"
    hive = windows_hive("10", families=["xcpng"])
    format_ntfs(volume, 24 * MIB, sector_size=4096)
    with mounted(volume) as top:
        write_tree(top, WindowsTree(hive, kernel=kernel((10, 0, 19041)), files=driver_files(hive)))
    first, count = MIB // 4096, 24 * MIB // 4096
    if request.param == "dos":
        data = bytearray(28 * MIB)
        put(data, 0, table(row(7, first, count)))
    else:
        data = gpt_disk([(0, BASIC, first, first + count - 1)], 4096, 28 * MIB)
    path.write_bytes(data)
    states.place(path, MIB, volume)
    return path


def test_disk_with_large_sectors_is_repaired_in_place_and_told(unxen, large_sectors: Path) -> None:
    before = digest(large_sectors)
    code, document = unxen("repair", large_sectors, "--delivery", "appliance")
    assert (code, kinds(document), digest(large_sectors)) == (34, ["delivery-impossible"], before)
    code, document = unxen("repair", large_sectors)
    assert (code, "large-sectors" in notes(document)) == (0, True)
    assert unxen("inspect", large_sectors)[0] == 0
    assert unxen("undo", large_sectors)[0] == 0
    assert digest(large_sectors) == before
