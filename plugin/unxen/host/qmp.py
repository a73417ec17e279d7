# SPDX-License-Identifier: Apache-2.0
"""QEMU programs are told what to do by one JSON document per line; this is that conversation, bounded in size and time.

Touches only the socket it is given. An error that QEMU reports is QmpError, which the caller turns into a reason; silence, babble
and a closed connection are QmpError too, and the conversation is over.
"""

import json
import socket
import time
from typing import Any

LONGEST_LINE = 8 << 20
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
        sock.settimeout(ANSWER_SECONDS)
        self._socket = sock
        self._reader = sock.makefile("rb")
        self._document("greeting")
        self.call("qmp_capabilities")

    def call(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Runs one command and gives what it returns; events on the way are nobody's concern here."""
        question = json.dumps({"execute": command, "arguments": arguments or {}}).encode() + b"\n"
        try:
            self._socket.sendall(question)
        except OSError as error:
            raise QmpError(command, str(error)) from error
        while True:
            document = self._document(command)
            if "error" in document:
                raise QmpError(command, str(document["error"].get("desc", "")))
            if "return" in document:
                return document["return"]

    def finish_job(self, job: str, seconds: float) -> None:
        """Waits for a job to end, completes it when it asks for that, and clears it away; QmpError with its own error."""
        deadline, pause = time.monotonic() + seconds, POLL_FIRST
        while (row := self._job(job))["status"] != "concluded":
            if time.monotonic() > deadline:
                raise QmpError(job, f"no end after {seconds:.0f} s")
            if row["status"] == "ready":
                self.call("job-complete", {"id": job})
            time.sleep(pause)
            pause = min(2 * pause, POLL_MOST)
        self.call("job-dismiss", {"id": job})
        if row.get("error"):
            raise QmpError(job, str(row["error"]))

    def _job(self, job: str) -> dict[str, Any]:
        rows = self.call("query-jobs")
        found: dict[str, Any] | None = next((row for row in rows if row.get("id") == job), None)
        if found is None:
            raise QmpError(job, "the job is gone")
        return found

    def _document(self, command: str) -> dict[str, Any]:
        try:
            line = self._reader.readline(LONGEST_LINE)
            document = json.loads(line) if line else None
        except (OSError, ValueError, RecursionError) as error:
            raise QmpError(command, str(error)) from error
        if not isinstance(document, dict):
            raise QmpError(command, "the program is gone")
        return document

    def close(self) -> None:
        """Ends the conversation."""
        self._reader.close()
        self._socket.close()
