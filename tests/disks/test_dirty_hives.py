# SPDX-License-Identifier: Apache-2.0
"""A disk whose Windows was not shut down cleanly: what the logs of its registry hold is neither lost, nor brought back one day."""

import json
from collections.abc import Mapping
from pathlib import Path

import hivex
import pytest
from content import digest
from generators.dirty_hives import Entry, bins_size, differing, dirty_hive, new_log, old_dirty_hive, stamped
from generators.disks import MIB, make_disk, mounted
from generators.hives import GENERATION, driver_files, plant, windows_hive
from generators.kernels import kernel
from generators.states import at_work_elsewhere, at_work_on
from generators.volumes import open_volume, patch, record_place
from unxen.journal.store import open_journal
from unxen.model.codec import decode
from unxen.model.edit import Plan
from unxen.model.ids import DiskNumber
from unxen.probe.device import file_device
from unxen.probe.look_inside import look_inside
from unxen.probe.wanted import Wanted
from unxen.registry.base_block import read_base_block
from unxen.registry.editor import edit_hive
from unxen.registry.replay import replay

pytestmark = pytest.mark.disk

HIVE = windows_hive("10", families=["xcpng"])
# What Windows 10 kept in its logs until now: another filter and a value that nobody shall lose.
NEWER = plant(
    HIVE,
    r"""
[ControlSet*\Control\Class\{4d36e96a-e325-11ce-bfc1-08002be10318}]
"UpperFilters"=multi:XENFILT,fooflt
[ControlSet*\Services\fooflt]
"Start"=dword:0
"Type"=dword:1
"ErrorControl"=dword:1
[ControlSet001\Control\Newest]
"Kept"="by the logs"
""",
)
DIRTY = dirty_hive([HIVE.ljust(len(NEWER), b"\0"), NEWER], number=2107)


def disk_of(path: Path, hive: bytes, logs: Mapping[str, bytes], *, like: bytes, generation: str = "10") -> Path:
    """A raw volume without a table, so that it can be mounted as it is; the files are those that the hive `like` names."""
    row = GENERATION[generation]
    root = "WINDOWS" if row.version[0] == 5 else "Windows"
    files = driver_files(like, rf"\{root}")
    shape = {"kernel": kernel(row.version, row.arch), "files": files, "root": root, "nt5": row.version[0] == 5}
    return make_disk(path, hive, format="raw", scheme="none", size=40 * MIB, logs=logs, **shape)


def config_file(path: Path, name: str = "SYSTEM") -> bytes:
    """A file of the registry as an NTFS driver reads it."""
    with mounted(path, "ro") as top:
        (root,) = (each for each in top.iterdir() if each.name.lower() == "windows")
        return (root / "System32" / "config" / name).read_bytes()


def hive_facts(document: dict) -> dict:
    return document["installations"][0]["hive"]


def notes(document: dict) -> list[str]:
    return [each["text"] for each in document["installations"][0]["notes"]]


def plan_in(state: Path, entry: int) -> Plan:
    with open_journal(state) as journal:
        return decode(Plan, json.loads(journal.entry(entry).plan))


def shown_by_hivex(data: bytes, path: Path) -> tuple[int, int]:
    """How many keys and values there are for a reader that knows no logs."""
    path.write_bytes(data)
    hive = hivex.Hivex(str(path))
    keys = values = 0
    waiting = [hive.root()]
    while waiting:
        node = waiting.pop()
        children = hive.node_children(node)
        keys, values = keys + len(children), values + len(hive.node_values(node))
        waiting += children
    return keys + 1, values


def committed_by_hivex(data: bytes, path: Path) -> bytes:
    """What every tool leaves that opens the hive with hivex and commits, whatever it changed."""
    path.write_bytes(data)
    hivex.Hivex(str(path), write=True).commit(str(path))
    return path.read_bytes()


def assert_logs_stay_dead(written: bytes, logs: Mapping[str, bytes]) -> None:
    """Neither at the next start, nor when the hive is dirty again and its logs are still the old ones."""
    block = read_base_block(written)
    assert (block.dirty, block.primary) == (False, block.secondary)
    assert replay(written, logs).hive is None
    assert replay(stamped(written, block.primary + 1, block.secondary), logs).hive is None


# A real machine


@pytest.mark.corpus
def test_real_dirty_hive_is_recovered_repaired_in_place_and_undone(unxen, tmp_path, corpus, own_state) -> None:
    """Windows 10 1709: 6,416 keys and values stand only in its logs."""
    name = "win10-1709-x64-dell-dirty-logs/SYSTEM"
    reference, primary = corpus.read(f"{name}.recovered"), corpus.read(name)
    logs = {f"SYSTEM.{each}": corpus.read(f"{name}.{each}") for each in ("LOG1", "LOG2")}
    path = disk_of(tmp_path / "disk.raw", primary, logs, like=reference)
    before = digest(path)

    code, document = unxen("inspect", path)
    assert (code, document["verdict"]) == (0, "healthy")
    hive = hive_facts(document)
    assert (hive["state"], hive["primary"], hive["secondary"], hive["highest"]) == ("replayed", 1622, 1621, 2130)
    assert (hive["replay"]["applied"], hive["replay"]["found"]) == (24, 24)
    assert any("24 of 24 entries" in each and "nothing was lost" in each for each in notes(document))
    code, document = unxen("repair", path)
    assert (code, document["verdict"], document["changed"]) == (0, "healthy", False)
    assert digest(path) == before, "a replay alone writes nothing"

    code, document = unxen("repair", path, "--bus", "sata")
    assert (code, document["verdict"], document["delivery"]) == (0, "repaired", "in-place")
    (plan,) = plan_in(own_state, document["undo"]["entry"]).installations
    written = config_file(path)
    assert written == edit_hive(reference, plan.edits, 2131), "the recovered reference and the plan, nothing else"
    assert_logs_stay_dead(written, logs)
    assert {each: config_file(path, each) for each in logs} == logs
    assert unxen("inspect", path, "--bus", "sata")[0] == 0

    assert unxen("undo", path)[0] == 0
    assert digest(path) == before


@pytest.mark.corpus
def test_hivex_alone_would_lose_what_the_logs_hold(tmp_path, corpus) -> None:
    name = "win10-1709-x64-dell-dirty-logs/SYSTEM"
    logs = {f"SYSTEM.{each}": corpus.read(f"{name}.{each}") for each in ("LOG1", "LOG2")}
    committed = committed_by_hivex(corpus.read(name), tmp_path / "hive")
    assert not read_base_block(committed).dirty, "marked clean, so that Windows never replays either"
    assert replay(committed, logs).hive is None
    recovered = replay(corpus.read(name), logs).hive
    assert recovered is not None
    left, whole = (sum(shown_by_hivex(each, tmp_path / "hive")) for each in (committed, recovered))
    assert whole - left == 6416


# Generated ones


def test_what_the_logs_hold_is_judged_and_kept(unxen, tmp_path) -> None:
    """The file on the disk knows no second filter; the one that is repaired does."""
    path = disk_of(tmp_path / "disk.raw", DIRTY.primary, DIRTY.logs, like=NEWER)
    code, document = unxen("inspect", path)
    assert (code, hive_facts(document)["state"]) == (3, "replayed")
    code, document = unxen("repair", path)
    assert (code, document["verdict"], document["delivery"]) == (0, "repaired", "in-place")
    written = config_file(path)
    assert "by the logs".encode("utf-16-le") in written
    assert "fooflt\0\0".encode("utf-16-le") in written
    assert_logs_stay_dead(written, DIRTY.logs)
    assert read_base_block(written).primary == 2108


def test_old_log_of_2003_in_any_case_is_replayed(unxen, tmp_path) -> None:
    before = windows_hive("2003", families=["gplpv"])
    after = plant(before, '[ControlSet001\\Services\\atapi]\n"Start"=dword:3\n')
    made = old_dirty_hive(before.ljust(len(after), b"\0"), after, number=90)
    path = disk_of(tmp_path / "disk.raw", made.primary, {"system.log": made.logs["SYSTEM.LOG"]}, like=after, generation="2003")
    code, document = unxen("repair", path)
    assert (code, document["verdict"]) == (0, "repaired")
    assert hive_facts(document)["logs"][0] == {
        "name": "system.log",
        "size": len(made.logs["SYSTEM.LOG"]),
        "use": "applied",
        "applied": 1,
    }
    assert_logs_stay_dead(config_file(path), made.logs)


@pytest.mark.parametrize(
    ("logs", "use"),
    [
        ({}, None),
        ({"SYSTEM.LOG1": b"", "SYSTEM.LOG2": b""}, "empty"),
        ({"SYSTEM.LOG1": DIRTY.logs["SYSTEM.LOG2"][:-1]}, "no-entry"),
        ({"SYSTEM.LOG": DIRTY.logs["SYSTEM.LOG2"], "SYSTEM.LOG1": b""}, "not-needed"),
    ],
    ids=["none", "empty", "torn", "left over under the name of old"],
)
def test_dirty_hive_without_usable_logs_is_refused_unless_its_age_is_accepted(unxen, tmp_path, logs, use) -> None:
    path = disk_of(tmp_path / "disk.raw", DIRTY.primary, logs, like=HIVE)
    before = digest(path)
    for verb in ("inspect", "plan", "repair"):
        code, document = unxen(verb, path)
        assert (code, document["verdict"], document["reasons"][0]["kind"]) == (21, "refused", "hive-dirty"), verb
        assert "--accept-stale-hive" in document["reasons"][0]["remedy"]
        assert hive_facts(document)["state"] == "dirty"
        assert [each["use"] for each in hive_facts(document)["logs"]][:1] == ([use] if use else [])
    assert digest(path) == before

    assert unxen("inspect", path, "--accept-stale-hive")[0] == 3
    code, document = unxen("repair", path, "--accept-stale-hive")
    assert (code, document["verdict"]) == (0, "repaired")
    assert any("is lost" in each and "2020-01-01" in each for each in notes(document)), notes(document)
    assert_logs_stay_dead(config_file(path), logs)
    assert unxen("undo", path)[0] == 0
    assert digest(path) == before


def test_settings_can_accept_stale_hives(unxen, tmp_path, own_state) -> None:
    path = disk_of(tmp_path / "disk.raw", DIRTY.primary, {}, like=HIVE)
    (own_state.parent / "unxen.toml").write_text("accept_stale_hive = true\n")
    assert unxen("inspect", path)[0] == 3


def test_damaged_base_block_is_never_merely_stale(unxen, tmp_path) -> None:
    broken = DIRTY.primary[:508] + b"abcd" + DIRTY.primary[512:]
    path = disk_of(tmp_path / "disk.raw", broken, {}, like=HIVE)
    code, document = unxen("repair", path, "--accept-stale-hive")
    assert (code, document["reasons"][0]["kind"]) == (20, "hive-damaged")


def test_damaged_base_block_comes_back_from_a_log(unxen, tmp_path) -> None:
    path = disk_of(tmp_path / "disk.raw", bytes(4096) + DIRTY.primary[4096:], DIRTY.logs, like=NEWER)
    code, document = unxen("repair", path)
    assert (code, document["verdict"]) == (0, "repaired")
    assert hive_facts(document)["replay"]["base_block_from"] == "SYSTEM.LOG2"
    assert any("SYSTEM.LOG2 keeps" in each for each in notes(document))


def test_replay_that_stopped_early_says_where(unxen, tmp_path) -> None:
    start = HIVE.ljust(len(NEWER), b"\0")
    entries = [Entry(7, differing(start, NEWER), bins_size(NEWER)), Entry(8, {0: NEWER[4096:8192]}, bins_size(NEWER), torn=True)]
    path = disk_of(tmp_path / "disk.raw", stamped(start, 7, 6), {"SYSTEM.LOG1": new_log(start, entries)}, like=NEWER)
    code, document = unxen("inspect", path)
    assert code == 3
    (text,) = (each for each in notes(document) if "replayed" in each)
    assert "1 of 2 entries" in text and "behind entry 7" in text and "does not verify" in text


def test_clean_hive_is_written_past_every_number_in_its_logs(unxen, tmp_path) -> None:
    """Its logs hold entries that Windows has long merged; a lower number would bring them back one day."""
    log = new_log(HIVE, [Entry(number, {0: HIVE[4096:8192]}, bins_size(HIVE)) for number in (80, 81, 82)])
    path = disk_of(tmp_path / "disk.raw", stamped(HIVE, 60, 60), {"SYSTEM.LOG1": log, "SYSTEM.LOG2": b""}, like=HIVE)
    _, document = unxen("repair", path)
    assert (hive_facts(document)["state"], hive_facts(document)["highest"]) == ("clean", 82)
    written = config_file(path)
    assert read_base_block(written).primary == 83
    assert_logs_stay_dead(written, {"SYSTEM.LOG1": log})


def test_log_that_cannot_be_read_forbids_an_edit(unxen, tmp_path) -> None:
    """What it holds, and which numbers, is not known; the age of the hive alone was accepted, not that."""
    path = disk_of(tmp_path / "disk.raw", DIRTY.primary, DIRTY.logs, like=NEWER)
    patch(path, record_place(path, r"\Windows\System32\config\SYSTEM.LOG2"), b"BAAD")
    for options in ((), ("--accept-stale-hive",)):
        code, document = unxen("inspect", path, *options)
        assert (code, document["verdict"], document["reasons"][0]["kind"]) == (20, "refused", "hive-damaged")
        assert "SYSTEM.LOG2" in document["reasons"][0]["cause"]
    clean = disk_of(tmp_path / "clean.raw", stamped(NEWER, 60, 60), DIRTY.logs, like=NEWER)
    patch(clean, record_place(clean, r"\Windows\System32\config\SYSTEM.LOG2"), b"BAAD")
    assert unxen("repair", clean)[0] == 20


def test_absurd_sequence_number_forbids_an_edit(unxen, tmp_path) -> None:
    """Past it no number is surely later for whoever compares."""
    log = new_log(HIVE, [Entry(0xFFFFFFFF, {0: HIVE[4096:8192]}, bins_size(HIVE))])
    path = disk_of(tmp_path / "disk.raw", stamped(HIVE, 60, 60), {"SYSTEM.LOG1": log}, like=HIVE)
    assert unxen("inspect", path)[0] == 20


def test_hive_that_grows_by_its_logs_does_not_fit_in_place(unxen, tmp_path) -> None:
    made = dirty_hive([HIVE, NEWER], number=7)
    assert len(NEWER) > len(HIVE)
    path = disk_of(tmp_path / "disk.raw", made.primary, made.logs, like=NEWER)
    before = digest(path)
    code, document = unxen("repair", path, "--delivery", "in-place")
    assert (code, document["reasons"][0]["kind"]) == (34, "delivery-impossible")
    assert "grown" in document["reasons"][0]["cause"]
    at_work_elsewhere(path)
    before = digest(path)
    for verb in ("inspect", "repair"):
        code, document = unxen(verb, path)
        assert (code, document["reasons"][0]["details"]["obstacle"]) == (23, "growth"), verb
    assert digest(path) == before


@pytest.mark.appliance
def test_hive_that_grows_by_its_logs_is_delivered_by_appliance(unxen, tmp_path) -> None:
    made = dirty_hive([HIVE, NEWER], number=7)
    path = disk_of(tmp_path / "disk.raw", made.primary, made.logs, like=NEWER)
    before = digest(path)
    code, document = unxen("repair", path)
    assert (code, document["verdict"], document["delivery"]) == (0, "repaired", "appliance")
    assert [(each["kind"], each["details"]) for each in document["notes"]] == [("appliance-needed", {"cause": "growth"})]
    written = config_file(path)
    assert len(written) == len(NEWER)
    assert "by the logs".encode("utf-16-le") in written
    assert_logs_stay_dead(written, made.logs)
    assert unxen("undo", path)[0] == 0
    assert digest(path) == before


def test_live_snapshot_is_repaired_when_its_journal_leaves_hive_and_logs_alone(unxen, tmp_path) -> None:
    """Running Windows: the hive is dirty, and so is the volume's journal."""
    path = disk_of(tmp_path / "disk.raw", DIRTY.primary, DIRTY.logs, like=NEWER)
    at_work_elsewhere(path)
    before = digest(path)
    code, document = unxen("repair", path)
    assert (code, document["verdict"], document["delivery"]) == (0, "repaired", "in-place")
    assert {"hive-replayed", "unclean-volume"} <= {each["kind"] for each in document["installations"][0]["notes"]}
    assert unxen("undo", path)[0] == 0
    assert digest(path) == before


@pytest.mark.parametrize("options", [(), ("--accept-unclean-volume",)])
def test_live_snapshot_whose_journal_would_change_a_log_is_refused(unxen, tmp_path, options) -> None:
    """The log may be longer than it seems, and its last entries would be missed."""
    path = disk_of(tmp_path / "disk.raw", DIRTY.primary, DIRTY.logs, like=NEWER)
    _room_around(path, "SYSTEM.LOG2")
    at_work_on(path, r"\Windows\System32\config\SYSTEM.LOG2")
    code, document = unxen("repair", path, *options)
    assert (code, document["reasons"][0]["kind"]) == (23, "journal-unclean")


def _room_around(path: Path, name: str) -> None:
    """Its record in a cluster that it shares with no record of the hive, which would be a reason to refuse by itself."""
    with mounted(path) as top:
        config = top / "Windows" / "System32" / "config"
        data = (config / name).read_bytes()
        (config / name).unlink()
        for index in range(16):
            (config / f"other {index}").write_bytes(b"")
        (config / name).write_bytes(data)
    opened = open_volume(path)
    records = [opened.find(rf"\Windows\System32\config\{each}") for each in ("SYSTEM", name)]
    assert len({each.number // 4 for each in records if each}) == 2


def test_logs_of_a_clean_hive_cost_only_their_heads(tmp_path) -> None:
    page = {0: HIVE[4096:8192]}
    big = {0: b"\0" * (256 << 10)}
    log = new_log(HIVE, [Entry(number, page if number % 4 else big, 1 << 20, data_hash=0) for number in range(8, 40)])
    assert len(log) > 2 * MIB
    devices = []
    for name, logs in (("without", {}), ("with", {"SYSTEM.LOG1": log, "SYSTEM.LOG2": log})):
        path = disk_of(tmp_path / name, stamped(HIVE, 60, 60), logs, like=HIVE)
        devices.append(file_device(path))
        facts, _ = look_inside([(DiskNumber(1), devices[-1])], Wanted((), (), ()))
        assert facts.installations[0].hive is not None
        assert facts.installations[0].hive.highest == 60
    assert devices[1].bytes_read - devices[0].bytes_read < len(log) + MIB
    assert devices[1].requests - devices[0].requests < 40
