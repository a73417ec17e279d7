# SPDX-License-Identifier: Apache-2.0
"""Old bytes are kept so long that somebody can change his mind, and neither for ever nor without bound.

Touches the journal and the files that it names in the state directory. What an unfinished repair or undo may still need is never
removed; what cannot be removed stays and is tried again next time.
"""

import logging
import time
from contextlib import suppress
from pathlib import Path

from unxen.host.files import remove
from unxen.journal.records import DONE_STATES, OPEN_STATES, Entry
from unxen.journal.store import Journal

LOG = logging.getLogger(__name__)
DAY = 86400.0
BLOCK = 512
"""What st_blocks counts in."""


def purge(journal: Journal, days: int, most_bytes: int, now: float | None = None) -> tuple[int, ...]:
    """Removes the undo data of entries done since more than `days`, then the oldest until at most `most_bytes` are left.

    Gives the entries' numbers, the oldest first.
    """
    limit = (time.time() if now is None else now) - days * DAY
    needed = {each.undoes for each in journal.in_states(OPEN_STATES)}
    kept = [each for each in journal.in_states(DONE_STATES) if each.id not in needed and any(disk.undo for disk in each.disks)]
    kept.sort(key=lambda each: (each.changed, each.id))
    room = sum(map(_size, kept))
    gone = []
    for entry in kept:
        if entry.changed >= limit and room <= most_bytes:
            break
        size = _size(entry)
        LOG.debug("undo data of entry %d goes: %d bytes of %d", entry.id, size, room)
        room -= size
        if _remove(journal, entry):
            gone.append(entry.id)
    return tuple(gone)


def _size(entry: Entry) -> int:
    """Bytes that its undo data takes on the file system."""
    found = 0
    for disk in entry.disks:
        with suppress(OSError):
            found += Path(disk.undo).stat().st_blocks * BLOCK if disk.undo else 0
    return found


def _remove(journal: Journal, entry: Entry) -> bool:
    """Whether anything of it is gone."""
    gone = False
    for disk in entry.disks:
        if disk.undo:
            with suppress(OSError):
                remove(Path(disk.undo))
                journal.set_files(entry.id, disk.number, undo="")
                gone = True
    return gone
