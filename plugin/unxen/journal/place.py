# SPDX-License-Identifier: Apache-2.0
"""Where the journal lies, whether there is one, and why it cannot be had; asked by those who start quickly, so SQLite stays away.

Reads file states only. "Not there" is an answer, "must not be looked at" is Refused(NO_PERMISSION).
"""

import os
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.model.reason import ReasonKind
from unxen.model.settings import STATE_SETTING

FILE = "journal.sqlite3"
WORK = "work"
"""Below the state directory: a directory for each disk in hand, with its overlay until the journal says that it is not needed."""


def has_journal(state_dir: Path) -> bool:
    """Whether anything was ever recorded there; asking makes nothing."""
    path = state_dir / FILE
    try:
        os.stat(path)  # noqa: PTH116 (Path.exists would call absent what must not be looked at)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise refused(ReasonKind.NO_PERMISSION, str(path), cause=error.strerror) from error
    return True


def has_overlays(state_dir: Path) -> bool:
    """Whether a disk may be half written: the overlay of one outlives its commit. What cannot be looked at counts as yes."""
    try:
        return any(each.suffix == ".qcow2" for place in (state_dir / WORK).iterdir() if place.is_dir() for each in place.iterdir())
    except FileNotFoundError:
        return False
    except OSError:
        return True


def reason_of(path: Path, error: Exception) -> Refused:
    """What kept the journal from being read or written."""
    if isinstance(error, PermissionError):
        return refused(ReasonKind.NO_PERMISSION, str(path), cause=error.strerror)
    kind = ReasonKind.NO_SPACE if "full" in str(error) else ReasonKind.TOOL_FAILED
    return refused(kind, str(path), tool="sqlite3", cause=error, setting=STATE_SETTING)
