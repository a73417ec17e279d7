# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows for Proxmox VE works as it is shown, on the double of a node with two VMs that need a repair."""

import shutil
from pathlib import Path

import documented
import pytest
from conftest import Double
from generators.disks import run
from generators.xva import ExportedDisk, ExportedMachine, make_xva
from vms import config, disk

pytestmark = pytest.mark.disk


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk(tmp_path_factory.mktemp("disk") / "win.raw", "xcpng")


@pytest.mark.parametrize(("typed", "row"), documented.on("node"), ids=documented.typed_on("node"))
def test_command_does_what_is_shown(typed: str, row: documented.Row, bare_double: Double, windows: Path, tmp_path: Path) -> None:
    for vmid in ("100", "104"):
        volume = f"{vmid}/vm-{vmid}-disk-0.raw"
        bare_double.volume(volume, windows)
        bare_double.define(vmid, config(f"sata0: local:{volume},size=64M", "boot: order=sata0"))
    (tmp_path / "unxen.toml").write_text("watch_quiet_seconds = 0\n")
    for name in ("old.vhd", "old-disk.vhd"):
        if name in typed:
            run("qemu-img", "convert", "-f", "raw", "-O", "vpc", windows, tmp_path / name)
    if "export.xva" in typed:
        (tmp_path / "export.xva").write_bytes(make_xva(ExportedMachine(), [ExportedDisk(windows.read_bytes())]))
    programs = f"{bare_double.bin}:{Path(shutil.which('bash') or '/bin/bash').parent}"
    documented.type_it(typed, row, tmp_path, programs, UNXEN_CONFIG=str(tmp_path / "unxen.toml"))
