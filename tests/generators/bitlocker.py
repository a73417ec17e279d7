# SPDX-License-Identifier: Apache-2.0
"""Puts a Windows behind BitLocker: volumes that Windows encrypted are given a new NTFS, through their own encryption.

Starts one appliance for a whole disk. Needs the corpus; the volumes' own content was cut out by those who published them.
"""

import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unxen.model.ids import DiskNumber, Offset, PartitionNumber
from unxen.model.volume_facts import Content, Partition
from unxen.repair.delivery.unlocked import LockedDisk, unlocked

from generators.disks import BASIC, MIB, Slot, WindowsTree, make_windows_volume, place, write_table

ARCHIVE = "bitlocker-cryptsetup/bitlk-images.tar.xz"
PASSWORD = "anaconda"
# Windows keeps its own areas from 34 MB on; a file system that ends before them needs no knowledge of them.
NTFS_SIZE = 24 * MIB
PIECE = 64 << 10


def encrypted_disk(path: Path, archive: Path, names: Sequence[str], tree: WindowsTree) -> Path:
    """A GPT disk with one encrypted volume per name, and the same Windows in each."""
    scratch = path.with_suffix(".scratch")
    scratch.mkdir()
    images = _extracted(archive, names, scratch)
    with path.open("wb") as file:
        file.truncate(sum(each.stat().st_size + MIB for each in images) + 4 * MIB)
    places = write_table(path, "gpt", [Slot(BASIC, each.stat().st_size) for each in images])
    for (start, _), image in zip(places, images, strict=True):
        place(path, start, image)
    volume = scratch / "ntfs"
    make_windows_volume(volume, NTFS_SIZE, [tree], ())
    _fill(path, places, volume.read_bytes(), scratch)
    subprocess.run(["rm", "-r", scratch], check=True)
    return path


def _extracted(archive: Path, names: Sequence[str], scratch: Path) -> list[Path]:
    with tarfile.open(archive, "r|xz") as members:
        for member in members:
            name = Path(member.name).stem
            if member.name.endswith(".img") and name in names:
                (scratch / name).write_bytes(b"")
                source = members.extractfile(member)
                assert source is not None
                with (scratch / name).open("wb") as target:
                    target.truncate(member.size)
                    for at in range(0, member.size, MIB):
                        piece = source.read(MIB)
                        if any(piece):
                            target.seek(at)
                            target.write(piece)
    return [scratch / name for name in names]


def _fill(path: Path, places: Sequence[tuple[int, int]], content: bytes, scratch: Path) -> None:
    size = path.stat().st_size
    rows = tuple(
        Partition(DiskNumber(1), PartitionNumber(number), BASIC, Offset(start), length, False, Content.BITLOCKER)
        for number, (start, length) in enumerate(places, 1)
    )
    with _served(path, scratch / "nbd") as socket:
        locked = LockedDisk(DiskNumber(1), str(path), socket, size, rows, writable=True)
        with unlocked([locked], [PASSWORD]) as view, view.client(DiskNumber(1)) as client:
            assert len(view.opened) == len(rows), view.opened
            for row in rows:
                for at in range(0, len(content), PIECE):
                    if any(content[at : at + PIECE]):
                        client.write(row.start + at, content[at : at + PIECE])
            client.flush()


@contextmanager
def _served(path: Path, socket: Path) -> Iterator[Path]:
    server = subprocess.Popen(["qemu-nbd", "-f", "raw", "-k", socket, "--persistent", path])
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield socket
    finally:
        server.terminate()
        server.wait()
