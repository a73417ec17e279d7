# SPDX-License-Identifier: Apache-2.0
"""A log is read on terminals and by programs that take a line for an event, so no guest's string may steer one or begin another.

Writes to the stream given. Messages and errors are escaped like reports; only the line breaks of a trace itself stay. To systemd's
journal each line says how urgent it is (sd-daemon(3)), for the journal keeps every line by itself.
"""

import logging
import os
import traceback
from contextlib import suppress
from typing import TextIO

from unxen.report.escape import visible


class _Escaping(logging.Formatter):
    """logging's own, but for what it writes of strings that it did not make."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """The line of a record."""
        return visible(super().formatMessage(record))

    def formatException(self, ei: object) -> str:  # noqa: N802  # logging's name
        """The trace of an error: places in our code, and what the errors say, each in one line."""
        if not isinstance(ei, tuple) or ei[1] is None:
            return ""
        pieces = traceback.TracebackException(*ei).format()
        return "\n".join(line for piece in pieces for line in _lines(piece.strip("\n")))


class _ForJournal(_Escaping):
    """Each line behind its priority as syslog counts them: debug 7, info 6, warning 4, error 3, critical 2."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's lines."""
        urgent = next(priority for level, priority in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{urgent}>{line}" for line in super().format(record).split("\n"))


_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))


def _goes_to_journal(stream: TextIO) -> bool:
    """Whether systemd connected this stream to its journal: systemd.exec(5), JOURNAL_STREAM."""
    with suppress(OSError, ValueError):
        seen = os.fstat(stream.fileno())
        return os.environ.get("JOURNAL_STREAM") == f"{seen.st_dev}:{seen.st_ino}"
    return False


def _lines(piece: str) -> list[str]:
    """A piece of a trace: of a place its two or three lines, of an error's text always one."""
    return piece.split("\n") if piece.startswith("  File ") else [visible(piece)]


def log_to(stream: TextIO, level: int, form: str) -> None:
    """From now on, everything that is logged; nothing where somebody else has seen to that already."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_ForJournal(form) if _goes_to_journal(stream) else _Escaping(form))
    logging.basicConfig(level=level, handlers=[handler])
