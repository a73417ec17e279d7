# SPDX-License-Identifier: Apache-2.0
"""QEMU programs are told what to do by one JSON document per line; this is that conversation, bounded in size and time.

Touches only the socket it is given. An error that QEMU reports is QmpError, which the caller turns into a reason; silence, babble
and a closed connection are QmpError too, and the conversation is over.
"""

import json
import socket
import time
from typing import Any

LONGEST_LINE, PIECE = 8 << 20, 1 << 16
ANSWER_SECONDS = 60.0
POLL_FIRST, POLL_MOST = 0.001, 0.05


class QmpError(Exception):
    """QEMU said no, or nothing; `description` is its own sentence."""

    def __init__(self, command: str, description: str) -> None:
        super().__init__(f"{command}: {description}")
        self.command = command
        self.description = description


class Qmp:
    """One connection, negotiated."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._held = b""
        self._document("greeting", time.monotonic() + ANSWER_SECONDS)
        self.call("qmp_capabilities")

    def call(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Runs one command and gives what it returns; events on the way are nobody's concern here."""
        question = json.dumps({"execute": command, "arguments": arguments or {}}).encode() + b"\n"
        deadline = time.monotonic() + ANSWER_SECONDS
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.sendall(question)
        except OSError as error:
            raise QmpError(command, str(error)) from error
        while True:
            document = self._document(command, deadline)
            if "error" in document:
                raise QmpError(command, _description(document["error"]))
            if "return" in document:
                return document["return"]

    def finish_job(self, job: str, seconds: float) -> None:
        """Waits for a job to end, completes it when it asks for that, and clears it away; QmpError with its own error."""
        deadline, pause = time.monotonic() + seconds, POLL_FIRST
        while (row := self._job(job)).get("status") != "concluded":
            if time.monotonic() > deadline:
                raise QmpError(job, f"no end after {seconds:.0f} s")
            if row.get("status") == "ready":
                self.call("job-complete", {"id": job})
            time.sleep(pause)
            pause = min(2 * pause, POLL_MOST)
        self.call("job-dismiss", {"id": job})
        if row.get("error"):
            raise QmpError(job, str(row["error"]))

    def _job(self, job: str) -> dict[str, Any]:
        rows = self.call("query-jobs")
        listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        found: dict[str, Any] | None = next((row for row in listed if row.get("id") == job), None)
        if found is None:
            raise QmpError(job, "the job is gone")
        return found

    def _document(self, command: str, deadline: float) -> dict[str, Any]:
        try:
            document = json.loads(self._line(deadline))
        except (OSError, ValueError, RecursionError) as error:
            raise QmpError(command, str(error)) from error
        if not isinstance(document, dict):
            raise QmpError(command, "babble")
        return document

    def _line(self, deadline: float) -> bytes:
        """The next line, whole before the deadline: a program that was taken over may trickle."""
        pieces = [self._held]
        while b"\n" not in pieces[-1]:
            if sum(map(len, pieces)) > LONGEST_LINE:
                raise ValueError("a line without end")
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            pieces.append(self._socket.recv(PIECE))
            if not pieces[-1]:
                raise ValueError("the program is gone")
            if time.monotonic() > deadline:
                raise ValueError("no answer in time")
        line, _, self._held = b"".join(pieces).partition(b"\n")
        return line

    def close(self) -> None:
        """Ends the conversation."""
        self._socket.close()


def _description(error: Any) -> str:
    return str(error.get("desc", "")) if isinstance(error, dict) else "babble"
