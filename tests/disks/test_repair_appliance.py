# SPDX-License-Identifier: Apache-2.0
"""The appliance's way and the direct way put the same hive into the same disk, each verified and each with a way back."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel
from unxen.cli.main import main
from unxen.host.sandbox import Box
from unxen.model.disk import Disk
from unxen.model.ids import DiskNumber, ImageFormat

pytestmark = [pytest.mark.disk, pytest.mark.appliance]


def as_raw(path: Path) -> bytes:
    out = path.with_suffix(".content")
    subprocess.run(["qemu-img", "convert", "-f", path.suffix[1:], "-O", "raw", path, out], check=True)
    return out.read_bytes()


def hive_of(path: Path) -> bytes:
    """The SYSTEM file as the program itself reads it."""
    from unxen.host.nbd import serve_read_only
    from unxen.probe.images import check_images
    from unxen.probe.look import look
    from unxen.probe.wanted import Wanted

    with Box.open() as box:
        (chain,) = check_images([Disk(DiskNumber(1), str(path), ImageFormat(path.suffix[1:]))], box, [])
        with serve_read_only(chain) as server:
            seen = look(box, [(chain.disk, chain.virtual_size, server.connect())], Wanted((), (), ()))
    (hive,) = seen.hives.values()
    return hive


def test_both_deliveries_write_the_same_hive(tmp_path, capsys) -> None:
    hive = windows_hive("2008r2", families=["xcpng"])
    by_appliance = tmp_path / "appliance.qcow2"
    make_disk(by_appliance, hive, size=48 * MIB, scheme="gpt", kernel=kernel((6, 1, 7601)), files=driver_files(hive))
    in_place = tmp_path / "direct.qcow2"
    shutil.copyfile(by_appliance, in_place)
    before = as_raw(by_appliance)

    for path, delivery in ((by_appliance, "appliance"), (in_place, "in-place")):
        assert main(["repair", str(path), "--delivery", delivery, "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["verdict"], document["delivery"]) == ("repaired", delivery)

    assert hive_of(by_appliance) == hive_of(in_place) != hive
    assert main(["undo", str(by_appliance), "--json"]) == 0
    assert hashlib.sha256(as_raw(by_appliance)).digest() == hashlib.sha256(before).digest()
