# SPDX-License-Identifier: Apache-2.0
"""The steps of long work for programs that wait for it: one JSON object a line on standard error, while it happens.

Writes to the stream it is given. Never raises: a reader that is gone must not stop a repair. Each line is written at once, so lines
of guests that are worked on side by side do not mix.
"""

import json
import time
from contextlib import suppress
from typing import Any, TextIO

from unxen.model.progress import Advanced, Event, Remark, StepBegun, StepEnded
from unxen.report.escape import visible
from unxen.report.messages import step_title, tell_remark


class JsonLines:
    """The listener of one guest; `target` stands in every line."""

    def __init__(self, stream: TextIO, target: tuple[str, ...]) -> None:
        self._stream = stream
        self._target = [visible(each) for each in target]

    def __call__(self, event: Event) -> None:
        """Tells one event."""
        line = {"at": round(time.time(), 3), "target": self._target, **_fields(event)}
        with suppress(OSError, ValueError):
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()


def _fields(event: Event) -> dict[str, Any]:
    if isinstance(event, StepBegun):
        return {"event": "begun", "step": event.step.value, "text": step_title(event.step)}
    if isinstance(event, StepEnded):
        return {"event": "ended", "step": event.step.value, "text": step_title(event.step), "seconds": round(event.seconds, 4)}
    if isinstance(event, Advanced):
        return {"event": "advanced", "step": event.step.value, "done": event.done, "total": event.total}
    assert isinstance(event, Remark)
    return {"event": "remark", "kind": event.kind, "text": tell_remark(event)}
