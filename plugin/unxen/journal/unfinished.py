# SPDX-License-Identifier: Apache-2.0
"""Whether a disk is a mix of old and new must be answered before every start of a machine, quickly, and never wrongly with no.

Reads the journal and writes nothing, not even a missing one. What cannot be read is Refused, for no answer is not the answer no.
SQLite is loaded only where there is a journal at all.
"""

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from unxen.host.locks import disk_key
from unxen.journal.place import FILE, has_journal, reason_of
from unxen.model.reason import Reason, ReasonKind, reason

# Columns that every version of the file has, so that a file of an older or newer unxen is an answer as well.
QUESTION = """select entries.id, disks.key, disks.path from disks join entries on entries.id = disks.entry
    where entries.state = 'committing' order by entries.id desc"""
WAIT_SECONDS = 10.0


def unfinished_commits(state_dir: Path, paths: Sequence[str]) -> tuple[Reason, ...]:
    """The disks among `paths` whose commit was begun and not ended; Refused when that cannot be known.

    A disk is known by its file and by its path: the number of a device may be another one after the host has been down.
    """
    if not has_journal(state_dir):
        return ()
    keys = {key: path for path in paths if (key := _key(path))}
    real = {os.path.realpath(path): path for path in paths}
    found = [(entry, keys.get(key) or real.get(os.path.realpath(path), "")) for entry, key, path in _rows(state_dir / FILE)]
    return tuple(reason(ReasonKind.COMMIT_UNFINISHED, path, entry=entry) for entry, path in dict.fromkeys(found) if path)


def every_unfinished_commit(state_dir: Path) -> tuple[Reason, ...]:
    """All disks whose commit was begun and not ended, the newest first; Refused when that cannot be known."""
    rows = _rows(state_dir / FILE) if has_journal(state_dir) else []
    return tuple(reason(ReasonKind.COMMIT_UNFINISHED, path, entry=entry) for entry, _, path in rows)


def _key(path: str) -> str:
    """The disk's name in the journal; empty for what is not there, which may still be known by its path."""
    try:
        return disk_key(path)
    except OSError:
        return ""


def _rows(path: Path) -> list[tuple[int, str, str]]:
    """Read-only first; a crash in the middle of a write leaves a second file, which only who may write can take back."""
    import sqlite3

    try:
        return _ask(f"file:{quote(str(path))}?mode=ro")
    except sqlite3.Error:
        pass
    try:
        return _ask(f"file:{quote(str(path))}?mode=rw")
    except sqlite3.Error as error:
        raise reason_of(path, error) from error


def _ask(name: str) -> list[tuple[int, str, str]]:
    import sqlite3

    with closing(sqlite3.connect(name, timeout=WAIT_SECONDS, uri=True)) as connection:
        (version,) = connection.execute("pragma user_version").fetchone()
        # Without a version nothing was ever recorded: the very first write was cut off, or it is being made.
        return connection.execute(QUESTION).fetchall() if version else []
