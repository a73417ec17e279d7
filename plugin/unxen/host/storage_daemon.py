# SPDX-License-Identifier: Apache-2.0
"""One qemu-storage-daemon has a disk open from lock to end, so there is no moment in which a machine could start between two tools.

Starts the daemon in a box of its own with the rights of the image's owner; it dies with us. The disk's own file is opened read-only
until a commit: opening a qcow2 for writing changes it. Every layer is a descriptor and every format a name: nothing that a header
says is followed. What QEMU refuses becomes a reason; an image that another process holds is Refused(IN_USE).
"""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from unxen.errors import Refused, refused
from unxen.host.block_node import DRIVERS, FORMAT_OPTIONS, block_node
from unxen.host.ledger import spending
from unxen.host.nbd import CAUSES, MOST_THREADS, NbdServer, image_owner, open_layer, read_only_layer
from unxen.host.nbd_client import NbdClient, client_on, nbd_client
from unxen.host.process import Account, Process, find, run, stop
from unxen.host.qmp import Qmp, QmpError
from unxen.host.sandbox import DEVICES, Place, lent, most_threads, not_made, service_account, start_boxed
from unxen.model.disk import ImageChain
from unxen.model.progress import Part
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass

BASE = "base"
ASIDE = "aside"
PROBE = "size"
COMMIT_SECONDS = 3600.0
CREATE_SECONDS = 60.0
SOCKET, REMOTE_SOCKET = "nbd", "remote"
POLL_SECONDS = 0.001
REQUEST_SECONDS = 60.0
START_SECONDS = 30.0
# Says that it runs and waits for an answer (none comes when unxen is gone) before it becomes the daemon.
SCRIPT = '{limits}; {threads}; echo >&{line}; read -r go <&{line} || exit 1; exec "$@"'
# Bytes of address space (tables of a disk of many terabytes are held in caches of a fixed size), seconds of processor.
LIMITS = "ulimit -v 8388608; ulimit -t 7200; ulimit -c 0"


class CommitFailed(Exception):
    """The block job ended with an error; the disk may hold a part of the overlay."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True)
class _Files:
    """What the daemon is given: the layers of the disk, as descriptors that it inherits, our directory, and whose rights it has.

    A server's image has no layers here: `bridge` has it, and listens in our directory.
    """

    layers: tuple[int, ...]
    directory: int
    work: Place
    owner: Account
    bridge: NbdServer | None = None


class StorageDaemon:
    """A running daemon with one disk, the images beside it, and exports of any of them."""

    def __init__(self, chain: ImageChain, process: Process, qmp: Qmp, directory: Path, files: _Files) -> None:
        self._chain = chain
        self._process = process
        self._qmp = qmp
        self._files = files
        self._owner = files.owner
        self._exports: list[str] = []
        self._images: list[str] = []
        self.directory = directory

    @property
    def path(self) -> str:
        """The disk as it was given."""
        return self._chain.disk.path

    @property
    def address(self) -> Path:
        """Where its NBD server listens; short enough for a socket's address wherever the directory is."""
        return Path(f"/proc/{os.getpid()}/fd/{self._files.directory}/{SOCKET}")

    def open_base(self, *, read_only: bool) -> None:
        """The disk's own file with what is below it."""
        node = self._base_node()
        node["file"] |= {"node-name": f"{BASE}-file", "auto-read-only": True}
        self._add(BASE, {**node, "node-name": BASE, "read-only": read_only})

    def open_base_aside(self) -> None:
        """The disk's own file for reading where its format has to write first: that goes into a file beside it, and is lost."""
        node = self._base_node()
        place = self._create(ASIDE, file_length(self._files.layers[0]), [])
        file = {"driver": "file", "filename": f"{self._files.work.path}/{place.name}"}
        node["file"] = {"driver": "qcow2", "file": file, "backing": {**node["file"], "read-only": True}}
        self._add(BASE, {**node, "node-name": BASE, "read-only": False})

    def sync_remote(self) -> None:
        """What was written to a server's image is on that server's stable storage."""
        if self._files.bridge is not None:
            with client_on(self._files.bridge.connect(), self.path) as client:
                client.flush()

    def _base_node(self) -> dict[str, Any]:
        if self._files.bridge is not None:
            server = {"type": "unix", "path": f"{self._files.work.path}/{REMOTE_SOCKET}"}
            return {"driver": "raw", "file": {"driver": "nbd", "server": server}}
        names = [f"/proc/self/fd/{fd}" for fd in self._files.layers]
        node = block_node(self._chain.layers, names, self._chain.disk.window)
        # Options that a command line knows and this protocol does not; `check_size` catches what they would have changed.
        for option in FORMAT_OPTIONS.get(self._chain.disk.format, {}):
            del node[option]
        return node

    def check_size(self) -> int:
        """Bytes of the disk as its header said; Refused(NOT_WRITABLE_KIND) when the daemon sees another size."""
        self.export(BASE, PROBE)
        with self.client(PROBE) as client:
            size = client.size
        self.unexport(PROBE)
        if size != self._chain.virtual_size:
            expected = self._chain.virtual_size
            raise refused(
                ReasonKind.NOT_WRITABLE_KIND, self.path, format=self._chain.disk.format.value, expected=expected, found=size
            )
        return size

    def reopen_base(self, *, read_only: bool) -> None:
        """Closes and opens the disk's own file, nothing being above it; what was written is on its way to the disk then."""
        self.close_image(BASE)
        self.open_base(read_only=read_only)

    def create_image(self, name: str, size: int, *, above_base: bool) -> Path:
        """A new empty qcow2 in our directory, open as the node `name`, above the disk or by itself."""
        below = self.path if self._chain.disk.remote else os.path.realpath(self.path)
        backing = ["-u", "-b", below, "-F", DRIVERS[self._chain.disk.format]] if above_base else []
        path = self._create(name, size, backing)
        self.open_image(name, above_base=above_base)
        return path

    def _create(self, name: str, size: int, options: Sequence[str]) -> Path:
        path = self.directory / f"{name}.qcow2"
        run(["qemu-img", "create", "-q", "-f", "qcow2", *options, "--", str(path), str(size)], timeout=CREATE_SECONDS)
        self._hand_over(path)
        return path

    def adopt(self, name: str) -> None:
        """An image that another process left in our directory belongs to this daemon's user from now on."""
        self._hand_over(self.directory / f"{name}.qcow2")

    def open_image(self, name: str, *, above_base: bool, read_only: bool = False) -> None:
        """A qcow2 that lies in our directory, as the node `name`."""
        file = {"driver": "file", "filename": f"{self._files.work.path}/{name}.qcow2"}
        backing = BASE if above_base else None
        self._add(name, {"driver": "qcow2", "node-name": name, "read-only": read_only, "backing": backing, "file": file})

    def take_in(self, file: Path, name: str) -> None:
        """An image of ours as `name` in the daemon's directory: a second name for the same file."""
        place = self.directory / f"{name}.qcow2"
        place.unlink(missing_ok=True)
        os.link(file, place)
        self._hand_over(place)

    def close_image(self, name: str) -> None:
        """The node goes; its file stays."""
        self._call("blockdev-del", {"node-name": name})
        self._images.remove(name)

    def close_all(self) -> None:
        """No image is open any more, the disk's own file neither."""
        for name in reversed(tuple(self._images)):
            self.close_image(name)

    def export(self, node: str, name: str = "", *, writable: bool = False) -> None:
        """Serves a node to NBD clients; the name is what they ask for, empty by default."""
        options = {"type": "nbd", "id": f"export-{name}", "node-name": node, "name": name}
        self._call("block-export-add", {**options, "writable": writable, "allocation-depth": True})
        self._exports.append(name)

    def is_exported(self, name: str = "") -> bool:
        """Whether something is served under that name."""
        return name in self._exports

    def unexport(self, name: str = "") -> None:
        """No client reads or writes there any more; Refused(TOOL_FAILED) when a request has no end."""
        self._call("block-export-del", {"id": f"export-{name}", "mode": "hard"})
        self._exports.remove(name)
        deadline = time.monotonic() + REQUEST_SECONDS
        # The reply comes before the last client is gone; the node is free when its export is listed no more.
        while any(row["id"] == f"export-{name}" for row in self._call("query-block-exports")):
            if time.monotonic() > deadline:
                # Seen with QEMU 10.0 and an image on a web server: its client waits for ever for what has arrived.
                cause = f"a request to the disk has no answer after {REQUEST_SECONDS:.0f} s"
                raise refused(ReasonKind.TOOL_FAILED, self.path, tool="qemu-storage-daemon", cause=cause)
            time.sleep(POLL_SECONDS)

    def unexport_all(self) -> None:
        """Nobody reads or writes through this daemon any more."""
        for name in tuple(self._exports):
            self.unexport(name)

    def connect(self) -> socket.socket:
        """A connected socket to the unnamed export."""
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(self.address))
        except OSError as error:
            client.close()
            raise refused(ReasonKind.TOOL_FAILED, self.path, tool="qemu-storage-daemon", cause=error.strerror) from error
        return client

    def client(self, name: str = "", *, depths: bool = False) -> AbstractContextManager[NbdClient]:
        """A client of one export for this process itself."""
        return nbd_client(self.address, self.path, export=name, depths=depths)

    def commit(self, overlay: str) -> None:
        """Merges an overlay into the disk, whose file is opened for writing by this and not before; the overlay stays as it is."""
        try:
            job = {"job-id": "commit", "device": overlay, "base-node": BASE, "auto-dismiss": False}
            self._qmp.call("block-commit", job)
            self._qmp.finish_job("commit", COMMIT_SECONDS)
        except QmpError as error:
            raise CommitFailed(error.description) from error

    def _add(self, name: str, node: dict[str, Any]) -> None:
        self._call("blockdev-add", node)
        self._images.append(name)

    def _call(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        try:
            return self._qmp.call(command, arguments)
        except QmpError as error:
            raise reason_of(self.path, error.description) from error

    def _hand_over(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self._owner.uid, self._owner.gid)


def reason_of(path: str, said: str) -> Refused:
    """What QEMU said of a disk, as a reason."""
    kinds = (*CAUSES, ("No space left", ReasonKind.NO_SPACE))
    kind = next((kind for word, kind in kinds if word in said), ReasonKind.IMAGE_DAMAGED)
    return refused(kind, path, tool="qemu-storage-daemon", cause=said.splitlines()[0] if said else "")


def file_length(fd: int) -> int:
    """Bytes of an open file or block device."""
    return os.lseek(fd, 0, os.SEEK_END)


@contextmanager
def storage_daemon(chain: ImageChain, directory: Path, *, aside: bool = False, read_only: bool = False) -> Iterator[StorageDaemon]:
    """The daemon of one disk, its base open read-only. `directory` is ours alone; what lies in it stays when the block ends.

    `aside`: the base is opened by `open_base_aside`. `read_only`: a server's image can never be written.
    """
    with ExitStack() as stack:
        files = _files(stack, chain, directory, writable=not read_only)
        listener = _listen(stack, Path(f"/proc/self/fd/{files.directory}/{SOCKET}"))
        ours, theirs = socket.socketpair()
        with theirs:
            process = _start(theirs.fileno(), listener.fileno(), files)
        stack.callback(_end, process)
        listener.close()
        stack.callback(ours.close)
        qmp = _negotiated(chain, process, ours)
        stack.callback(qmp.close)
        daemon = StorageDaemon(chain, process, qmp, directory, files)
        if aside:
            daemon.open_base_aside()
        else:
            daemon.open_base(read_only=True)
        yield daemon


def _files(stack: ExitStack, chain: ImageChain, directory: Path, *, writable: bool) -> _Files:
    # A commit writes the disk's own file, and nothing ever what is below it.
    layers = [] if chain.disk.remote else [_opened(stack, open_layer(chain.layers[0]))]
    owner = image_owner(layers[0]) if layers else service_account()
    layers += [_opened(stack, read_only_layer(layer, owner)) for layer in chain.layers[1:]]
    if os.geteuid() == 0:
        os.chown(directory, owner.uid, owner.gid)
    place = _opened(stack, os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    bridge = _bridge(stack, chain, place, writable) if chain.disk.remote else None
    return _Files(tuple(layers), place, stack.enter_context(lent(place, "/work", writable=True)), owner, bridge)


def _bridge(stack: ExitStack, chain: ImageChain, directory: int, writable: bool) -> NbdServer:
    """The one connection to a server's image, from here to the end; the daemon opens and closes its own to the bridge."""
    from unxen.host.remote import serve_remote  # lazily: most disks are files

    place = Path(f"/proc/self/fd/{directory}/{REMOTE_SOCKET}")
    return stack.enter_context(serve_remote(chain, writable=writable, place=place))


def _opened(stack: ExitStack, fd: int) -> int:
    stack.callback(os.close, fd)
    return fd


def _listen(stack: ExitStack, path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = stack.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    stack.callback(path.unlink, missing_ok=True)
    listener.listen(8)
    return listener


def _start(qmp: int, listener: int, files: _Files) -> Process:
    daemon: Sequence[str] = (
        # Looked for here, because inside the box its absence would look like a box that cannot be made.
        *(find("qemu-storage-daemon"), "--chardev", f"socket,id=qmp,fd={qmp}", "--monitor", "chardev=qmp"),
        *("--nbd-server", f"addr.type=fd,addr.str={listener}"),
    )
    passed = (qmp, listener, *files.work.pass_fds, *files.layers)
    command = [
        "bash",
        "-c",
        SCRIPT.format(limits=LIMITS, threads=most_threads(files.owner, MOST_THREADS), line=qmp),
        "bash",
        *daemon,
    ]
    options, connects = (*DEVICES, *files.work.options), files.bridge is not None
    return start_boxed(command, account=files.owner, options=options, pass_fds=passed, writes=True, connects=connects)


@spending(Part.DAEMON)
def _negotiated(chain: ImageChain, process: Process, sock: socket.socket) -> Qmp:
    """The conversation with the daemon, once its box lives; from then on it dies with us."""
    sock.settimeout(START_SECONDS)
    try:
        alive = sock.recv(1)
        sock.sendall(b"go\n")
    except OSError:
        alive = b""
    if not alive:
        raise not_made(stop(process))
    try:
        return Qmp(sock)
    except QmpError as error:
        said = stop(process).strip()
        cause = said.splitlines()[-1] if said else error.description
        raise refused(ReasonKind.TOOL_FAILED, chain.disk.path, tool="qemu-storage-daemon", cause=cause) from error


def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        stop(process)
