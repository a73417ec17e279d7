# SPDX-License-Identifier: Apache-2.0
"""Makes disks that a Windows could have left: real partition tables, real NTFS, boot files, a Windows tree around a given hive.

Needs sfdisk, mkntfs, ntfs-3g (FUSE), mkfs.fat, mtools and qemu-img, all of them as programs. Writes only to the path given and
to a scratch directory that it removes. Nothing in it is Windows: files are empty or a few bytes, the hive comes from the caller.
"""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

MIB = 1 << 20
SECTOR = 512
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
RESERVED = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
BASIC = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
BIOS_FILES = ("bootmgr", "Boot/BCD")
NT5_FILES = ("ntldr", "ntdetect.com", "boot.ini")
UEFI_FILES = ("EFI/Microsoft/Boot/bootmgfw.efi", "EFI/Microsoft/Boot/BCD", "EFI/Boot/bootx64.efi")


@dataclass(frozen=True)
class WindowsTree:
    """One Windows on the disk: its hive, the directory it lives in, and the files beside it (paths from the volume's root)."""

    hive: bytes
    root: str = "Windows"
    kernel: bytes = b"MZ"
    files: Sequence[str] = ()
    logs: Mapping[str, bytes] = field(default_factory=dict)
    nt5: bool = False


def run(*argv: object, stdin: str = "") -> str:
    """One program, its output as text; raises with what it said when it fails."""
    done = subprocess.run([str(each) for each in argv], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{argv[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


@contextmanager
def mounted(volume: Path, *options: str) -> Iterator[Path]:
    """An NTFS volume (a plain file) mounted with ntfs-3g for writing."""
    with tempfile.TemporaryDirectory(prefix="mount-") as directory:
        run("ntfs-3g", "-o", ",".join(("no_def_opts", "silent", *options)), volume, directory)
        try:
            yield Path(directory)
        finally:
            run("umount", directory)


def format_ntfs(
    volume: Path, size: int, *, cluster_size: int = 4096, start_sector: int = 0, heads: int = 255, sector_size: int = SECTOR
) -> None:
    """A new NTFS volume of `size` bytes as a plain file."""
    with volume.open("wb") as file:
        file.truncate(size)
    run("mkntfs", "-q", "-F", "-Q", "-c", cluster_size, "-s", sector_size, "-p", start_sector, "-H", heads, "-S", 63, volume)


def write_tree(top: Path, tree: WindowsTree) -> None:
    """The files of one Windows below a mounted volume's root."""
    config = top / tree.root / "System32" / "config"
    config.mkdir(parents=True)
    (top / tree.root / "System32" / "drivers").mkdir()
    (top / tree.root / "System32" / "ntoskrnl.exe").write_bytes(tree.kernel)
    (config / "SYSTEM").write_bytes(tree.hive)
    for name in ("SAM", "SECURITY", "DEFAULT"):
        (config / name).write_bytes(b"")
    for name, data in tree.logs.items():
        (config / name).write_bytes(data)
    for path in tree.files:
        write_file(top, path)


def write_file(top: Path, path: str, data: bytes = b"MZ") -> None:
    r"""A small file, its path with slashes or backslashes from the volume's root; one that is there stays."""
    target = top
    for part in path.replace("\\", "/").strip("/").split("/"):
        target = _same_without_case(target, part)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        target.write_bytes(data)


def _same_without_case(folder: Path, name: str) -> Path:
    """The entry that Windows would take for this name: ntfs-3g would make `system32` beside `System32`."""
    there = {each.name.lower(): each for each in folder.iterdir()} if folder.is_dir() else {}
    return there.get(name.lower(), folder / name)


def make_windows_volume(volume: Path, size: int, trees: Sequence[WindowsTree], boot: Sequence[str], **layout: int) -> None:
    """An NTFS volume with every tree and the boot files on it."""
    format_ntfs(volume, size, **layout)
    with mounted(volume) as top:
        for tree in trees:
            write_tree(top, tree)
        for path in boot:
            write_file(top, path)


def make_esp(volume: Path, size: int) -> None:
    """A FAT32 EFI system partition with the Windows boot manager's files."""
    with volume.open("wb") as file:
        file.truncate(size)
    run("mkfs.fat", "-F", 32, volume)
    for path in UEFI_FILES:
        for parent in reversed(Path(path).parents[:-1]):
            subprocess.run(["mmd", "-i", volume, "-D", "s", f"::{parent}"], check=False, capture_output=True)
        run("mcopy", "-i", volume, "-", f"::{path}", stdin="MZ")


@dataclass(frozen=True)
class Slot:
    """One partition to be: sfdisk's type, size in bytes, and whether it is active or the extended one."""

    type: str
    size: int
    active: bool = False


def write_table(disk: Path, scheme: str, slots: Sequence[Slot]) -> list[tuple[int, int]]:
    """Writes the partition table; returns (start, length) in bytes of every slot that is no extended partition."""
    lines = [f"label: {'dos' if scheme == 'mbr' else 'gpt'}"]
    at = MIB
    places: list[tuple[int, int]] = []
    for slot in slots:
        active = ", bootable" if slot.active else ""
        lines.append(f"start={at // SECTOR}, size={slot.size // SECTOR}, type={slot.type}{active}")
        if slot.type in ("5", "f"):
            at += MIB
            continue
        places.append((at, slot.size))
        at += slot.size + MIB
    run("sfdisk", "--quiet", "--no-reread", disk, stdin="\n".join(lines) + "\n")
    return places


def place(disk: Path, start: int, volume: Path) -> None:
    """Copies a volume to its partition, leaving holes: what was never written of a large volume is not even read."""
    with volume.open("rb") as source, disk.open("r+b") as target:
        for begin, end in _written(source.fileno(), volume.stat().st_size):
            source.seek(begin)
            target.seek(start + begin)
            shutil.copyfileobj(_Part(source, end - begin), target, MIB)


class _Part:
    """The next bytes of a file, as a file that ends after them."""

    def __init__(self, source: BinaryIO, length: int) -> None:
        self._source, self._left = source, length

    def read(self, size: int) -> bytes:
        data = self._source.read(min(size, self._left))
        self._left -= len(data)
        return data


def _written(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Begin and end of every piece of a sparse file that is not a hole."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(fd, begin, os.SEEK_HOLE)
        yield begin, end


def make_disk(
    path: Path,
    hive: bytes | None,
    *,
    format: str = "qcow2",
    scheme: str = "mbr",
    firmware: str = "",
    cluster_size: int = 4096,
    separate_boot: bool = False,
    logical: bool = False,
    root: str = "Windows",
    kernel: bytes = b"MZ",
    files: Sequence[str] = (),
    logs: Mapping[str, bytes] | None = None,
    more: Sequence[WindowsTree] = (),
    size: int = 160 * MIB,
    heads: int = 255,
    nt5: bool = False,
) -> Path:
    """A whole disk with one Windows (and `more` on the same volume); without a hive the volume has no Windows.

    `firmware` follows from the scheme when it is not given: BIOS on MBR, UEFI on GPT. `separate_boot` puts the BIOS boot files on a
    volume of their own; a GPT disk for UEFI always has its ESP and the reserved partition. `logical` puts Windows inside an
    extended partition. `size` is that of the Windows volume.
    """
    firmware = firmware or ("uefi" if scheme == "gpt" else "bios")
    trees = [WindowsTree(hive, root, kernel, files, logs or {})] if hive is not None else []
    boot_files = () if firmware == "uefi" else NT5_FILES if nt5 else BIOS_FILES
    on_windows = () if separate_boot else boot_files
    with tempfile.TemporaryDirectory(prefix="disk-", dir=path.parent) as scratch:
        work = Path(scratch)
        volumes = _volumes(work, firmware, [] if not separate_boot else list(boot_files))
        main = work / "windows"
        make_windows_volume(main, size, [*trees, *more], on_windows, cluster_size=cluster_size, heads=heads)
        raw = work / "raw"
        _assemble(raw, scheme, volumes, main, size, logical)
        convert(raw, path, format)
    return path


def _volumes(work: Path, firmware: str, boot: list[str]) -> list[tuple[str, Path | None, int]]:
    """What comes before the Windows volume: (kind, file, size)."""
    found: list[tuple[str, Path | None, int]] = []
    if firmware == "uefi":
        make_esp(work / "esp", 40 * MIB)
        found += [("esp", work / "esp", 40 * MIB), ("reserved", None, 16 * MIB)]
    if boot:
        make_windows_volume(work / "boot", 32 * MIB, [], boot)
        found.append(("boot", work / "boot", 32 * MIB))
    return found


TYPES = {
    "mbr": {"esp": "ef", "reserved": "27", "boot": "7", "windows": "7"},
    "gpt": {"esp": ESP, "reserved": RESERVED, "boot": BASIC, "windows": BASIC},
}


def _assemble(raw: Path, scheme: str, before: Sequence[tuple[str, Path | None, int]], main: Path, size: int, logical: bool) -> None:
    """Puts the volumes behind a table; `scheme` none is the Windows volume alone."""
    if scheme == "none":
        main.rename(raw)
        return
    types = TYPES[scheme]
    slots = [Slot(types[kind], length, active=scheme == "mbr" and kind == "boot") for kind, _, length in before]
    if logical:
        slots.append(Slot("f", size + 3 * MIB))
    slots.append(Slot(types["windows"], size, active=scheme == "mbr" and not before and not logical))
    with raw.open("wb") as file:
        file.truncate(sum(slot.size + MIB for slot in slots if slot.type != "f") + 4 * MIB)
    places = write_table(raw, scheme, slots)
    for (start, _), volume in zip(places, [*(each for _, each, _ in before), main], strict=True):
        if volume is not None:
            place(raw, start, volume)


QEMU_FORMATS = {"vhd": "vpc", "vhd-fixed": "vpc"}
QEMU_OPTIONS = {"vhd-fixed": ("-o", "subformat=fixed,force_size=on"), "vhd": ("-o", "force_size=on")}


def convert(raw: Path, path: Path, format: str) -> None:
    """The finished disk in its image format."""
    if format == "raw":
        raw.rename(path)
        return
    run("qemu-img", "convert", "-f", "raw", "-O", QEMU_FORMATS.get(format, format), *QEMU_OPTIONS.get(format, ()), raw, path)
