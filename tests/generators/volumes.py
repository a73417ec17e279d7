# SPDX-License-Identifier: Apache-2.0
"""Bends real NTFS volumes into the states that Windows leaves: dirty, logged, fragmented; and makes hives of any size for them.

Writes only to the volume file it is given. Finds records by the program's own decoder, whose answers other readers confirm
elsewhere (ntfs-3g, libfsntfs, The Sleuth Kit).
"""

import struct
from collections.abc import Sequence
from functools import reduce
from operator import xor
from pathlib import Path
from random import Random

from unxen.probe.device import file_device
from unxen.probe.mft_record import STRIDE
from unxen.probe.ntfs import NtfsVolume


def pattern_hive(size: int, *, primary: int = 7, secondary: int = 7, seed: int = 1) -> bytes:
    """A file whose base block is a hive's, right in every number, before bytes that no two places share."""
    head = struct.pack("<4sIIQIIIIIII64s", b"regf", primary, secondary, 0, 1, 5, 0, 1, 32, size - 4096, 1, b"")
    head = head.ljust(508, b"\0")
    head += struct.pack("<I", reduce(xor, struct.unpack("<127I", head)))
    return head.ljust(4096, b"\0") + Random(seed).randbytes(size - 4096)


def patch(volume: Path, at: int, data: bytes) -> None:
    """Overwrites bytes of a volume."""
    with volume.open("r+b") as file:
        file.seek(at)
        file.write(data)


def open_volume(volume: Path) -> NtfsVolume:
    """The volume, opened by the program's own reader."""
    device = file_device(volume)
    return NtfsVolume(device, 0, device.size)


def record_place(volume: Path, path: str | int) -> int:
    """Where a file's record lies; a number is the record itself."""
    opened = open_volume(volume)
    if isinstance(path, int):
        return opened.mft.place(path)
    entry = opened.find(path)
    assert entry is not None, path
    return opened.mft.place(entry.number)


def change_attribute(volume: Path, path: str | int, kind: int, at: int, data: bytes) -> None:
    """Overwrites bytes of the first attribute of a kind in a file's record; `at` counts from the attribute's start."""
    place = record_place(volume, path)
    raw = bytearray(volume.read_bytes()[place : place + 1024])
    where = struct.unpack_from("<H", raw, 20)[0]
    while struct.unpack_from("<I", raw, where)[0] != kind:
        where += struct.unpack_from("<I", raw, where + 4)[0]
    span = range(where + at, where + at + len(data))
    assert all(each % STRIDE < STRIDE - 2 for each in span), "the bytes lie where a fixup stands"
    patch(volume, place + where + at, data)


def set_volume_dirty(volume: Path) -> None:
    """Sets bit 0 of $VOLUME_INFORMATION's flags, in $MFT only."""
    change_attribute(volume, 3, 0x70, 24 + 10, b"\x01\x00")


def restart_page(*, lsn: int = 100, clean: bool, version: tuple[int, int] = (1, 1), magic: bytes = b"RSTR") -> bytes:
    """A page as Windows begins its $LogFile with: one client, which is in use unless the log is clean."""
    page = bytearray(4096)
    major, minor = version
    struct.pack_into("<4sHHQIIHhh", page, 0, magic, 30, 9, lsn, 4096, 4096, 48, minor, major)
    free, in_use, flags = (0, 0xFFFF, 2) if clean else (0xFFFF, 0, 0)
    struct.pack_into("<QHHHH", page, 48, lsn, 1, free, in_use, flags)
    for index in range(1, 9):
        page[30 + 2 * index : 32 + 2 * index] = page[512 * index - 2 : 512 * index]
        page[512 * index - 2 : 512 * index] = b"\x05\x00"
    page[30:32] = b"\x05\x00"
    return bytes(page)


def write_log(volume: Path, pages: Sequence[bytes]) -> None:
    """Puts pages at the beginning of $LogFile."""
    opened = open_volume(volume)
    (extent, *_) = opened.mft.file_record(2).runs
    patch(volume, extent.cluster * opened.boot.cluster_size, b"".join(pages))


def write_backwards(path: Path, data: bytes, piece: int) -> None:
    """Writes a file of a mounted volume from its end to its beginning, by which ntfs-3g puts nearly every piece elsewhere."""
    with path.open("wb", buffering=0) as file:
        file.truncate(len(data))
        for at in reversed(range(0, len(data), piece)):
            file.seek(at)
            file.write(data[at : at + piece])
