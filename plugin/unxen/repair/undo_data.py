# SPDX-License-Identifier: Apache-2.0
"""Before a disk is written its old bytes are kept, with a hash of every range before and after: the way back, and the proof for it.

Writes one qcow2 per disk in the state directory, durable when `keep` returns. Reads the disk and its overlay through the daemon.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from unxen.host.files import sync_directory, sync_file
from unxen.host.nbd_client import NbdClient, Range
from unxen.host.storage_daemon import BASE, StorageDaemon
from unxen.journal.records import RangeRole, RangeRow
from unxen.model.ids import DiskNumber

OVERLAY, OLD, BEFORE = "overlay", "undo", "before"


def digest(data: bytes) -> str:
    """SHA-256 as the journal has it."""
    return hashlib.sha256(data).hexdigest()


def keep(daemon: StorageDaemon, disk: DiskNumber, witnesses: Sequence[Range], place: Path) -> tuple[RangeRow, ...]:
    """Copies every range that the overlay holds from the disk to a new image at `place`; gives the rows for the journal."""
    with daemon.client("", depths=True) as above, daemon.client(BEFORE) as below:
        ranges = above.top_ranges()
        made = daemon.create_image(OLD, above.size, above_base=False)
        daemon.export(OLD, OLD, writable=True)
        with daemon.client(OLD) as old:
            rows = [_keep_range(above, below, old, disk, each) for each in ranges]
            old.flush()
        rows += [_witness(above, below, disk, each) for each in witnesses]
    daemon.unexport(OLD)
    daemon.close_image(OLD)
    sync_file(made)
    os.replace(made, place)  # noqa: PTH105
    sync_directory(place.parent)
    return tuple(rows)


def restore(daemon: StorageDaemon, target: NbdClient, rows: Sequence[RangeRow]) -> bool:
    """Writes the kept bytes of every written range to `target`; false, and nothing more written, when they are not what was kept.

    The image with the old bytes lies in the daemon's directory under the name `undo`.
    """
    daemon.open_image(OLD, above_base=False, read_only=True)
    daemon.export(OLD, OLD)
    try:
        with daemon.client(OLD) as old:
            written = [each for each in rows if each.role is RangeRole.WRITTEN]
            if any(digest(old.read(each.start, each.length)) != each.before for each in written):
                return False
            for each in written:
                target.write(each.start, old.read(each.start, each.length))
        target.flush()
        return True
    finally:
        daemon.unexport(OLD)
        daemon.close_image(OLD)


def unchanged_since(client: NbdClient, rows: Sequence[RangeRow]) -> bool:
    """Whether every range still is as the repair left it."""
    return all(digest(client.read(each.start, each.length)) == each.after for each in rows)


def open_before(daemon: StorageDaemon) -> None:
    """Serves the disk as it is below the overlay."""
    daemon.export(BASE, BEFORE)


def _keep_range(above: NbdClient, below: NbdClient, old: NbdClient, disk: DiskNumber, each: Range) -> RangeRow:
    before, after = below.read(each.start, each.length), above.read(each.start, each.length)
    old.write(each.start, before)
    return RangeRow(disk, RangeRole.WRITTEN, each.start, each.length, digest(before), digest(after))


def _witness(above: NbdClient, below: NbdClient, disk: DiskNumber, each: Range) -> RangeRow:
    before, after = below.read(each.start, each.length), above.read(each.start, each.length)
    return RangeRow(disk, RangeRole.WITNESS, each.start, each.length, digest(before), digest(after))
