# SPDX-License-Identifier: Apache-2.0
"""The disks that everything is measured on: real NTFS, a real SYSTEM hive where there is one, and as many files as asked for.

Writes only the paths given and scratch files beside them. Files on the volume are empty: what costs a reader of directories is how
many there are.
"""

import os
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from generators.disks import MIB, Slot, WindowsTree, convert, format_ntfs, mounted, place, run, write_file, write_table, write_tree
from generators.hive_bytes import Node, write_hive
from generators.hives import add_family, driver_files, windows_hive
from generators.kernels import kernel
from generators.reg_text import apply

GIB = 1 << 30
REAL_HIVE = "win10-1709-x64-dell-dirty-logs/SYSTEM.recovered"
FAMILY = "xcpng"
BOOT_BYTES = 500 * MIB
IN_SYSTEM32, DRIVERS, IN_A_FOLDER = 4050, 450, 1000
# What libguestfs and virt-v2v ask a Windows for before they call it one.
SOFTWARE = r"""
[Microsoft\Windows NT\CurrentVersion]
"ProductName"="Windows 10 Pro"
"EditionID"="Professional"
"InstallationType"="Client"
"CurrentVersion"="6.3"
"CurrentBuild"="16299"
"CurrentBuildNumber"="16299"
"CurrentMajorVersionNumber"=dword:a
"CurrentMinorVersionNumber"=dword:0
"SystemRoot"="C:\\Windows"
[Microsoft\Windows\CurrentVersion]
"ProgramFilesDir"="C:\\Program Files"
"DevicePath"=expand:%SystemRoot%\inf
[Microsoft\Windows\CurrentVersion\Uninstall]
"""
COMMAND = "Windows/System32/cmd.exe"
LOOKED_FOR = ("Windows/explorer.exe", "Windows/inf/setupapi.dev.log")


@dataclass(frozen=True)
class Shape:
    """A disk to be made: virtual size in bytes, files on the Windows volume, its clusters' size, partition scheme."""

    size: int = 20 * GIB
    files: int = 100_000
    cluster: int = 4096
    scheme: str = "mbr"


def xen_hive(corpus: Path | None) -> bytes:
    """The corpus' Windows 10 hive of 12 MB with a family of Xen drivers planted, or a small generated one without the corpus."""
    if corpus is None:
        return windows_hive("10", families=[FAMILY])
    stored = corpus / f"{REAL_HIVE}.zst"
    hive = subprocess.run(["zstd", "-q", "-d", "-c", "--long=27", stored], check=True, stdout=subprocess.PIPE).stdout
    return add_family(hive, FAMILY)


def make_bench_disk(path: Path, hive: bytes | None, shape: Shape) -> None:
    """One disk, its format from its name. Without a hive the volume holds files and no Windows."""
    with TemporaryDirectory(prefix="bench-", dir=path.parent) as scratch:
        raw = Path(scratch) / "raw"
        with raw.open("wb") as file:
            file.truncate(shape.size)
        kind = {"mbr": "7", "gpt": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"}[shape.scheme]
        boot = [Slot(kind, BOOT_BYTES, active=shape.scheme == "mbr")] if shape.size >= 4 * GIB else []
        room = shape.size - sum(each.size + MIB for each in boot) - 3 * MIB
        places = write_table(raw, shape.scheme, [*boot, Slot(kind, room // MIB * MIB)])
        if boot:
            _boot_volume(raw, Path(scratch), places[0])
        _windows_volume(raw, Path(scratch), places[-1], hive, shape)
        convert(raw, path, path.suffix[1:])


def _boot_volume(raw: Path, scratch: Path, where: tuple[int, int]) -> None:
    volume = scratch / "boot"
    format_ntfs(volume, where[1])
    with mounted(volume) as top:
        for each in ("bootmgr", "Boot/BCD"):
            write_file(top, each)
    place(raw, where[0], volume)


def _windows_volume(raw: Path, scratch: Path, where: tuple[int, int], hive: bytes | None, shape: Shape) -> None:
    volume = scratch / "windows"
    format_ntfs(volume, where[1], cluster_size=shape.cluster)
    with mounted(volume) as top:
        if hive is not None:
            _windows(top, hive)
        _fill(top, shape.files)
    place(raw, where[0], volume)


def _windows(top: Path, hive: bytes) -> None:
    tree = WindowsTree(hive, "Windows", kernel((10, 0, 16299)), driver_files(hive))
    write_tree(top, tree)
    software = Node("ROOT")
    apply(SOFTWARE, software)
    (top / "Windows/System32/config/SOFTWARE").write_bytes(write_hive(software, "SOFTWARE"))
    # libguestfs tells the architecture by this program's header.
    write_file(top, COMMAND, tree.kernel)
    for each in (*LOOKED_FOR, "bootmgr", "Boot/BCD"):
        write_file(top, each)


def _fill(top: Path, files: int) -> None:
    """The files: first as many as a Windows has in System32 and its drivers, the rest by the thousand."""
    system = top / "Windows" / "System32"
    for folder, most in ((system, IN_SYSTEM32), (system / "drivers", DRIVERS)):
        files -= _files(folder, min(most, files))
    for number in range(-(-files // IN_A_FOLDER)):
        _files(top / "Users" / "Public" / f"{number:04}", min(IN_A_FOLDER, files - number * IN_A_FOLDER))


def _files(folder: Path, count: int) -> int:
    """mknod, because opening and closing costs two more trips to ntfs-3g a file."""
    folder.mkdir(parents=True, exist_ok=True)
    inside = os.open(folder, os.O_RDONLY)
    try:
        for number in range(count):
            os.mknod(f"component-{number:05}.dll", stat.S_IFREG | 0o644, dir_fd=inside)
    finally:
        os.close(inside)
    return count


def make_small_disks(folder: Path) -> tuple[Path, Path]:
    """An empty disk and one with a Linux file system: what a watcher meets most often."""
    empty, linux = folder / "empty.qcow2", folder / "linux.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", empty, "20G")
    raw = folder / "linux.part"
    with raw.open("wb") as file:
        file.truncate(2 * GIB)
    run("mkfs.ext4", "-q", "-F", raw)
    convert(raw, linux, "qcow2")
    raw.unlink()
    return empty, linux
