# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows for libvirt works as it is shown, beside a real daemon with a domain whose disk needs a repair."""

import sys
from collections.abc import Callable
from pathlib import Path

import documented
import pytest
from generators.libvirt_host import Host, disk
from generators.xva import ExportedDisk, ExportedMachine, make_xva

pytestmark = pytest.mark.disk
PROGRAMS = str(Path(sys.executable).parent)
XL = 'type = "hvm"\nname = "from-xen"\nmemory = 64\ndisk = [ "{disk},qcow2,xvda,w" ]\n'


@pytest.mark.parametrize(("typed", "row"), documented.on("libvirt"), ids=documented.typed_on("libvirt"))
def test_command_does_what_is_shown(
    typed: str, row: documented.Row, host: Host, windows: Callable[..., Path], tmp_path: Path
) -> None:
    path = windows(tmp_path / "win10.qcow2", "10", "xcpng")
    host.define("win10", disk(path, "sda", "sata"))
    if "guest.cfg" in typed:
        other = windows(tmp_path / "xen.qcow2", "10", "xcpng")
        (tmp_path / "guest.cfg").write_text(XL.format(disk=other))
    if "export.xva" in typed:
        raw = windows(tmp_path / "xen.raw", "10", "xcpng", format="raw")
        (tmp_path / "export.xva").write_bytes(make_xva(ExportedMachine(macs=()), [ExportedDisk(raw.read_bytes())]))
    documented.type_it(typed, row, tmp_path, PROGRAMS, LIBVIRT_DEFAULT_URI=host.daemon.uri)
