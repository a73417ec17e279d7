# SPDX-License-Identifier: Apache-2.0
"""A log is read on terminals and by programs that take a line for an event, so no guest's string may steer one or begin another.

Writes to the stream given. Messages and errors are escaped like reports; only the line breaks of a trace itself stay.
"""

import logging
import traceback
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


def _lines(piece: str) -> list[str]:
    """A piece of a trace: of a place its two or three lines, of an error's text always one."""
    return piece.split("\n") if piece.startswith("  File ") else [visible(piece)]


def log_to(stream: TextIO, level: int, form: str) -> None:
    """From now on, everything that is logged; nothing where somebody else has seen to that already."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Escaping(form))
    logging.basicConfig(level=level, handlers=[handler])
