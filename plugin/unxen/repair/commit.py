# SPDX-License-Identifier: Apache-2.0
"""The only place where a disk is written: the daemon merges the overlay into it, and whatever goes wrong is taken back or told.

Touches the disks held. Ends with every disk whole and new, or with every old byte back and Refused(ROLLED_BACK), or, when even that
fails, with Refused(COMMIT_UNFINISHED): then overlay, old bytes and journal stay as they are for a recovery.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.files import length_of, sync_directory, sync_file
from unxen.host.image_check import check_image
from unxen.host.storage_daemon import BASE, CommitFailed
from unxen.journal.records import RangeRow
from unxen.model.ids import ImageFormat
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.repair.holding import HeldDisk
from unxen.repair.undo_data import disk_is, write_back

LOG = logging.getLogger(__name__)
OVERLAY = "overlay"
ATTEMPTS = 2


@dataclass(frozen=True)
class Change:
    """What will be written to one disk, where its old bytes are, and the length that a raw file has to have before and after."""

    held: HeldDisk
    rows: tuple[RangeRow, ...]
    undo: Path
    length: int
    final_length: int | None = None


def commit(changes: Sequence[Change]) -> None:
    """Every overlay into its disk; the exports of all daemons are closed before."""
    begun: list[Change] = []
    try:
        for each in changes:
            begun.append(each)
            _merge(each)
            _check_whole(each)
    except (CommitFailed, Refused) as error:
        LOG.debug("commit failed", exc_info=True)
        _take_back(begun, _cause(error))


def _merge(change: Change) -> None:
    """Once more after an error: a full file system may have room again, and a second commit finishes what the first began."""
    daemon = change.held.daemon
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return daemon.commit(OVERLAY)
        except CommitFailed:
            if attempt == ATTEMPTS:
                raise
    return None


def _check_whole(change: Change) -> None:
    """The disk holds what the overlay showed, on stable storage, in an image without faults."""
    daemon = change.held.daemon
    daemon.close_image(OVERLAY)
    if change.final_length is None:
        daemon.reopen_base(read_only=True)
    else:
        _cut_to_length(change.held, change.final_length)
    if not disk_is(daemon, change.rows, after=True):
        raise CommitFailed("other bytes than written")
    _settle(change)


def _settle(change: Change) -> None:
    if change.held.disk.remote is not None:
        change.held.daemon.sync_remote()
        return
    path = Path(change.held.disk.path)
    sync_file(path)
    sync_directory(path.parent)
    if change.held.disk.format is ImageFormat.QCOW2:
        check_image(change.held.chain)


def _take_back(changes: Sequence[Change], cause: str) -> None:
    """All old bytes back on every disk that may have new ones."""
    path = changes[-1].held.disk.path
    try:
        for each in changes:
            _restore(each)
    except (Refused, OSError) as error:
        LOG.debug("old bytes could not be written back", exc_info=True)
        raise refused(ReasonKind.COMMIT_UNFINISHED, path, cause=cause) from error
    raise refused(ReasonKind.ROLLED_BACK, path, cause=cause)


def _restore(change: Change) -> None:
    try:
        _write_old_bytes(change)
    except (Refused, OSError):
        # On a file system that became read-only nothing can be written back, and nothing was written before.
        if not _is_untouched(change):
            raise


def _write_old_bytes(change: Change) -> None:
    daemon = change.held.daemon
    daemon.unexport_all()
    daemon.close_all()
    daemon.open_base(read_only=False)
    daemon.export(BASE, writable=True)
    with daemon.client() as client:
        write_back(daemon, client, change.rows, change.undo)
    daemon.unexport()
    _cut_to_length(change.held, change.length)
    if not disk_is(daemon, change.rows, after=False):
        raise refused(ReasonKind.COMMIT_UNFINISHED, change.held.disk.path)
    _settle(change)


def _is_untouched(change: Change) -> bool:
    """The commit failed before its first byte: content, length and the image's own books are as they were."""
    daemon, held = change.held.daemon, change.held
    daemon.unexport_all()
    daemon.close_all()
    daemon.open_base(read_only=True)
    if held.disk.format is ImageFormat.QCOW2:
        check_image(held.chain)
    cut = held.disk.format is ImageFormat.RAW and held.disk.remote is None
    same_length = not cut or length_of(held.disk.path) == change.length
    return same_length and disk_is(daemon, change.rows, after=False)


def _cut_to_length(held: HeldDisk, length: int) -> None:
    """A raw file as long as it was: QEMU makes one of an odd length longer when it writes the last sector. Reopens it read-only."""
    held.daemon.close_image(BASE)
    path = held.disk.path
    cut = held.disk.format is ImageFormat.RAW and held.disk.remote is None
    if cut and Path(path).is_file() and length_of(path) > length:
        os.truncate(path, length)
    held.daemon.open_base(read_only=True)


def _cause(error: CommitFailed | Refused) -> str:
    if isinstance(error, CommitFailed):
        return error.cause
    return error.first.detail("cause") or error.first.kind.value
