# SPDX-License-Identifier: Apache-2.0
"""Old bytes are kept so long that somebody can change his mind, and not for ever.

Touches the journal and the files that it names in the state directory. What cannot be removed stays and is tried again next time.
"""

import time
from contextlib import suppress
from pathlib import Path

from unxen.host.files import remove
from unxen.journal.records import DONE_STATES
from unxen.journal.store import Journal

DAY = 86400.0


def purge(journal: Journal, days: int, now: float | None = None) -> tuple[int, ...]:
    """Removes the undo data of entries that are done since more than `days`; gives their numbers."""
    limit = (time.time() if now is None else now) - days * DAY
    expired = [each for each in journal.in_states(DONE_STATES) if each.changed < limit]
    gone = []
    for entry in expired:
        for disk in entry.disks:
            if disk.undo:
                with suppress(OSError):
                    remove(Path(disk.undo))
                    journal.set_files(entry.id, disk.number, undo="")
                    gone.append(entry.id)
    return tuple(dict.fromkeys(gone))
