# SPDX-License-Identifier: Apache-2.0
"""`unxen network` on real disks, as people call it."""

import json
from pathlib import Path

import pytest
from generators.disks import MIB, WindowsTree, make_disk
from generators.hives import driver_files, windows_hive
from generators.network import Card
from unxen.cli.main import main

pytestmark = pytest.mark.disk
CARD = Card("LAN", addresses=["192.0.2.10"], gateways=["192.0.2.1"], mac="00:16:3e:12:34:56")


@pytest.fixture(scope="module")
def disks(tmp_path_factory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("network")
    hive = windows_hive("10", families=["xcpng"], network=[CARD])
    files = driver_files(hive)
    second = WindowsTree(hive, "WIN7", b"MZ", driver_files(hive, r"\WIN7"))
    return {
        "one": make_disk(top / "one.qcow2", hive, format="qcow2", files=files, size=64 * MIB),
        "two": make_disk(top / "two.raw", hive, format="raw", files=files, size=64 * MIB, more=[second]),
        "none": make_disk(top / "none.raw", None, format="raw", size=16 * MIB),
    }


def test_people_read_what_was_set(disks, capfd) -> None:
    assert main(["network", str(disks["one"])]) == 0
    told = " ".join(capfd.readouterr().out.split())
    assert "1 network card, 1 of them set by hand" in told
    assert "192.0.2.10/24" in told and "00:16:3e:12:34:56" in told


def test_programs_read_the_same(disks, capfd) -> None:
    assert main(["network", str(disks["one"]), "--json"]) == 0
    (installation,) = json.loads(capfd.readouterr().out)["installations"]
    assert [each["mac"] for each in installation["cards"]] == ["00:16:3e:12:34:56"]


@pytest.mark.parametrize(("kind", "first"), [("powershell", b"# Sets again"), ("netsh", b"@echo off\r\n")])
def test_a_script_is_all_that_stands_on_standard_output(disks, capfdbinary, kind: str, first: bytes) -> None:
    assert main(["network", str(disks["one"]), "--script", kind]) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(first) and b"192.0.2.10" in out
    assert err == b""


def test_a_script_is_for_one_windows(disks, capfd) -> None:
    assert main(["network", str(disks["two"]), "--script", "netsh"]) == 2
    assert r"1:1:\WIN7" in capfd.readouterr().err
    assert main(["network", str(disks["two"]), "--script", "netsh", "--installation", r"1:1:\Windows"]) == 0


def test_a_disk_without_windows_is_no_success(disks, capfd) -> None:
    assert main(["network", str(disks["none"]), "--json"]) == 4
    assert json.loads(capfd.readouterr().out)["verdict"] == "no-windows"


def test_inspect_tells_of_it_in_its_own_section(disks, capfd) -> None:
    assert main(["inspect", str(disks["one"])]) == 3
    told = capfd.readouterr().out
    section = told.partition("First start")[2]
    assert "the network card LAN was set by hand (192.0.2.10)" in " ".join(section.split())
