# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows for disks and definitions works as it is shown, typed in a directory where its files are."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import documented
import pytest
from generators.disks import MIB, make_disk, run
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel
from generators.xva import ExportedDisk, ExportedMachine, make_xva

pytestmark = pytest.mark.disk
PROGRAMS = str(Path(sys.executable).parent)
XML = """<domain type='xen'><name>from-xen</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='xenfv'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='tap2' type='raw'/><source file='{disk}'/><target dev='xvda' bus='xen'/></disk>
</devices></domain>"""
XL = 'type = "hvm"\nname = "from-xen"\nmemory = 64\ndisk = [ "{disk},raw,xvda,w" ]\n'


def converted(master: Path, path: Path, form: str) -> None:
    run("qemu-img", "convert", "-f", "raw", "-O", form, master, path)


def definition(text: str) -> Callable[[Path, Path], None]:
    """A definition of a machine with the disk in a file beside it."""

    def make(master: Path, path: Path) -> None:
        shutil.copyfile(master, path.with_name("xen.raw"))
        path.write_text(text.format(disk=path.with_name("xen.raw")))

    return make


# A file that a command may name, and how it is made of the disk.
FILES: dict[str, Callable[[Path, Path], object]] = {
    **dict.fromkeys(
        ("windows.qcow2", "system.qcow2", "old.qcow2", "customer.qcow2"), lambda disk, to: converted(disk, to, "qcow2")
    ),
    **dict.fromkeys(("old.vhd", "old-disk.vhd", "guest.vhd", "exported-disk"), lambda disk, to: converted(disk, to, "vpc")),
    "vg0-win10": shutil.copyfile,
    **dict.fromkeys(("data.raw", "sdb"), lambda _disk, to: run("truncate", "-s", "1M", to)),
    **dict.fromkeys(
        ("export.xva", "old.xva"), lambda disk, to: to.write_bytes(make_xva(ExportedMachine(), [ExportedDisk(disk.read_bytes())]))
    ),
    "guest.cfg": definition(XL),
    "guest.xml": definition(XML),
}


@pytest.fixture(scope="session")
def fill(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, str, documented.Row], None]:
    """Puts what a command names where it is typed."""
    hive = windows_hive("10", families=["xcpng"])
    files = driver_files(hive, r"\Windows")
    master = make_disk(
        tmp_path_factory.mktemp("disk") / "win.raw",
        hive,
        format="raw",
        kernel=kernel((10, 0, 19041), "amd64"),
        files=files,
        size=48 * MIB,
    )

    def put(directory: Path, typed: str, row: documented.Row) -> None:
        words = " ".join((*row.first, typed))
        for name, make in FILES.items():
            if name in words or ("*.qcow2" in words and name == "windows.qcow2"):
                make(master, directory / name)

    return put


@pytest.mark.parametrize(("typed", "row"), documented.on("disk"), ids=documented.typed_on("disk"))
def test_command_does_what_is_shown(typed: str, row: documented.Row, tmp_path: Path, fill) -> None:
    fill(tmp_path, typed, row)
    documented.type_it(typed, row, tmp_path, PROGRAMS)


@pytest.mark.parametrize(("typed", "row"), documented.on("checkout"), ids=documented.typed_on("checkout"))
def test_command_works_in_a_checkout(typed: str, row: documented.Row) -> None:
    documented.type_it(typed, row, documented.TOP, PROGRAMS, PYTHON=sys.executable)


def test_check_inside_the_guest_changes_nothing() -> None:
    """No PowerShell is here to run it; each of its verbs only reads."""
    page = (documented.TOP / "docs" / "by-hand.md").read_text()
    (block,) = [text for _, language, text in documented.FENCE.findall(page) if language == "powershell"]
    assert subprocess.run(
        ["grep", "-oE", r"\b[A-Z][a-z]+-[A-Z][A-Za-z]+"], input=block, capture_output=True, text=True
    ).stdout.split() == [
        "Get-ChildItem",
        "Get-ChildItem",
    ]
    assert not {"=>", ">", ">>"} & set(block.split())
