# SPDX-License-Identifier: Apache-2.0
"""A helper program may hang, babble or die: its answers are taken line by line, each bounded in time and size.

Reads one pipe. Whatever is no answer raises AnswerError with the problem in a few words; after that the pipe is of no more use.
"""

import json
import os
import select
import time
from collections.abc import Mapping

LONGEST_LINE = 1 << 16


class AnswerError(Exception):
    """No answer came, or what came is none."""


class AnswerLines:
    """JSON objects from a pipe, one a line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held = b""

    def next(self, seconds: float) -> Mapping[str, object]:
        """The next answer, at most `seconds` from now."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._held:
            if len(self._held) > LONGEST_LINE:
                raise AnswerError("babbled")
            self._held += self._more(deadline, seconds)
        line, _, self._held = self._held.partition(b"\n")
        return _decoded(line)

    def _more(self, deadline: float, seconds: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._descriptor], [], [], left)[0]:
            raise AnswerError(f"no answer after {seconds:.0f} s")
        if not (piece := os.read(self._descriptor, LONGEST_LINE)):
            raise AnswerError("ended without an answer")
        return piece


def _decoded(line: bytes) -> Mapping[str, object]:
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AnswerError("babbled") from error
    if type(answer) is not dict or not answer:
        raise AnswerError("babbled")
    return answer
