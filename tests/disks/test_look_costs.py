# SPDX-License-Identifier: Apache-2.0
"""What a look reads does not grow with the disk or with the number of files, whatever the size of clusters."""

import json
import sys
from pathlib import Path

import pytest
from generators.hives import windows_hive
from unxen.cli.main import main

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from bench_disks import GIB, Shape, make_bench_disk  # the path is made above

pytestmark = pytest.mark.disk
ALLOWED = 4 << 20
"""Bytes beside the hive and its logs: partition tables, the $MFT's pieces, directories, the kernel's version."""
SHAPES = {
    "small": Shape(size=GIB // 4, files=500),
    "2 TB": Shape(size=2048 * GIB - (64 << 20), files=500, scheme="gpt"),
    "many files": Shape(size=GIB, files=12_000),
    "clusters of 512 bytes": Shape(size=GIB, files=6_000, cluster=512),
    "clusters of 1 KiB": Shape(size=GIB, files=6_000, cluster=1024),
    "clusters of 64 KiB": Shape(size=GIB, files=6_000, cluster=65536),
}


@pytest.mark.parametrize("name", SHAPES)
def test_look_reads_the_hive_and_little_else(name, tmp_path, capsys) -> None:
    hive = windows_hive("10", families=["xcpng"])
    disk = tmp_path / "disk.raw"
    make_bench_disk(disk, hive, SHAPES[name])
    assert main(["inspect", str(disk), "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    (reads,) = (each for each in document["spent"] if each["part"] == "box-reads")
    assert len(hive) < reads["bytes"] <= len(hive) + ALLOWED
    assert reads["times"] < 100
