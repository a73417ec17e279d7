# SPDX-License-Identifier: Apache-2.0
"""On a disk whose Windows has run since, what still stands as the repair left it goes back, and nothing that anybody changed."""

import json
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from content import digest
from faults.strikes import at_crossing, crossings, run_struck
from generators.disks import MIB, make_disk, mounted
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel
from unxen.model.change import ChangeKind, RegistryChange
from unxen.model.codec import decode
from unxen.model.edit import Action, Edit, Plan
from unxen.model.ids import ControlSetNumber, KeyPath
from unxen.model.registry_facts import RegistryValue
from unxen.model.standing import Standing
from unxen.plan.reverse import reverse
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive

pytestmark = pytest.mark.disk
SIZE = 16 * MIB
SYSTEM = Path("Windows/System32/config/SYSTEM")
SERVICES = r"ControlSet001\Services"
DWORD = 4


def make(path: Path, tail: int) -> Path:
    hive = windows_hive("10", families=["xcpng"]) + bytes(tail)
    return make_disk(path, hive, format="raw", size=SIZE, kernel=kernel((10, 0, 19041)), files=driver_files(hive))


@pytest.fixture(scope="module")
def master(tmp_path_factory) -> Path:
    """Its hive's file has room behind the last bin, as those of many real machines do."""
    return make(tmp_path_factory.mktemp("master") / "disk.raw", 64 << 10)


@pytest.fixture
def disk(master, tmp_path) -> Path:
    return Path(shutil.copyfile(master, tmp_path / "disk.raw"))


def hive_of(disk: Path, change: Callable[[bytes], bytes] | None = None) -> bytes:
    """The hive on the disk, changed in its place as a Windows that runs would do it."""
    volume = disk.with_suffix(".volume")
    with disk.open("rb") as file:
        file.seek(MIB)
        volume.write_bytes(file.read(SIZE))
    with mounted(volume) as top:
        data = (top / SYSTEM).read_bytes()
        if change:
            made = change(data)
            with (top / SYSTEM).open("r+b") as file:
                file.write(made)
    if change:
        with disk.open("r+b") as file:
            file.seek(MIB)
            file.write(volume.read_bytes())
    return data


def number(value: int) -> RegistryValue:
    return RegistryValue(DWORD, value.to_bytes(4, "little"))


def edit(action: Action, key: str, name: str | None = None, before: int | None = None, after: int | None = None) -> Edit:
    values = (None if before is None else number(before), None if after is None else number(after))
    return Edit(action, ControlSetNumber(1), KeyPath(key), name, *values, None, "", "", "", False)


def windows_ran(disk: Path, *edits: Edit) -> None:
    """It raised its sequence numbers, and changed what is given."""
    hive_of(disk, lambda data: edit_hive(data, edits))


def plan_of(state_dir: Path, entry: int = 1) -> list[Edit]:
    with sqlite3.connect(state_dir / "journal.sqlite3") as connection:
        ((text,),) = connection.execute("select plan from entries where id = ?", (entry,)).fetchall()
    return [each for part in decode(Plan, json.loads(text)).installations for each in part.edits]


def differences(before: bytes, after: bytes) -> list[RegistryChange]:
    """Time stamps left out: a key that is made again is new."""
    return [each for each in compare(before, after) if each.kind is not ChangeKind.KEY_CHANGED]


def left_alone(document: dict) -> list[str]:
    return [each["subject"] for each in document["notes"] if each["kind"] == "left-alone"]


def test_values_go_back_after_windows_has_run_deleted_keys_included(disk, unxen, own_state) -> None:
    before = hive_of(disk)
    assert unxen("repair", disk)[0] == 0
    assert {each.action for each in plan_of(own_state)} >= {Action.SET_VALUE, Action.DELETE_KEY}
    windows_ran(disk)
    now = digest(disk)
    assert unxen("undo", disk)[0] == 42
    assert digest(disk) == now
    code, document = unxen("undo", disk, "--registry")
    assert (code, document["verdict"], document["changed"], left_alone(document)) == (0, "repaired", True, [])
    assert document["plan"]["edits"]
    assert differences(before, hive_of(disk)) == []
    assert unxen("inspect", disk)[0] == 3, "as broken as it came"


def test_what_anybody_changed_since_is_left_alone_and_named(disk, unxen, own_state) -> None:
    before = hive_of(disk)
    assert unxen("repair", disk)[0] == 0
    plan = plan_of(own_state)
    start = next(each for each in plan if each.value_name == "Start" and each.after == number(4))
    override = next(each for each in plan if each.key.endswith("StartOverride"))
    changes = [
        edit(Action.SET_VALUE, start.key, "Start", 4, 1),
        edit(Action.CREATE_KEY, override.key),
        edit(Action.SET_VALUE, override.key, "9", None, 3),
    ]
    windows_ran(disk, *changes)
    code, document = unxen("undo", disk, "--registry")
    assert code == 0
    assert sorted(left_alone(document)) == sorted([f"{start.key}: Start", override.key])
    found = {(each.key, each.value_name) for each in differences(before, hive_of(disk))}
    name = override.tree.values[0].name
    assert found == {(start.key, "Start"), (override.key, "9"), (override.key, name)}


def test_undo_of_values_can_itself_be_undone(disk, unxen, own_state) -> None:
    before = digest(disk)
    assert unxen("repair", disk)[0] == 0
    windows_ran(disk)
    then = digest(disk)
    assert unxen("undo", disk, "--registry")[0] == 0
    assert unxen("undo", disk)[0] == 0
    assert digest(disk) == then != before
    assert unxen("undo", disk, "--registry")[0] == 0, "once more"
    windows_ran(disk)
    code, document = unxen("undo", disk, "--registry")
    assert (code, left_alone(document)) == (0, []), "values of an undo are taken back like those of a repair"
    assert unxen("inspect", disk)[0] == 0
    with sqlite3.connect(own_state / "journal.sqlite3") as connection:
        kinds = connection.execute("select kind, undoes from entries order by id").fetchall()
    assert kinds == [("repair", None), ("registry-undo", 1), ("undo", 2), ("registry-undo", 1), ("registry-undo", 4)]


def test_repair_that_nothing_is_left_of_is_refused(disk, unxen, own_state) -> None:
    assert unxen("repair", disk)[0] == 0
    plan = plan_of(own_state)

    def other(data: bytes) -> bytes:
        changes = [edit(Action.CREATE_KEY, each.key) for each in plan if each.action is Action.DELETE_KEY]
        for each in plan:
            if each.action is not Action.DELETE_KEY:
                odd = RegistryValue(1, "else\0".encode("utf-16-le"))
                changes.append(
                    Edit(Action.SET_VALUE, each.control_set, each.key, each.value_name, each.after, odd, None, "", "", "", False)
                )
        return edit_hive(data, changes)

    hive_of(disk, other)
    now = digest(disk)
    code, document = unxen("undo", disk, "--registry")
    assert (code, document["reasons"][0]["kind"]) == (42, "written-since")
    assert digest(disk) == now


def test_disk_that_is_back_already_has_nothing_to_be_undone(disk, unxen) -> None:
    assert unxen("repair", disk)[0] == 0
    assert unxen("undo", disk)[0] == 0
    before = digest(disk)
    assert unxen("undo", disk, "--registry")[0] == 43
    assert digest(disk) == before


def test_values_that_are_as_before_already_are_no_matter(disk, unxen, own_state) -> None:
    """Somebody put them back by hand."""
    assert unxen("repair", disk)[0] == 0
    back = reverse(plan_of(own_state), [standing_of(each) for each in plan_of(own_state)]).edits
    windows_ran(disk, *back)
    before = digest(disk)
    code, document = unxen("undo", disk, "--registry")
    assert (code, document["changed"], left_alone(document)) == (0, False, [])
    assert digest(disk) == before


def standing_of(edit: Edit) -> Standing:
    """What stands right after an edit."""
    return Standing(edit.action is not Action.DELETE_KEY, above=True, value=edit.after)


def test_disk_that_was_never_repaired_here_is_refused(disk, unxen) -> None:
    assert unxen("undo", disk, "--registry")[0] == 43


def test_values_go_back_though_the_old_bytes_have_expired_and_the_disk_is_given_alone(disk, unxen, tmp_path, own_state) -> None:
    """The plan in the journal is enough, and a disk that was the guest's second is its only one now."""
    data = tmp_path / "data.raw"
    data.write_bytes(bytes(MIB))
    before = hive_of(disk)
    assert unxen("repair", data, disk)[0] == 0
    windows_ran(disk)
    shutil.rmtree(own_state / "undo")
    assert unxen("undo", disk, "--registry")[0] == 0
    assert differences(before, hive_of(disk)) == []


def test_kill_in_an_undo_of_values_is_recovered_like_any_other(disk, unxen, own_state) -> None:
    assert unxen("repair", disk)[0] == 0
    windows_ran(disk)
    saved, then = shutil.copytree(own_state, own_state.with_name("saved")), disk.read_bytes()
    names = crossings(["undo", "--registry", disk])
    after = disk.read_bytes()
    for name, end in (("before add_ranges", then), ("after commit", after)):
        shutil.rmtree(own_state)
        shutil.copytree(saved, own_state)
        with disk.open("r+b") as file:
            file.write(then)
        assert run_struck(["undo", "--registry", disk], at_crossing(names.index(name) + 1)) == -signal.SIGKILL
        assert run_struck(["recover"]) == 0
        assert disk.read_bytes() == end


def test_hive_of_windows_that_did_not_shut_down_is_refused(disk, unxen) -> None:
    assert unxen("repair", disk)[0] == 0
    hive_of(disk, lambda data: data[:4] + b"\xff\xff\xff\x7f" + data[8:])
    now = digest(disk)
    code, _ = unxen("undo", disk, "--registry")
    assert code in (20, 21)
    assert digest(disk) == now


@pytest.mark.appliance
def test_key_that_needs_room_comes_back_by_an_appliance(tmp_path, unxen) -> None:
    disk = make(tmp_path / "disk.raw", 0)
    before = hive_of(disk)
    assert unxen("repair", disk)[0] == 0
    windows_ran(disk)
    code, document = unxen("undo", disk, "--registry")
    assert (code, document["delivery"]) == (0, "appliance")
    assert differences(before, hive_of(disk)) == []
