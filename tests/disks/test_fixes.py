# SPDX-License-Identifier: Apache-2.0
"""Fixes on real disks: asked for alone where nothing else is needed, verified, done once, taken back; in place or by appliance."""

from pathlib import Path

import pytest
from content import content_of
from generators.disks import MIB, make_disk
from generators.hives import GENERATION, driver_files, plant, windows_hive
from generators.kernels import kernel
from unxen.cli.main import main

pytestmark = pytest.mark.disk

CUT = r"""
[ControlSet*\Control\Class\{4d36e96b-e325-11ce-bfc1-08002be10318}]
"UpperFilters"=-
"""


def disk_of(path: Path, hive: bytes, generation: str = "2022") -> Path:
    return make_disk(
        path, hive, kernel=kernel(GENERATION[generation].version), files=driver_files(hive), size=48 * MIB, scheme="mbr"
    )


def rules(document: dict) -> set[str]:
    return {each["rule"] for each in document["plan"]["edits"]} if document["plan"] else set()


def test_fixes_alone_are_done_once_in_place_and_taken_back(unxen, capsys, tmp_path) -> None:
    path = disk_of(tmp_path / "w.qcow2", windows_hive("2022"))
    before = content_of(path)
    assert unxen("inspect", path)[0] == 0
    code, document = unxen("plan", path, "--fix", "data-disks,crash-screen")
    assert (code, rules(document)) == (3, {"data_disks", "crash_screen"})
    code, document = unxen("repair", path, "--fix", "data-disks", "--fix", "crash-screen")
    assert (code, document["verdict"], document["delivery"]) == (0, "repaired", "in-place")
    repaired = content_of(path)
    code, document = unxen("repair", path, "--fix", "data-disks,crash-screen")
    assert (code, document["verdict"], document["changed"]) == (0, "healthy", False)
    (seen,) = unxen("inspect", path)[1]["installations"]
    assert (seen["first_start"]["san_policy"], seen["first_start"]["auto_reboot"]) == (1, 0)
    assert content_of(path) == repaired != before
    assert unxen("undo", path)[0] == 0
    assert content_of(path) == before
    assert main(["repair", str(path), "--fix", "crash-screen", "--dry-run", "--quiet"]) == 3
    assert "can be mended as asked" in capsys.readouterr().out


@pytest.mark.appliance
def test_a_list_that_was_deleted_comes_back_though_the_registry_must_grow(unxen, tmp_path) -> None:
    whole = plant(windows_hive("2022"), CUT)
    path = disk_of(tmp_path / "w.qcow2", whole)
    before = content_of(path)
    code, document = unxen("repair", path, "--fix", "stock-filters", "--delivery", "in-place")
    assert (code, document["reasons"][0]["details"]["cause"]) == (34, "growth")
    assert content_of(path) == before
    code, document = unxen("repair", path, "--fix", "stock-filters")
    assert (code, document["verdict"], document["delivery"]) == (0, "repaired", "appliance")
    code, document = unxen("inspect", path, "--fix", "stock-filters")
    assert (code, document["verdict"]) == (0, "healthy")
    assert unxen("undo", path)[0] == 0
    assert content_of(path) == before
