# SPDX-License-Identifier: Apache-2.0
"""An image on a server is read and written through one more qemu-nbd, so that nothing else needs to know that it is no file.

Starts processes and connects to servers. For NBD the connection is made here and handed to a box that has no network, and there is
one from begin to end; for other protocols the box has the host's network, because a library of the protocol makes the connection.
Either has no rights of anybody. A server that is not there is Refused(REMOTE_UNREACHABLE), a missing driver Refused(TOOL_MISSING).
"""

import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from unxen.errors import Refused, refused
from unxen.host import ceph_files
from unxen.host.block_node import window_options
from unxen.host.nbd import CAUSES, GREETING, NbdServer, Served, high, serve
from unxen.host.nbd_client import client_on
from unxen.host.sandbox import service_account
from unxen.model.disk import Disk, ImageChain
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.remote import Protocol, Remote

CONNECT_SECONDS = 5.0
# A server that serves one client at a time accepts the next one, and says nothing to it (seen with qemu-nbd).
GREET_SECONDS = 5.0
SECOND_SECONDS = 1.0
ATTEMPTS, PAUSE_SECONDS = 3, 0.3
NETWORK = ("--share-net",)
# What libraries need to find a server by its name and to trust it; the one of Ceph, to find its monitors.
FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/ceph")
REMOTE_CAUSES = (*CAUSES, ("Unknown driver", ReasonKind.TOOL_MISSING), ("Unknown protocol", ReasonKind.TOOL_MISSING))
DRIVERS_PACKAGE = "qemu-block-extra"
CONNECTION, CONF, KEY = "connection", "conf", "key"


@contextmanager
def serve_remote(chain: ImageChain, *, writable: bool = False, place: Path | None = None) -> Iterator[NbdServer]:
    """A server's image, served here until the block ends; `place` is where it listens for others than us, too."""
    nbd = chain.disk.remote is not None and chain.disk.remote.protocol is Protocol.NBD
    for left in reversed(range(ATTEMPTS if nbd else 1)):
        with ExitStack() as stack:
            served = _served(stack, chain.disk, writable)
            try:
                server = stack.enter_context(serve(chain, served, place))
                _first_client(server, chain.disk).close()
            except Refused as error:
                if not left or not _may_pass(error.reasons):
                    raise
            else:
                yield server
                return
        time.sleep(PAUSE_SECONDS)


def _may_pass(found: Sequence[Reason]) -> bool:
    """A server for one client turns the next one away until it has noticed that the last one is gone (seen with nbdkit)."""
    return any(each.kind is ReasonKind.REMOTE_UNREACHABLE for each in found)


def size_of(disk: Disk) -> int:
    """Bytes of a server's image, or of the window into it."""
    with serve_remote(ImageChain(disk, ())) as server, client_on(server.connect(), disk.path) as client:
        return client.size


def _first_client(server: NbdServer, disk: Disk) -> socket.socket:
    """What the server says before it serves anybody."""
    try:
        return server.connect()
    except Refused as error:
        if disk.remote is None:
            raise
        raise _better_told(error, disk.remote) from error


def _better_told(error: Refused, remote: Remote) -> Refused:
    """A missing driver by the package that has it, a wrong key by its file."""
    if error.first.kind is ReasonKind.TOOL_MISSING:
        tool = f"QEMU's driver for {remote.protocol.value}"
        return refused(ReasonKind.TOOL_MISSING, remote.url, tool=tool, package=DRIVERS_PACKAGE)
    if remote.keyring and ceph_files.KEY_REFUSED in str(error.first.detail("cause")):
        return _unreachable(remote, f"its monitors refuse the key of client.{remote.user} in {remote.keyring}")
    return error


def _served(stack: ExitStack, disk: Disk, writable: bool) -> Served:
    remote = disk.remote
    assert remote is not None
    handed = {name: high(made(remote), stack) for name, made in _handed(remote)}
    network = remote.protocol is not Protocol.NBD
    files = [word for path in FILES for word in ("--ro-bind-try", path, path)]
    return Served(
        node={"driver": "raw", "file": _node(remote, handed), **window_options(disk.window)},
        descriptors=tuple(handed.values()),
        account=service_account(),
        options=(*NETWORK, *files) if network else (),
        objects=(f"secret,id={KEY},file=/proc/self/fd/{handed[KEY]},format=base64",) if KEY in handed else (),
        connects=network,
        writable=writable,
        causes=REMOTE_CAUSES,
        otherwise=ReasonKind.REMOTE_UNREACHABLE,
    )


def _handed(remote: Remote) -> Iterator[tuple[str, Callable[[Remote], int]]]:
    """What the bridge gets opened, because it cannot or must not open it itself."""
    if remote.protocol is Protocol.NBD:
        yield CONNECTION, lambda each: connected(each).detach()
    if remote.conf or remote.keyring:
        yield CONF, ceph_files.configuration
    if remote.keyring:
        yield KEY, ceph_files.key


def _node(remote: Remote, handed: Mapping[str, int]) -> dict[str, Any]:
    """What QEMU is told; every part of a name is a value of its own, and none is ever a part of a command."""
    match remote.protocol:
        case Protocol.NBD:
            return {"driver": "nbd", "server": {"type": "fd", "str": str(handed[CONNECTION])}, "export": remote.name}
        case Protocol.RBD:
            return _rbd(remote, handed)
        case Protocol.ISCSI:
            target, _, lun = remote.name.rpartition("/")
            portal = f"{_host(remote)}:{remote.port}"
            name = {"initiator-name": remote.initiator} if remote.initiator else {}
            return {"driver": "iscsi", "transport": "tcp", "portal": portal, "target": target, "lun": int(lun), **name}
    return {"driver": remote.protocol.value, "url": remote.url}


def _rbd(remote: Remote, handed: Mapping[str, int]) -> dict[str, Any]:
    pool, *space, image = remote.name.split("/", 2)
    node: dict[str, Any] = {"driver": "rbd", "pool": pool, "image": image, **({"namespace": space[0]} if space else {})}
    if remote.monitors:
        node["server"] = [{"host": host, "port": str(port or 6789)} for host, port in remote.monitors]
    if CONF in handed:
        node["conf"] = f"/proc/self/fd/{handed[CONF]}"
    if remote.keyring:
        node |= {"user": remote.user, "key-secret": KEY}
        # As Proxmox has it where it names the monitors; else the cluster's configuration says what is asked for.
        node |= {"auth-client-required": ["cephx"]} if remote.monitors else {}
    return node


def _host(remote: Remote) -> str:
    return f"[{remote.host}]" if ":" in remote.host else remote.host


def connected(remote: Remote) -> socket.socket:
    """A connection on which an NBD server has begun to speak; Refused(IN_USE) when it speaks with somebody else only."""
    for _ in range(ATTEMPTS):
        sock = _reached(remote)
        heard = _greeting(sock, remote)
        if heard == GREETING:
            return sock
        sock.close()
        if heard:
            break
        time.sleep(PAUSE_SECONDS)
    raise _unreachable(remote, "no NBD server answers there")


def _greeting(sock: socket.socket, remote: Remote) -> bytes:
    """What a server says first; nothing from one that hangs up."""
    try:
        sock.settimeout(GREET_SECONDS)
        heard = sock.recv(len(GREETING), socket.MSG_PEEK | socket.MSG_WAITALL)
        sock.settimeout(None)
    except TimeoutError as error:
        sock.close()
        raise refused(ReasonKind.IN_USE, remote.url, user="another client of its server, which serves one at a time") from error
    except OSError:
        return b""
    return heard


def _reached(remote: Remote) -> socket.socket:
    try:
        if not remote.socket:
            return socket.create_connection((remote.host, remote.port), CONNECT_SECONDS)
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(CONNECT_SECONDS)
            sock.connect(remote.socket)
        except OSError:
            sock.close()
            raise
    except (OSError, UnicodeError) as error:
        raise _unreachable(remote, getattr(error, "strerror", None) or str(error)) from error
    return sock


def _unreachable(remote: Remote, cause: str) -> Refused:
    return refused(ReasonKind.REMOTE_UNREACHABLE, remote.url, cause=cause)


def against_writing(remote: Remote) -> tuple[Reason, ...]:
    """Why this image must not be written: nothing would keep another host's machine from using it meanwhile, or it cannot be.

    A server of NBD that is for one client, and serves no second one beside us, is a lock: whoever is connected has the image.
    """
    if remote.vouched:
        return ()
    if remote.protocol is not Protocol.NBD:
        return (reason(ReasonKind.REMOTE_WITHOUT_LOCK, remote.url, protocol=remote.protocol.value),)
    for _ in range(ATTEMPTS):
        try:
            sock = connected(remote)
        except Refused as error:
            return error.reasons
        if not _may_pass(found := _said_against_writing(remote, sock)):
            break
        time.sleep(PAUSE_SECONDS)
    return found


def _said_against_writing(remote: Remote, sock: socket.socket) -> tuple[Reason, ...]:
    """What the server says of it on this connection."""
    try:
        with client_on(sock, remote.url, export=remote.name, patience=GREET_SECONDS) as client:
            cause = client.against_writing or ("many-clients" if _serves_another(remote) else "")
    except Refused as error:
        return tuple(_of_server(remote, each) for each in error.reasons)
    if cause == "read-only":
        return (reason(ReasonKind.READ_ONLY, remote.url, cause="read-only-export"),)
    return (reason(ReasonKind.REMOTE_WITHOUT_LOCK, remote.url, protocol=remote.protocol.value, cause=cause),) if cause else ()


def _of_server(remote: Remote, found: Reason) -> Reason:
    """What a library says of a server that it has been connected to."""
    if found.kind is not ReasonKind.TOOL_FAILED:
        return found
    return reason(ReasonKind.REMOTE_UNREACHABLE, remote.url, cause=found.detail("cause"))


def _serves_another(remote: Remote) -> bool:
    """Whether a second client gets as far as to the image."""
    with suppress(Refused):
        sock = _reached(remote)
        with sock, client_on(sock, remote.url, export=remote.name, patience=SECOND_SECONDS):
            return True
    return False
