# SPDX-License-Identifier: Apache-2.0
"""What the units keep away leaves unxen all that its work needs: a real systemd runs a repair and its undo in one of them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from generators import systemd
from generators.disks import make_disk
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel

UNITS = sorted((Path(__file__).resolve().parents[2] / "hooks" / "systemd").glob("*.service"))
UNXEN = str(Path(sys.executable).with_name("unxen"))
# Tenths; newer systemds weigh a little differently.
MOST_EXPOSED = 60
analyzed = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
started = pytest.mark.skipif(bool(systemd.missing()), reason=systemd.missing())


def closed(unit: Path) -> list[str]:
    """The lines between what is closed and the next section."""
    return re.search(r"(?ms)^# Kept away.*?(?=^\[Install\])", unit.read_text())[0].splitlines()


def test_all_units_close_the_same_and_say_what_stays_open() -> None:
    assert len(UNITS) == 3
    assert len({tuple(closed(each)) for each in UNITS}) == 1
    assert any(line.startswith("# Left open") for line in closed(UNITS[0]))


@analyzed
@pytest.mark.parametrize("unit", UNITS, ids=lambda each: each.stem)
def test_systemd_finds_the_unit_right_and_not_exposed(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/usr/bin/unxen", "/usr/bin/true"))
    checked = subprocess.run(["systemd-analyze", "verify", copy], check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", copy]
    weighed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert weighed.returncode == 0, weighed.stdout[-200:]


@started
@pytest.mark.disk
def test_repair_and_undo_work_under_what_the_units_close(tmp_path: Path) -> None:
    disk = tmp_path / "win.qcow2"
    hive = windows_hive("10", families=["xcpng"])
    make_disk(disk, hive, format="qcow2", kernel=kernel((10, 0, 19041), "amd64"), files=driver_files(hive, r"\Windows"))
    environment = {"UNXEN_STATE_DIR": str(tmp_path / "state"), "UNXEN_CONFIG": str(tmp_path / "unxen.toml")}
    script = f'{UNXEN} doctor --json >doctor.json; {UNXEN} repair --quiet "{disk}" && {UNXEN} undo --quiet "{disk}"'
    ran = systemd.run_unit(UNITS[0], ["/bin/sh", "-c", f"cd {tmp_path} && {script}; touch /usr/unxen-was-here"], environment)
    assert "repaired" in ran.stdout, ran
    assert "/usr/unxen-was-here" in ran.stderr, "the unit closes nothing"
    boxes = {each["name"]: each for each in json.loads((tmp_path / "doctor.json").read_text())["checks"]}
    assert boxes["box"]["found"].startswith(here()), "boxes are weaker than on this host without the unit"


def here() -> str:
    """How boxes are made on this host, in a process of its own because it is found once."""
    script = "from unxen.host.sandbox import box_mode; print(box_mode().value)"
    return subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip()
