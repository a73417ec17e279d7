# SPDX-License-Identifier: Apache-2.0
"""A fleet is driven by a role: check mode only looks, a run repairs, and one report holds what came of every guest."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from generators.disks import make_disk
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel

TOP = Path(__file__).resolve().parents[2]
ROLE = TOP / "examples" / "ansible"
pytestmark = [
    pytest.mark.disk,
    pytest.mark.skipif(shutil.which("ansible-playbook") is None, reason="ansible-core is not installed"),
]


@pytest.fixture
def guests(tmp_path: Path) -> dict[str, Path]:
    """A guest that needs a repair, and one whose disk is not there."""
    disk = tmp_path / "win.qcow2"
    hive = windows_hive("10", families=["xcpng"])
    make_disk(disk, hive, format="qcow2", kernel=kernel((10, 0, 19041), "amd64"), files=driver_files(hive, r"\Windows"))
    return {"ill": disk, "missing": tmp_path / "missing.qcow2"}


def play(tmp_path: Path, guests: dict[str, Path], *more: str) -> tuple[str, list[dict]]:
    """What Ansible said, and the outcomes of the one host in its report."""
    report = tmp_path / "report.json"
    variables = {
        "unxen_targets": [str(guests["ill"]), [str(guests["missing"])]],
        "unxen_command": str(Path(sys.executable).with_name("unxen")),
        "unxen_report": str(report),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_become": False,
    }
    command = ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", json.dumps(variables), *more, str(ROLE / "site.yml")]
    environment = {
        **os.environ,
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(report.read_text())["hosts"]["localhost"]


def verdicts(outcomes: list[dict]) -> list[tuple[str, str]]:
    return [(each["verb"], each["verdict"]) for each in outcomes]


def test_check_mode_only_looks_and_a_run_repairs_once(tmp_path: Path, guests: dict[str, Path]) -> None:
    before = hashlib.sha256(guests["ill"].read_bytes()).hexdigest()
    said, outcomes = play(tmp_path, guests, "--check")
    assert verdicts(outcomes) == [("inspect", "repairable"), ("inspect", "refused")]
    assert hashlib.sha256(guests["ill"].read_bytes()).hexdigest() == before
    assert "changed=0 " in said

    said, outcomes = play(tmp_path, guests)
    assert verdicts(outcomes) == [("inspect", "repairable"), ("inspect", "refused"), ("repair", "repaired")]
    assert "changed=1 " in said
    assert outcomes[1]["exit_code"] == 10
    assert outcomes[1]["reasons"][0]["remedy"]

    said, outcomes = play(tmp_path, guests)
    assert verdicts(outcomes) == [("inspect", "healthy"), ("inspect", "refused")]
    assert "changed=0 " in said
