# SPDX-License-Identifier: Apache-2.0
"""The program inside the parser's box: it answers one question after another until the parent hangs up.

Started as a script with the code's directory, a socket's number, limits, which it sets on itself before it reads anything, and the
operation to load ahead of the first question. It has nothing but its descriptors. Its first frame is READY, before any guest's
byte. A Refused inside becomes an answer; any other failure ends it, which the parent refuses.
"""

import gc
import importlib
import resource
import socket
import sys
import time
from typing import Any

OPERATIONS = {
    "header": "unxen.probe.image_header:answer",
    "load": "unxen.probe.loading:answer",
    "partitions": "unxen.probe.look_inside:answer_partitions",
    "look": "unxen.probe.look_inside:answer",
    "footprint": "unxen.probe.footprint:answer",
    "standing": "unxen.probe.registry_answers:standing",
    "edit": "unxen.probe.registry_answers:edit",
    "prove": "unxen.probe.registry_answers:prove",
    "audit": "unxen.probe.registry_answers:audit",
    "xva-open": "unxen.platforms.xen.xva_box:open_export",
    "xva-next": "unxen.platforms.xen.xva_box:next_blocks",
}
MOST_OPEN_FILES = 512
"""A disk may have 64 installations; each hive is held with two descriptors (a mapping keeps its own), as read and as edited."""
LIBRARIES = "/usr/lib/python3/dist-packages"
"""Where the distribution keeps libnbd, hivex and the others. What else somebody installed is not loaded beside a guest's bytes."""


def main(argv: list[str]) -> int:
    """Serve until the other end is closed."""
    code, number, memory, file_bytes, cpu_seconds = argv[1], *map(int, argv[2:6])
    sys.path.insert(0, code)
    sys.path.append(LIBRARIES)
    _limit(memory, file_bytes, cpu_seconds)
    # What is made here for one answer lives until the end of it: looking for rings in it took a fifth of an audit's time.
    gc.disable()
    sock = socket.socket(fileno=number)
    return _serve(sock, ahead=argv[6])


def _limit(memory: int, file_bytes: int, cpu_seconds: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_NOFILE, MOST_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(kind, (value, value))


def _operation(name: str) -> Any:
    module, function = OPERATIONS[name].split(":")
    return getattr(importlib.import_module(module), function)


def _serve(sock: socket.socket, ahead: str) -> int:
    from unxen.errors import Refused
    from unxen.host import ledger
    from unxen.host.box_protocol import MOST_FDS, READY, Request, receive, send
    from unxen.model.codec import encode
    from unxen.model.progress import Part

    timed = {"look": Part.BOX_LOOK, "edit": Part.BOX_EDIT, "audit": Part.BOX_AUDIT, "prove": Part.BOX_PROOF}
    send(sock, READY)
    if ahead:
        _operation(ahead)
    ledger.add(Part.BOX_START, time.process_time())

    def answer_one() -> bool:
        """One question; what it brought and what was made of it is let go before the next is waited for."""
        frame = receive(sock, most_fds=MOST_FDS)
        if frame is None:
            return False
        operation = frame.document["operation"]
        request = Request(operation, frame.document["payload"], frame.blobs, frame.fds)
        try:
            with ledger.spending(timed.get(operation, Part.BOX_START)):
                response = _operation(operation)(request)
        except Refused as error:
            send(sock, {"refused": encode(error.reasons)})
        else:
            send(sock, {"answer": response.payload, "spent": encode(ledger.take())}, response.blobs)
        return True

    while answer_one():
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
