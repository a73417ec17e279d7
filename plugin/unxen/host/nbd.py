# SPDX-License-Identifier: Apache-2.0
"""Disks are read through qemu-nbd in a box of its own, which is given exactly the files whose headers were checked.

Starts processes and leaves nothing behind, however it ends. QEMU gets every layer by descriptor and every format by name, so no
name from an image is ever followed. An image that another process holds is Refused(IN_USE).
"""

import fcntl
import json
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from unxen.errors import Refused, refused
from unxen.host.block_node import block_node
from unxen.host.detached import detached, detached_device
from unxen.host.ledger import spending
from unxen.host.process import Account, Process, ask_inside, await_end, find, stop
from unxen.host.sandbox import DEVICES, BoxMode, box_mode, most_threads, not_made, service_account, start_boxed
from unxen.model.disk import ImageChain, ImageLayer
from unxen.model.progress import Part
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass

LISTEN_FD = 3
FIRST_FD = 10
MOST_CLIENTS = 4
GREETING = b"NBDMAGIC"
SECONDS_TO_START = 30.0
SECONDS_TO_LEAVE = 5.0
# Bytes of address space (qemu-nbd alone maps 0.2 GiB), seconds of processor, bytes of any file.
LIMITS = "ulimit -v 4194304; ulimit -t 600; ulimit -f 0; ulimit -c 0"
# QEMU reads by up to 64 threads for every image.
MOST_THREADS = 1024
# Says that it runs, waits for an answer (none comes when unxen is gone), and becomes the server. In bash: dash knows no descriptor
# above 9.
SCRIPT = """{limits}; {threads}
{checks}
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

    def __init__(self, chain: ImageChain, process: Process, address: str, served: "Served") -> None:
        self._chain = chain
        self._process = process
        self._address = address
        self._served = served

    @property
    def address(self) -> Path:
        """Where it listens, for programs that we start."""
        return Path(self._address.replace("/self/", f"/{os.getpid()}/"))

    @spending(Part.SERVER)
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
        kind = next((kind for word, kind in self._served.causes if word in cause), self._served.otherwise)
        path = self._chain.disk.path
        for name, layer in zip(self._served.names, self._chain.layers, strict=False):
            if name in cause:
                cause, path = cause.replace(name, layer.path), layer.path
        return refused(kind, path, path=path, tool="qemu-nbd", cause=cause)


@dataclass(frozen=True)
class Served:
    """What a server gets: the description of the image, the descriptors that it names, whose rights it has, and what surrounds it.

    `names` are the layers' names in the box, `script` what it does before the server starts. `causes` turn QEMU's words into
    reasons, `otherwise` is what all others mean. `objects` are what QEMU makes before it opens the image, told without any secret.
    """

    node: dict[str, Any]
    descriptors: tuple[int, ...]
    account: Account
    names: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    script: str = ""
    connects: bool = False
    writable: bool = False
    causes: tuple[tuple[str, ReasonKind], ...] = CAUSES
    otherwise: ReasonKind = ReasonKind.IMAGE_DAMAGED


def serve_read_only(chain: ImageChain, *, force_share: bool = False) -> AbstractContextManager[NbdServer]:
    """Serves a checked chain to readers until the block ends. `force_share` reads beside a machine that writes."""
    if chain.disk.remote is not None:
        from unxen.host.remote import serve_remote  # lazily: most disks are files

        return serve_remote(chain)
    return _serve_files(chain, force_share)


@contextmanager
def _serve_files(chain: ImageChain, force_share: bool) -> Iterator[NbdServer]:
    with ExitStack() as stack:
        images = _read_only_chain(chain, stack)
        bound = [_bound(fd, f"/layer/{number}") for number, fd in enumerate(images)]
        names = tuple(each.name for each in bound)
        served = Served(
            node=block_node(chain.layers, names, chain.disk.window, force_share=force_share),
            descriptors=tuple(images),
            account=image_owner(images[0]),
            names=names,
            options=tuple(word for each in bound for word in each.options),
            script="\n".join(each.script for each in bound),
        )
        yield stack.enter_context(serve(chain, served))


@contextmanager
def serve(chain: ImageChain, served: Served, place: Path | None = None) -> Iterator[NbdServer]:
    """A server in a box of its own until the block ends; `place` is where it listens for others than us, too."""
    with ExitStack() as stack:
        listener, address = _listen(stack) if place is None else _listen_at(stack, place, served.account)
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        with ExitStack() as handed:
            # The box puts the listening socket at a number of its own, which none of these may have.
            process = _start(served, high(listener.detach(), handed), high(theirs.detach(), handed))
        stack.callback(stop, process, 1.0)
        if served.connects:
            # A client of Ceph that was killed keeps its lock, and whoever writes next waits half a minute for it (seen with 16.2).
            stack.callback(ask_inside, process, SECONDS_TO_LEAVE)
        _let_go(ours, process)
        yield NbdServer(chain, process, address, served)


def _listen_at(stack: ExitStack, place: Path, user: Account) -> tuple[socket.socket, str]:
    """A listening socket with a name, in a directory that is ours alone; `user` may connect."""
    place.unlink(missing_ok=True)
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(place))
    stack.callback(place.unlink, missing_ok=True)
    if os.geteuid() == 0:
        os.chown(place, user.uid, user.gid)
    listener.listen(MOST_CLIENTS)
    return listener, str(place)


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


def high(fd: int, stack: ExitStack) -> int:
    """The same file at a number that cannot be the listening socket's."""
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_FD)
    finally:
        os.close(fd)
    stack.callback(os.close, high)
    return high


@dataclass(frozen=True)
class _Bound:
    """An image in the box: its name there, what bubblewrap needs for it, and what the script has to do before the server starts."""

    name: str
    options: tuple[str, ...] = ()
    script: str = ""


def _bound(fd: int, inside: str) -> _Bound:
    """An ordinary user's box must not open its user's image anew: it gets it bound, and lets the descriptor go when both agree."""
    name = f"/proc/self/fd/{fd}"
    if box_mode() is not BoxMode.OWN or not stat.S_ISREG(os.fstat(fd).st_mode):
        return _Bound(name)
    return _Bound(inside, ("--ro-bind", os.readlink(name), inside), f"[ {inside} -ef {name} ] || exit 1; exec {fd}<&-")  # noqa: PTH115


def _start(served: Served, listener: int, line: int) -> Process:
    mode = () if served.writable else ("--read-only",)
    # Looked for here, because inside the box its absence would look like a server that dies of a bad image.
    objects = [word for each in served.objects for word in ("--object", each)]
    server = [find("qemu-nbd"), *mode, *objects, "--persistent", f"--shared={MOST_CLIENTS}", "json:" + json.dumps(served.node)]
    threads = most_threads(served.account, MOST_THREADS)
    script = SCRIPT.format(limits=LIMITS, threads=threads, line=line, listen=LISTEN_FD, listener=listener, checks=served.script)
    command = ["bash", "-c", script, "bash", *server]
    passed = (listener, line, *served.descriptors)
    options = (*DEVICES, *served.options)
    # QEMU opens /dev/null for writing to learn which locks there are, and without an answer it heeds nobody's (seen with 7.2).
    return start_boxed(command, account=served.account, options=options, pass_fds=passed, writes=True, connects=served.connects)


@spending(Part.SERVER)
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


def read_only_layer(layer: ImageLayer, reader: Account | None = None) -> int:
    """The same, which root's boxes cannot open anew for writing, though they may run as its owner.

    `reader` is whom the box runs as, who alone may read a block device then; without it that is the device's owner.
    """
    fd = open_layer(layer)
    if box_mode() is BoxMode.OWN:
        return fd
    try:
        seen = os.fstat(fd)
        return detached(fd) if stat.S_ISREG(seen.st_mode) else detached_device(seen.st_rdev, reader or image_owner(fd))
    finally:
        os.close(fd)


def _read_only_chain(chain: ImageChain, stack: ExitStack) -> list[int]:
    """All layers, for a box that runs as the owner of the first; devices alone are read with hardly any rights."""
    only_devices = all(Path(each.path).is_block_device() for each in chain.layers)
    first = high(read_only_layer(chain.layers[0], service_account() if only_devices else None), stack)
    return [first, *(high(read_only_layer(each, image_owner(first)), stack) for each in chain.layers[1:])]


def image_owner(fd: int) -> Account:
    """Whose rights suffice to read an image: its owner's; ours when we are no root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    seen = os.fstat(fd)
    return Account(seen.st_uid, seen.st_gid)
