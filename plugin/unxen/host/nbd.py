# SPDX-License-Identifier: Apache-2.0
"""Disks are read through qemu-nbd in a box of its own, which is given exactly the files whose headers were checked.

Starts processes and leaves nothing behind, however it ends. QEMU gets every layer by descriptor and every format by name, so no
name from an image is ever followed. An image that another process holds is Refused(IN_USE).
"""

import fcntl
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.block_node import block_node
from unxen.host.process import Account, Process, await_end, find, stop
from unxen.host.sandbox import not_made, start_boxed
from unxen.model.disk import ImageChain, ImageLayer
from unxen.model.reason import ReasonKind

LISTEN_FD = 3
FIRST_FD = 10
MOST_CLIENTS = 4
GREETING = b"NBDMAGIC"
SECONDS_TO_START = 30.0
# Bytes of address space (qemu-nbd alone maps 0.2 GiB), seconds of processor, bytes of any file. Processes cannot be counted: QEMU's
# reads are done by threads.
LIMITS = "ulimit -v 4194304; ulimit -t 600; ulimit -f 0; ulimit -c 0"
# Says that it runs, waits for an answer (none comes when unxen is gone), and becomes the server. In bash: dash knows no descriptor
# above 9.
SCRIPT = """{limits}
export LISTEN_PID=$$ LISTEN_FDS=1
echo >&{line}
read -r go <&{line} || exit 1
exec "$@" {listen}<&{listener} {listener}<&- {line}<&-
"""

# QEMU says: Failed to get shared "write" lock. It also speaks of blocks.
CAUSES = (
    ('" lock', ReasonKind.IN_USE),
    ("Permission denied", ReasonKind.NO_PERMISSION),
)


class NbdServer:
    """A running server; every `connect` is one more client."""

    def __init__(self, chain: ImageChain, process: Process, address: str, names: Sequence[str]) -> None:
        self._chain = chain
        self._process = process
        self._address = address
        self._names = names

    def connect(self) -> socket.socket:
        """A connected socket on which the server has begun to speak."""
        client = socket.socket(socket.AF_UNIX)
        try:
            client.settimeout(SECONDS_TO_START)
            client.connect(self._address)
            heard = client.recv(len(GREETING), socket.MSG_PEEK)
            client.settimeout(None)
        except OSError as error:
            client.close()
            raise self._failed(str(error)) from error
        if heard != GREETING:
            client.close()
            raise self._failed("said nothing")
        return client

    def _failed(self, problem: str) -> Refused:
        """Why the server does not answer, from what it said before it went, with our names for the files."""
        await_end(self._process, 2.0)
        # The line about a lock is followed by one that only asks.
        cause = " ".join(stop(self._process).split()) or problem
        kind = next((kind for word, kind in CAUSES if word in cause), ReasonKind.IMAGE_DAMAGED)
        path = self._chain.disk.path
        for name, layer in zip(self._names, self._chain.layers, strict=True):
            if name in cause:
                cause, path = cause.replace(name, layer.path), layer.path
        return refused(kind, path, path=path, tool="qemu-nbd", cause=cause)


@contextmanager
def serve_read_only(chain: ImageChain, *, force_share: bool = False) -> Iterator[NbdServer]:
    """Serves a checked chain to readers until the block ends. `force_share` reads beside a machine that writes."""
    with ExitStack() as stack:
        listener, address = _listen(stack)
        images = [_high(open_layer(layer), stack) for layer in chain.layers]
        names = [f"/proc/self/fd/{fd}" for fd in images]
        node = block_node(chain.layers, names, force_share=force_share)
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        with theirs, listener:
            process = _start(json.dumps(node), listener.fileno(), theirs.fileno(), images)
        stack.callback(stop, process, 1.0)
        _let_go(ours, process)
        yield NbdServer(chain, process, address, names)


def _listen(stack: ExitStack) -> tuple[socket.socket, str]:
    """A listening socket that no path leads to: even a killed unxen leaves no file."""
    with tempfile.TemporaryDirectory(prefix="unxen-") as directory:
        path = Path(directory) / "nbd"
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(MOST_CLIENTS)
        inode = os.open(path, os.O_PATH | os.O_CLOEXEC)
    stack.callback(os.close, inode)
    return listener, f"/proc/self/fd/{inode}"


def _high(fd: int, stack: ExitStack) -> int:
    """The same file at a number that cannot be the listening socket's."""
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_FD)
    finally:
        os.close(fd)
    stack.callback(os.close, high)
    return high


def _start(node: str, listener: int, line: int, images: Sequence[int]) -> Process:
    # Looked for here, because inside the box its absence would look like a server that dies of a bad image.
    server = [find("qemu-nbd"), "--read-only", "--persistent", f"--shared={MOST_CLIENTS}", "json:" + node]
    script = SCRIPT.format(limits=LIMITS, line=line, listen=LISTEN_FD, listener=listener)
    command = ["bash", "-c", script, "bash", *server]
    return start_boxed(command, account=image_owner(images[0]), options=("--dev", "/dev"), pass_fds=(listener, line, *images))


def _let_go(line: socket.socket, process: Process) -> None:
    """Lets the box go on once it lives; from here on it dies with unxen."""
    try:
        line.settimeout(SECONDS_TO_START)
        alive = line.recv(1)
        line.sendall(b"go\n")
    except OSError:
        alive = b""
    line.close()
    if not alive:
        raise not_made(stop(process, 1.0))


def open_layer(layer: ImageLayer, flags: int = os.O_RDONLY) -> int:
    """A descriptor of the very file whose header was read; another file at the same path is Refused(PROBE_FAILED)."""
    try:
        fd = os.open(layer.path, flags | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise refused(ReasonKind.NO_PERMISSION, layer.path, cause=error.strerror) from error
    seen = os.fstat(fd)
    if (seen.st_dev, seen.st_ino) != (layer.device, layer.inode):
        os.close(fd)
        raise refused(ReasonKind.PROBE_FAILED, layer.path, cause="another file since its header was read")
    return fd


def image_owner(fd: int) -> Account:
    """Whose rights suffice to read an image: its owner's; ours when we are no root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    seen = os.fstat(fd)
    return Account(seen.st_uid, seen.st_gid)
