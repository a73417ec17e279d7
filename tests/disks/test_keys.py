# SPDX-License-Identifier: Apache-2.0
"""The way of a repair behind encryption, and what may go wrong on it; a program that opens masked volumes plays the appliance.

`test_bitlocker` goes the same way with the real appliance and real volumes.
"""

import json
from pathlib import Path

import pytest
from content import digest
from generators import opened_elsewhere
from generators.disks import BASIC, MIB, Slot, WindowsTree, make_windows_volume, write_table
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel
from unxen.repair.delivery import unlocked

pytestmark = pytest.mark.disk

SIZE = 24 * MIB


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A GPT disk with a plain NTFS volume and a locked one that has a Windows."""
    work = tmp_path_factory.mktemp("locked")
    hive = windows_hive("10", families=["xcpng"])
    tree = WindowsTree(hive, kernel=kernel((10, 0, 19041)), files=driver_files(hive))
    make_windows_volume(work / "data", SIZE, [], ())
    make_windows_volume(work / "windows", SIZE, [tree], ())
    disk = work / "disk"
    with disk.open("wb") as file:
        file.truncate(2 * SIZE + 8 * MIB)
    places = write_table(disk, "gpt", [Slot(BASIC, SIZE), Slot(BASIC, SIZE)])
    contents = ((work / "data").read_bytes(), opened_elsewhere.lock((work / "windows").read_bytes()))
    with disk.open("r+b") as file:
        for (start, _), content in zip(places, contents, strict=True):
            file.seek(start)
            file.write(content)
    return disk.read_bytes()


@pytest.fixture
def disk(locked: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(locked)
    monkeypatch.setattr(unlocked, "CHILD", Path(opened_elsewhere.__file__))
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"wrong\n{opened_elsewhere.WORD}\n")
    path.chmod(0o600)
    return path


def test_locked_windows_is_repaired_in_place_with_its_key_and_given_back_without(unxen, disk: Path, key: Path) -> None:
    before = digest(disk)
    assert unxen("inspect", disk)[0] == 24
    code, document = unxen("inspect", disk, "--key", key)
    assert (code, [each["id"] for each in document["installations"]]) == (3, [r"1:2:\Windows"])
    assert [(each["kind"], each["subject"]) for each in document["notes"]] == [("opened-with-key", "1:2")]
    code, document = unxen("repair", disk, "--key", key, "--dry-run")
    assert (code, digest(disk)) == (3, before)
    code, document = unxen("repair", disk, "--key", key)
    assert (code, document["verdict"], document["delivery"]) == (0, "repaired", "in-place")
    assert opened_elsewhere.WORD not in json.dumps(document)
    assert unxen("inspect", disk, "--key", key)[0] == 0
    assert unxen("inspect", disk)[0] == 24
    assert unxen("undo", disk)[0] == 0
    assert digest(disk) == before


def test_key_that_does_not_fit_is_told(unxen, disk: Path, key: Path) -> None:
    key.write_text("wrong\n")
    before = digest(disk)
    for verb in ("inspect", "repair"):
        code, document = unxen(verb, disk, "--key", key)
        assert (code, document["reasons"][0]["details"]["key"]) == (24, "none-fits")
    assert digest(disk) == before


def test_appliance_is_no_delivery_behind_encryption(unxen, disk: Path, key: Path) -> None:
    before = digest(disk)
    assert unxen("repair", disk, "--key", key, "--delivery", "appliance")[0] == 34
    assert digest(disk) == before


@pytest.mark.parametrize(("fault", "code"), [("writes beside", 40), ("dies", 30), ("fails at the end", 32)])
def test_appliance_that_fails_on_the_way_leaves_the_disk_as_it_came(unxen, disk, key, monkeypatch, fault, code) -> None:
    before = digest(disk)
    monkeypatch.setattr(unlocked, "CHILD", _with_fault(disk.parent, fault))
    assert unxen("repair", disk, "--key", key)[0] == code
    assert digest(disk) == before
    monkeypatch.setattr(unlocked, "CHILD", Path(opened_elsewhere.__file__))
    assert unxen("repair", disk, "--key", key)[0] == 0


def _with_fault(folder: Path, fault: str) -> Path:
    """The same program with a fault."""
    program = Path(opened_elsewhere.__file__)
    text = program.read_text().replace('FAULT = ""', f"FAULT = {fault!r}")
    plugin = str(program.parents[2] / "plugin")
    text = text.replace('str(Path(__file__).resolve().parents[2] / "plugin")', repr(plugin))
    (folder / "faulty.py").write_text(text)
    return folder / "faulty.py"
