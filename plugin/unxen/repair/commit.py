# SPDX-License-Identifier: Apache-2.0
"""The one place where a disk is written: a verified overlay is merged into it, or its old bytes go back.

Touches the disk through its daemon, and afterwards its file. Whether it went well is a value; Refused(COMMIT_UNFINISHED) when
neither way could be finished, and then overlay and undo data stay.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.files import sync_directory, sync_file
from unxen.host.process import run
from unxen.host.storage_daemon import BASE, CommitFailed, StorageDaemon
from unxen.journal.records import RangeRow
from unxen.model.ids import ImageFormat
from unxen.model.reason import ReasonKind
from unxen.repair.holding import HeldDisk
from unxen.repair.undo_data import OVERLAY, restore

CHECK_SECONDS = 3600.0
ROLLBACK = "rollback"
# qemu-img check: 3 is leaked clusters, which cost room and no data.
SOUND = (0, 3)


def commit(held: HeldDisk) -> str:
    """Merges the overlay; gives an empty text, or why the disk could not be written after a second try."""
    for _ in range(2):
        try:
            held.daemon.commit(OVERLAY)
        except CommitFailed as error:
            cause = error.cause
        else:
            return ""
    return cause


def take_back(held: HeldDisk, rows: Sequence[RangeRow]) -> None:
    """Writes all old bytes of a disk whose commit failed or whose neighbour's did."""
    daemon = held.daemon
    try:
        with suppress(Refused):
            daemon.close_image(OVERLAY)
        daemon.reopen_base(read_only=False)
        daemon.export(BASE, ROLLBACK, writable=True)
        with daemon.client(ROLLBACK) as client:
            done = restore(daemon, client, rows)
        daemon.unexport(ROLLBACK)
    except Refused as error:
        raise refused(ReasonKind.COMMIT_UNFINISHED, daemon.path, cause=error.first.detail("cause")) from error
    if not done:
        raise refused(ReasonKind.COMMIT_UNFINISHED, daemon.path, cause="the old bytes are damaged")


def settle(held: HeldDisk) -> None:
    """Everything that was written is on stable storage, and a qcow2 is sound."""
    path = Path(held.disk.path)
    sync_file(path)
    sync_directory(path.parent)
    if held.disk.format is ImageFormat.QCOW2:
        run(["qemu-img", "check", "-q", "-f", "qcow2", "--", str(path.absolute())], timeout=CHECK_SECONDS, good=SOUND)


def finish(daemon: StorageDaemon) -> None:
    """Closes the disk's images in order, so that nothing is left in a cache."""
    daemon.close_image(OVERLAY)
    daemon.quit()
