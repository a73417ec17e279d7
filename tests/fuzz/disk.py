# SPDX-License-Identifier: Apache-2.0
"""A real disk with a Windows, bent in the places where its file system's numbers stand, and looked at as the parser's box does.

The input is a list of changes, [[offset, hexadecimal bytes], …], so that a finding can be read; offsets are those of one disk that
is made anew by each run, by the same programs.
"""

import json
import random
import tempfile
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path

from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel
from unit.hive_guest import tables
from unxen.model.facts import GuestFacts
from unxen.model.ids import DiskNumber, InstallationId
from unxen.probe.device import Device
from unxen.probe.look_check import check_answer
from unxen.probe.look_inside import look_inside
from unxen.probe.look_protocol import DiskSize, LookAnswer
from unxen.probe.wanted_names import wanted_from

from fuzz.mutation import bend

PIECE = 1024
SIZE = 24 * MIB


def make(path: Path) -> Path:
    """The disk, as a raw file."""
    hive = windows_hive("10", families=["xcpng"])
    return make_disk(path, hive, format="raw", files=driver_files(hive), size=SIZE, kernel=kernel((10, 0, 19041)))


@cache
def sound() -> bytes:
    """Its bytes."""
    with tempfile.TemporaryDirectory() as directory:
        return make(Path(directory) / "disk.raw").read_bytes()


@cache
def places() -> tuple[int, ...]:
    """Pieces that a look reads, but for the data of files: tables, records, indexes, and some of the hive."""
    data = sound()
    read: list[tuple[int, int]] = []

    def note(offset: int, length: int) -> bytes:
        read.append((offset, length))
        return data[offset : offset + length]

    device = Device(note, len(data))
    look_inside([(DiskNumber(1), device)], wanted_from(tables()))
    pieces = {at // PIECE for offset, length in read for at in range(offset, offset + length, PIECE)}
    return tuple(sorted(piece * PIECE for piece in pieces if data[piece * PIECE : piece * PIECE + PIECE].strip(b"\0")))


def bend_disk(_data: bytes, rng: random.Random) -> bytes:
    """Some changes to pieces that are read; records and index blocks are chosen often."""
    data, changes = sound(), []
    marked = [at for at in places() if data[at : at + 4] in (b"FILE", b"INDX", b"hbin") or at < 2 * PIECE]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.choice(marked if rng.random() < 0.7 else places())
        bent = bend(data[at : at + PIECE], rng)[:PIECE].ljust(PIECE, b"\0")
        changes.append([at, bent.hex()])
    return json.dumps(changes).encode()


def bent(data: bytes) -> Callable[[int, int], bytes]:
    """Reads the disk with its changes made."""
    whole, changes = sound(), [(at, bytes.fromhex(piece)) for at, piece in json.loads(data or b"[]")]

    def read(offset: int, length: int) -> bytes:
        made = bytearray(whole[offset : offset + length])
        for at, piece in changes:
            start, end = max(at, offset), min(at + len(piece), offset + len(made))
            if start < end:
                made[start - offset : end - offset] = piece[start - at : end - at]
        return bytes(made)

    return read


@lru_cache(maxsize=1)
def look_of(data: bytes) -> tuple[GuestFacts, dict[InstallationId, bytes]]:
    """The child's part, and the parent's check of it: whatever the disk, an answer of ours keeps our own rules."""
    device = Device(bent(data), len(sound()))
    facts, hives = look_inside([(DiskNumber(1), device)], wanted_from(tables()))
    check_answer([DiskSize(DiskNumber(1), len(sound()))], LookAnswer(facts, tuple(dict(hives))), [each for _, each in hives])
    assert device.bytes_read < 16 * len(sound())
    return facts, dict(hives)
