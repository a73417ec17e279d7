# SPDX-License-Identifier: Apache-2.0
"""What the terminal can show and who looks at it: width, colours, marks, and the steps of long work as they happen.

Reads the environment and the streams; writes steps to standard error, and only when a person looks or asked for them. A listener
never raises: a closed terminal must not stop a repair.
"""

import os
import shutil
import sys
from contextlib import suppress
from typing import TextIO

from unxen.model.progress import Advanced, Event, Listener, Remark, StepBegun, StepEnded, nobody
from unxen.report.escape import visible
from unxen.report.layout import Style, Tone
from unxen.report.messages import step_title, tell_remark

WIDEST = 120
IN_A_PIPE = 80
_MARKS = "✓✗→·"
_TITLE_COLUMN = 44


def style_for(stream: TextIO) -> Style:
    """How to write to this stream."""
    person = _is_terminal(stream)
    width = min(shutil.get_terminal_size((IN_A_PIPE, 24)).columns, WIDEST) if person else IN_A_PIPE
    return Style(width=max(width, 40), colour=person and _colours_wanted(), unicode=_shows_marks(stream), hard=person)


def listener_for(stream: TextIO, *, quiet: bool, verbose: bool, prefix: str = "") -> Listener:
    """Who hears of the steps: a person at a terminal, anybody with --verbose, else nobody."""
    if quiet or not (verbose or _is_terminal(stream)):
        return nobody
    return Steps(stream, style_for(stream), rewrite=_is_terminal(stream), prefix=prefix)


class Steps:
    """One line per step: begun without a line break, ended with the time it took."""

    def __init__(self, stream: TextIO, style: Style, *, rewrite: bool, prefix: str) -> None:
        self._stream = stream
        self._style = style
        self._rewrite = rewrite
        self._prefix = f"{visible(prefix)}: " if prefix else ""
        self._open = False
        self._reached = -1

    def __call__(self, event: Event) -> None:
        """Tells one event."""
        with suppress(OSError, ValueError):
            self._tell(event)
            self._stream.flush()

    def close(self) -> None:
        """A step that was begun and never ended gets its line break."""
        with suppress(OSError, ValueError):
            if self._open:
                self._stream.write("\n")
                self._stream.flush()
        self._open = False

    def _tell(self, event: Event) -> None:
        if isinstance(event, StepBegun):
            self._begin(step_title(event.step))
        elif isinstance(event, StepEnded):
            self._end(step_title(event.step), event.seconds)
        elif isinstance(event, Advanced):
            self._advance(step_title(event.step), event.done, event.total)
        elif isinstance(event, Remark):
            self.close()
            self._stream.write(f"  {self._prefix}{tell_remark(event)}\n")

    def _begin(self, title: str) -> None:
        self.close()
        if self._rewrite:
            self._stream.write(f"  {self._prefix}{title} ...")
            self._open = True

    def _advance(self, title: str, done: int, total: int) -> None:
        """How far a long step has come, in hundredths, told when that changes."""
        reached = 100 * done // max(total, 1)
        if self._rewrite and reached != self._reached:
            self._stream.write(f"\r  {self._prefix}{title} ... {reached:3d} %")
            self._open, self._reached = True, reached

    def _end(self, title: str, seconds: float) -> None:
        back = "\r" if self._open else ""
        mark = self._style.mark("good") if self._rewrite else ""
        time = self._style.paint(f"{seconds:6.2f} s", Tone.QUIET)
        self._stream.write(f"{back}{mark or ' '} {self._prefix}{title:<{_TITLE_COLUMN}}{time}\n")
        self._open = False


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False


def _colours_wanted() -> bool:
    """https://no-color.org: any non-empty value counts."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def _shows_marks(stream: TextIO) -> bool:
    """Python writes UTF-8 in the C locale, and sets LC_CTYPE itself (PEP 538, 540): so neither tells about terminals."""
    names = ("LC_ALL", "LANG") if os.environ.get("LC_CTYPE") == "C.UTF-8" else ("LC_ALL", "LC_CTYPE", "LANG")
    chosen = next((os.environ[name] for name in names if os.environ.get(name)), "C")
    if chosen in ("C", "POSIX"):
        return False
    try:
        _MARKS.encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def stdout_must_not_fail_on_letters() -> None:
    """A guest's letter that the terminal cannot show becomes an escape instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
