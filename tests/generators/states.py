# SPDX-License-Identifier: Apache-2.0
"""The states in which disks arrive, each made on a real NTFS volume of a Windows that would otherwise be repaired.

Every function bends one volume (a plain file) and nothing else; a test asks for them by name.
"""

import os
import struct
import uuid
from collections.abc import Callable
from pathlib import Path

from generators.disks import MIB, SECTOR, mounted, place, write_file
from generators.hives import windows_hive
from generators.journals import Action, journal
from generators.volumes import change_attribute, open_volume, patch, restart_page, set_volume_dirty, write_log

HIVE = "Windows/System32/config/SYSTEM"
HIVE_PATH = "\\" + HIVE.replace("/", "\\")
DATA, BITMAP = 0x80, 6
COMPRESSED, WOF = 0x800, 0x80000017
PAGE = 4096


def sleeping(signature: bytes) -> Callable[[Path], None]:
    """A hibernation file that begins so."""

    def bend(volume: Path) -> None:
        with mounted(volume) as top:
            (top / "hiberfil.sys").write_bytes(signature.ljust(2 * PAGE, b"\0"))

    return bend


def logged(**page: object) -> Callable[[Path], None]:
    """A journal whose two restart pages say so."""
    return lambda volume: write_log(volume, [restart_page(**page)] * 2)  # type: ignore[arg-type]


def at_work_elsewhere(volume: Path) -> None:
    """The open journal of a running Windows whose records change a far cluster."""
    write_log(volume, [journal([Action(0x1B, 0x01), Action(0x08, 0x08, (5000,), bytes(64)), Action(0x1D, data=bytes(500))])])


def at_work_on_the_hive(volume: Path) -> None:
    """The same, but a record gives the hive new sizes."""
    at_work_on(volume, HIVE_PATH)


def at_work_on(volume: Path, path: str) -> None:
    """The same for any file."""
    opened = open_volume(volume)
    entry = opened.find(path)
    assert entry is not None
    cluster = opened.mft.place(entry.number) // opened.boot.cluster_size
    write_log(volume, [journal([Action(0x1B, 0x01), Action(0x0B, 0x0B, (cluster,), bytes(24))])])


def unreadable_log(volume: Path) -> None:
    """A journal without a restart page."""
    write_log(volume, [bytes(PAGE)] * 32)


def rewritten(change: Callable[[Path, bytes], None], *options: str) -> Callable[[Path], None]:
    """The hive written anew in another way: `change` gets the place and the bytes."""

    def bend(volume: Path) -> None:
        with mounted(volume, *options) as top:
            path = top / HIVE
            hive = path.read_bytes()
            path.unlink()
            change(path, hive)

    return bend


def compress(path: Path, hive: bytes) -> None:
    """NTFS compression, by the directory's attribute."""
    attributes = int.from_bytes(os.getxattr(path.parent, "system.ntfs_attrib_be")) | COMPRESSED
    os.setxattr(path.parent, "system.ntfs_attrib_be", attributes.to_bytes(4))
    path.write_bytes(hive)


def make_sparse(path: Path, hive: bytes) -> None:
    """A hole in the middle, as large as the zeros that are there."""
    with path.open("wb") as file:
        file.write(hive[:PAGE])
        file.seek(len(hive) - PAGE)
        file.write(hive[-PAGE:])


def overlay(path: Path, hive: bytes) -> None:
    """The reparse point of CompactOS."""
    path.write_bytes(hive)
    os.setxattr(path, "system.ntfs_reparse_data", WOF.to_bytes(4, "little") + b"\x10\x00\x00\x00" + bytes(16))


def shorten(path: Path, hive: bytes) -> None:
    """A file so small that it lies in its own record."""
    path.write_bytes(hive[:300])


def encrypt(volume: Path) -> None:
    """The flag of EFS."""
    change_attribute(volume, HIVE_PATH, DATA, 12, b"\x00\x40")


def with_files(*paths: str) -> Callable[[Path], None]:
    """More files on the volume."""

    def bend(volume: Path) -> None:
        with mounted(volume) as top:
            for path in paths:
                write_file(top, path)

    return bend


def free_a_cluster(volume: Path) -> None:
    """$Bitmap that does not count one cluster of the hive as used."""
    opened = open_volume(volume)
    entry = opened.find(HIVE_PATH)
    assert entry is not None
    run = opened.record(entry).runs[0]
    (bits, *_) = opened.mft.file_record(BITMAP).runs
    at = bits.cluster * opened.boot.cluster_size + run.cluster // 8
    patch(volume, at, bytes([volume.read_bytes()[at] & ~(1 << run.cluster % 8)]))


def replace_a_page(volume: Path) -> None:
    """Something else where the hive's first bin was."""
    opened = open_volume(volume)
    entry = opened.find(HIVE_PATH)
    assert entry is not None
    run = opened.record(entry).runs[0]
    at = run.cluster * opened.boot.cluster_size + PAGE
    patch(volume, at, b"INDX" + volume.read_bytes()[at + 4 : at + PAGE])


def all_of(*bends: Callable[[Path], None]) -> Callable[[Path], None]:
    """One after the other."""

    def bend(volume: Path) -> None:
        for each in bends:
            each(volume)

    return bend


dirty = set_volume_dirty


def dynamic_disk(path: Path, volume: Path) -> None:
    """An MBR disk of Windows' own logical disk manager: one partition of type 0x42 over all, PRIVHEAD in sector 6.

    Layout: documentation of linux-ntfs on LDM; all numbers are big-endian.
    """
    size = volume.stat().st_size
    rows = struct.pack("<B3xB3xII", 0x80, 0x42, MIB // SECTOR, size // SECTOR)
    with path.open("wb") as file:
        file.truncate(size + 2 * MIB)
        file.seek(446)
        file.write(rows.ljust(64, b"\0") + b"\x55\xaa")
        file.seek(6 * SECTOR)
        file.write(_private_header(size))
    place(path, MIB, volume)


def _private_header(size: int) -> bytes:
    names = b"".join(str(uuid.UUID(int=number)).encode().ljust(64, b"\0") for number in (1, 2, 3))
    head = struct.pack(">8sIHH", b"PRIVHEAD", 0, 2, 12) + bytes(16) + struct.pack(">QQQ", 0, 2047, 2048)
    places = struct.pack(">QQQQ", MIB // SECTOR, size // SECTOR, size // SECTOR + 2048, 2048)
    return (head + names + b"TestDg0".ljust(32, b"\0") + bytes(11) + places).ljust(SECTOR, b"\0")


def upgrading(volume: Path) -> None:
    """Setup at work: its directory, and a hive that says so."""
    setup = "".join(("[Setup]\n", '"SystemSetupInProgress"=dword:1\n', '"SetupType"=dword:1\n'))
    hive = windows_hive("10", families=["xcpng"], text=setup)
    with mounted(volume) as top:
        (top / HIVE).write_bytes(hive)
        write_file(top, "$WINDOWS.~BT/Sources/setup.exe")
