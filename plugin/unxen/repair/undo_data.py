# SPDX-License-Identifier: Apache-2.0
"""Before a disk is written its old bytes are kept, with a hash of every range before and after: the way back, and the proof for it.

Writes one qcow2 per disk in the state directory, durable when `keep` returns, and on the way back the ranges that it holds. Reads
the disk and its overlay through the daemon. Old bytes that are not what was kept are Refused(NO_UNDO_DATA), before anything is
written.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.files import private_directory, remove, sync_directory, sync_file
from unxen.host.nbd_client import NbdClient, Range
from unxen.host.storage_daemon import BASE, StorageDaemon
from unxen.journal.records import RangeRole, RangeRow
from unxen.model.ids import DiskNumber
from unxen.model.reason import ReasonKind

UNDO = "undo"
OLD, BEFORE = "undo", "before"
STEP = 64 << 10


def digest(data: bytes) -> str:
    """SHA-256 as the journal has it."""
    return hashlib.sha256(data).hexdigest()


def place_of(state_dir: Path, entry: int, disk: DiskNumber) -> Path:
    """Where the old bytes of one disk of an entry lie."""
    return private_directory(state_dir / UNDO) / f"{entry}-{disk}.qcow2"


def keep(daemon: StorageDaemon, disk: DiskNumber, witnesses: Sequence[Range], place: Path) -> tuple[RangeRow, ...]:
    """Copies every range that the overlay holds from the disk to a new image at `place`; gives the rows for the journal.

    The overlay is the unnamed export, the disk below it the one named `before`.
    """
    with daemon.client(depths=True) as above, daemon.client(BEFORE) as below:
        made = daemon.create_image(OLD, above.size, above_base=False)
        with exported(daemon, OLD, OLD, writable=True), daemon.client(OLD) as old:
            rows = [_keep_range(above, below, old, disk, each) for each in above.top_ranges()]
            old.flush()
        rows += [_row(above, below, disk, RangeRole.WITNESS, each) for each in witnesses]
    daemon.close_image(OLD)
    sync_file(made)
    os.replace(made, place)  # noqa: PTH105
    sync_directory(made.parent)
    sync_directory(place.parent)
    return tuple(rows)


def write_back(daemon: StorageDaemon, target: NbdClient, rows: Sequence[RangeRow], place: Path) -> None:
    """Writes the kept bytes where `target` differs from them, so that no new room is needed, and makes them durable."""
    with kept_bytes(daemon, place) as old:
        if any(digest(old.read(each.start, each.length)) != each.before for each in rows):
            raise refused(ReasonKind.NO_UNDO_DATA, daemon.path, cause="damaged", path=place)
        for each in rows:
            _copy_differing(old, target, each)
        target.flush()


@contextmanager
def kept_bytes(daemon: StorageDaemon, place: Path) -> Iterator[NbdClient]:
    """What was kept, for reading."""
    daemon.take_in(place, OLD)
    daemon.open_image(OLD, above_base=False, read_only=True)
    try:
        with exported(daemon, OLD, OLD), daemon.client(OLD) as old:
            yield old
    finally:
        daemon.close_image(OLD)
        remove(daemon.directory / f"{OLD}.qcow2")


def all_as(client: NbdClient, rows: Sequence[RangeRow], *, after: bool) -> bool:
    """Whether every range is as the repair left it, or as it was before."""
    return all(digest(client.read(each.start, each.length)) == (each.after if after else each.before) for each in rows)


def disk_is(daemon: StorageDaemon, rows: Sequence[RangeRow], *, after: bool) -> bool:
    """The same, for the disk itself without overlay; BASE must not be exported as `before`."""
    with exported(daemon, BASE, BEFORE), daemon.client(BEFORE) as client:
        return all_as(client, rows, after=after)


@contextmanager
def exported(daemon: StorageDaemon, node: str, name: str, *, writable: bool = False) -> Iterator[None]:
    """A node is served while the block runs; what went wrong in the block is not hidden by an end that fails, too."""
    daemon.export(node, name, writable=writable)
    try:
        yield
    except BaseException:
        with suppress(Refused):
            daemon.unexport(name)
        raise
    daemon.unexport(name)


def _keep_range(above: NbdClient, below: NbdClient, old: NbdClient, disk: DiskNumber, each: Range) -> RangeRow:
    before = below.read(each.start, each.length)
    old.write(each.start, before)
    return RangeRow(disk, RangeRole.WRITTEN, each.start, each.length, digest(before), digest(above.read(each.start, each.length)))


def _row(above: NbdClient, below: NbdClient, disk: DiskNumber, role: RangeRole, each: Range) -> RangeRow:
    before, after = below.read(each.start, each.length), above.read(each.start, each.length)
    return RangeRow(disk, role, each.start, each.length, digest(before), digest(after))


def _copy_differing(source: NbdClient, target: NbdClient, each: RangeRow) -> None:
    for at in range(each.start, each.start + each.length, STEP):
        length = min(STEP, each.start + each.length - at)
        data = source.read(at, length)
        if data != target.read(at, length):
            target.write(at, data)
