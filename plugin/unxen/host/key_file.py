# SPDX-License-Identifier: Apache-2.0
"""Keys of encrypted volumes come in a file, never on a command line, which every user of a host can read.

Reads the one file it is given. Refused(KEY_FILE) when it cannot be read, others may read it, or no key is in it. What it reads goes
into no message.
"""

import os
import re
import stat

from unxen.errors import Refused, refused
from unxen.model.reason import ReasonKind

RECOVERY_KEY = re.compile(r"\b(?:\d{6}-){7}\d{6}\b")
LARGEST, MOST_KEYS = 64 << 10, 16


def read_keys(path: str) -> tuple[str, ...]:
    """The keys in a file: every recovery key that stands in it, as in the file that Windows saves; else each line is a password."""
    text = _text(path, _bytes(path))
    found = RECOVERY_KEY.findall(text) or [line for line in text.splitlines() if line]
    if not found:
        raise _unfit(path, "empty")
    if len(found) > MOST_KEYS:
        raise _unfit(path, "many")
    return tuple(dict.fromkeys(found))


def _bytes(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            _check(path, os.fstat(descriptor))
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise _unfit(path, error.strerror or "unreadable") from error
    if len(data) > LARGEST:
        raise _unfit(path, "large")
    return data


def _check(path: str, seen: os.stat_result) -> None:
    """A file that another user may read or could have written is no place for a key; a pipe is its reader's alone."""
    if stat.S_ISFIFO(seen.st_mode):
        return
    if not stat.S_ISREG(seen.st_mode):
        raise _unfit(path, "kind")
    if seen.st_uid not in (0, os.geteuid()):
        raise _unfit(path, "owner")
    if seen.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _unfit(path, "mode")


def _text(path: str, data: bytes) -> str:
    """Windows saves recovery keys as UTF-16."""
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unfit(path, "encoding") from error


def _unfit(path: str, problem: str) -> Refused:
    return refused(ReasonKind.KEY_FILE, path, problem=problem)
