# SPDX-License-Identifier: Apache-2.0
"""The verbs on real disks, as people call them."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from generators.disks import MIB, WindowsTree, make_disk
from generators.hives import driver_files, windows_hive
from unxen.cli.main import main
from unxen.host import ledger
from unxen.model.progress import Part
from unxen.report.step_messages import PART_TITLES

pytestmark = pytest.mark.disk
SCHEMA = json.loads(files("unxen.report").joinpath("outcome.schema.json").read_text())
SIZE = 64 * MIB


def windows(path: Path, *families: str, generation: str = "10", **more: object) -> Path:
    hive = windows_hive(generation, families=families)
    return make_disk(path, hive, format=path.suffix[1:], files=driver_files(hive), size=SIZE, **more)


@pytest.fixture(scope="module")
def disks(tmp_path_factory) -> dict[str, Path]:
    """Made once; no test here may change them, which each checks."""
    top = tmp_path_factory.mktemp("disks")
    other = windows_hive("7", families=["gplpv"])
    second = WindowsTree(other, "WIN7", b"MZ", driver_files(other, r"\WIN7"))
    made = {
        "xen": windows(top / "xen.qcow2", "xcpng"),
        "plain": windows(top / "plain.qcow2"),
        "data": make_disk(top / "data.raw", None, format="raw", size=16 * MIB),
        "two": windows(top / "two.raw", "xcpng", more=[second]),
    }
    made["hashes"] = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in made.values()}
    return made


@pytest.fixture(autouse=True)
def nothing_changes(disks):
    yield
    for path, digest in disks["hashes"].items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


def documents(text: str) -> list[dict]:
    made = [json.loads(line) for line in text.splitlines()] if text.startswith('{"') else [json.loads(text)]
    for each in made:
        jsonschema.Draft202012Validator(SCHEMA).validate(each)
    return made


def test_disk_with_xen_drivers_would_stop(disks, capfd) -> None:
    assert main(["inspect", str(disks["xen"]), "--json"]) == 3
    (document,) = documents(capfd.readouterr().out)
    assert document["verdict"] == "repairable"
    assert document["bus"] == "sata"
    assert document["installations"][0]["windows"]["version"][0] == 10
    assert {each["part"] for each in document["xen"]} >= {"service", "filter"}
    judged = [each for each in document["chains"] if each["judged"]]
    assert judged
    assert all(each["first_broken"] for each in judged)
    assert any(edit["required"] for edit in document["plan"]["edits"])
    assert [each["step"] for each in document["timings"]] == ["look", "decide"]


NO_WINDOWS = """
import sys
from unxen.cli.main import main
assert main(["inspect", sys.argv[1]]) == 4
heavy = {"tomllib", "hashlib", "logging", "unxen.knowledge.tables", "unxen.plan.judge", "unxen.plan.examined"}
sys.exit(", ".join(sorted(heavy & sys.modules.keys())) or 0)
"""


def test_disk_without_windows_is_told_before_tables_and_rules_are_loaded(tmp_path) -> None:
    """Most machines that a hook is called for run something else."""
    disk = tmp_path / "linux.raw"
    disk.write_bytes(bytes(MIB))
    command = [sys.executable, "-c", NO_WINDOWS, str(disk)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_times_are_told_when_asked_for(disks, capfd) -> None:
    # What looks without a call have left in this process.
    ledger.take()
    assert main(["inspect", str(disks["xen"]), "--json", "--timings"]) == 3
    out, told = capfd.readouterr()
    (document,) = documents(out)
    spent = {each["part"]: each for each in document["spent"]}
    assert {"tables", "boxes", "headers", "server", "box-start", "box-look", "box-reads", "box-registry"} <= spent.keys()
    hive = document["installations"][0]["hive"]["size"]
    assert hive < spent["box-reads"]["bytes"] < hive + 4 * MIB
    for title in ("look into the disks", "judge the boot path", *(PART_TITLES[Part(each)] for each in spent)):
        assert f"  {title} " in told, title
    main(["inspect", str(disks["xen"]), "--quiet"])
    assert capfd.readouterr().err == ""


def test_text_and_document_agree(disks, capfd) -> None:
    main(["plan", str(disks["xen"]), "--json"])
    (document,) = documents(capfd.readouterr().out)
    assert main(["plan", str(disks["xen"])]) == 3
    text = capfd.readouterr().out
    assert f"{len(document['plan']['edits'])} changes" in text
    assert document["plan"]["id"][:12] in text


def test_as_json_is_json(disks, capfd) -> None:
    assert main(["plan", str(disks["xen"]), "--as", "json"]) == 3
    assert documents(capfd.readouterr().out)[0]["verb"] == "plan"


def test_windows_without_xen_is_healthy(disks, capfd) -> None:
    assert main(["inspect", str(disks["plain"]), "--json"]) == 0
    assert documents(capfd.readouterr().out)[0]["verdict"] == "healthy"
    assert main(["inspect", str(disks["plain"])]) == 0
    assert "healthy" in capfd.readouterr().out.splitlines()[0]


def test_windows_is_found_on_whichever_disk_has_it(disks, capfd) -> None:
    assert main(["inspect", str(disks["data"]), str(disks["xen"]), "--json"]) == 3
    (document,) = documents(capfd.readouterr().out)
    assert [each["id"] for each in document["installations"]] == [r"2:1:\Windows"]
    assert [each["number"] for each in document["disks"]] == [1, 2]


def test_each_target_is_a_guest_of_its_own(disks, capfd) -> None:
    targets = [str(disks[name]) for name in ("plain", "xen", "data")]
    assert main(["inspect", "--each", "--json", "--jobs", "2", *targets]) == 4
    assert [each["verdict"] for each in documents(capfd.readouterr().out)] == ["healthy", "repairable", "no-windows"]


def test_bus_is_judged_as_asked(disks, capfd) -> None:
    assert main(["inspect", str(disks["xen"]), "--bus", "ide", "--json"]) == 3
    assert documents(capfd.readouterr().out)[0]["bus"] == "ide"
    assert main(["inspect", str(disks["xen"]), "--bus", "virtio", "--json"]) == 26
    (document,) = documents(capfd.readouterr().out)
    assert document["reasons"][-1]["kind"] == "bus-not-possible"
    assert document["chains"]


def test_both_installations_are_told_and_one_can_be_chosen(disks, capfd) -> None:
    main(["inspect", str(disks["two"]), "--json"])
    found = {each["id"] for each in documents(capfd.readouterr().out)[0]["installations"]}
    assert found == {r"1:1:\Windows", r"1:1:\WIN7"}
    assert main(["plan", str(disks["two"]), "--installation", "1:1:/WIN7", "--json"]) == 3
    edits = documents(capfd.readouterr().out)[0]["plan"]["edits"]
    assert {each["installation"] for each in edits} == {r"1:1:\WIN7"}


def test_reg_file_is_for_regedit(disks, capfdbinary) -> None:
    assert main(["plan", str(disks["xen"]), "--as", "reg", "--hive-root", r"HKEY_LOCAL_MACHINE\Temp"]) == 3
    text = capfdbinary.readouterr().out.decode("utf-16")
    assert text.startswith("Windows Registry Editor Version 5.00\r\n")
    assert "[HKEY_LOCAL_MACHINE\\Temp\\ControlSet001\\" in text
    assert '"Start"=dword:00000004' in text


def test_reg_file_of_a_healthy_disk_holds_nothing(disks, capfdbinary) -> None:
    assert main(["plan", str(disks["plain"]), "--as", "reg"]) == 0
    assert "[" not in capfdbinary.readouterr().out.decode("utf-16")


def test_reg_file_is_for_one_windows(disks, capfd) -> None:
    assert main(["plan", str(disks["two"]), "--as", "reg"]) == 2
    seen = capfd.readouterr()
    assert seen.out == ""
    assert r"1:1:\WIN7" in seen.err


def test_names_that_look_like_options_and_names_with_spaces_work(disks, tmp_path: Path, monkeypatch, capfd) -> None:
    for name in ("-odd name.qcow2", "имя.qcow2"):
        shutil.copy(disks["xen"], tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for name in ("-odd name.qcow2", "имя.qcow2"):
        assert main(["inspect", "--json", "--", name]) == 3
        assert documents(capfd.readouterr().out)[0]["target"] == [name]
