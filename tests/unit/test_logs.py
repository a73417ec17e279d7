# SPDX-License-Identifier: Apache-2.0
"""What is logged of strings that others chose stays in its line and steers nothing; and all of unxen logs that way."""

import io
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import unxen
from unxen.cli.logs import log_to
from unxen.errors import refused
from unxen.model.reason import ReasonKind

EVIL = "a\x1b[31m\nFORGED \u202e\ud800"


@contextmanager
def logged(stream: TextIO | None = None) -> Iterator[TextIO]:
    """The root logger as a program begins with it, alone: what pytest captures of a lone surrogate cannot go to another process."""
    stream, root = stream or io.StringIO(), logging.getLogger()
    level, handlers = root.level, root.handlers
    root.handlers = []
    try:
        log_to(stream, logging.DEBUG, "%(name)s: %(message)s")
        yield stream
    finally:
        root.handlers = handlers
        root.setLevel(level)


def harmless(text: str) -> None:
    assert all(line.isprintable() and not line.strip().startswith("FORGED") for line in text.split("\n"))


def test_a_message_stays_in_its_line() -> None:
    with logged() as stream:
        logging.getLogger("x").warning("%s and %s", EVIL, "ü")
    assert stream.getvalue() == "x: a\\x1b[31m\\x0aFORGED \\u202e\\ud800 and ü\n"


def test_a_trace_keeps_its_own_lines_and_no_others() -> None:
    with logged() as stream:
        try:
            try:
                raise ValueError(EVIL)
            except ValueError as error:
                raise refused(ReasonKind.HIVE_DAMAGED, EVIL) from error
        except Exception:
            logging.getLogger("x").debug("refused", exc_info=True)
    harmless(stream.getvalue())
    assert "ValueError: a\\x1b[31m\\x0aFORGED" in stream.getvalue()
    assert re.search(r'^  File ".*test_logs.py", line \d+, in ', stream.getvalue(), re.MULTILINE)


def test_journal_of_systemd_learns_how_urgent_each_line_is(tmp_path: Path, monkeypatch) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        seen = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{seen.st_dev}:{seen.st_ino}")
        with logged(stream):
            logging.getLogger("x").info("looked at %s", EVIL)
            try:
                raise ValueError(EVIL)
            except ValueError:
                logging.getLogger("x").warning("lost", exc_info=True)
        stream.seek(0)
        lines = stream.read().splitlines()
    assert lines[0].startswith("<6>x: looked at a\\x1b")
    assert len(lines) > 3
    assert all(line.startswith("<4>") for line in lines[1:])


def test_another_stream_than_the_journals_gets_no_priorities(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    with (tmp_path / "log").open("w+") as stream, logged(stream):
        logging.getLogger("x").info("plain")
        stream.seek(0)
        assert stream.read() == "x: plain\n"


def test_nobody_logs_past_it() -> None:
    found = [
        path
        for path in Path(unxen.__path__[0]).rglob("*.py")
        if re.search(r"basicConfig|StreamHandler|addHandler", path.read_text()) and path.name != "logs.py"
    ]
    assert found == []
