# SPDX-License-Identifier: Apache-2.0
"""Disks are read through qemu-nbd in a box of its own, which sees exactly the files whose headers were checked.

Starts processes; writes nothing but a socket in a private directory that it removes. QEMU gets every layer by descriptor and every
format by name, so no name from an image is ever followed. An image that another process holds is Refused(IN_USE).
"""

import fcntl
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from unxen.errors import Refused, refused
from unxen.host.process import Account, stop
from unxen.host.sandbox import start_boxed
from unxen.model.disk import ImageChain, ImageLayer
from unxen.model.ids import ImageFormat
from unxen.model.reason import ReasonKind

LISTEN_FD = 3
FIRST_IMAGE_FD = 10
MOST_CLIENTS = 4
GREETING = b"NBDMAGIC"
GREETING_SECONDS = 30.0
DRIVERS = {
    ImageFormat.RAW: "raw",
    ImageFormat.QCOW2: "qcow2",
    ImageFormat.VHD: "vpc",
    ImageFormat.VHDX: "vhdx",
    ImageFormat.VMDK: "vmdk",
    ImageFormat.VDI: "vdi",
}
WITH_BACKING = (ImageFormat.QCOW2, ImageFormat.VMDK)
FORMAT_OPTIONS: dict[ImageFormat, dict[str, str]] = {
    # QEMU believes the footer's size only of some creators and else rounds it down to a whole cylinder (facts of the VHD format).
    ImageFormat.VHD: {"force_size_calc": "current_size"},
}


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


def block_node(layers: Sequence[ImageLayer], names: Sequence[str], *, force_share: bool = False) -> dict[str, Any]:
    """QEMU's description of a chain, the disk's own file first; `names` are the file names that QEMU shall open."""
    layer, below = layers[0], layers[1:]
    driver = "host_device" if Path(names[0]).is_block_device() else "file"
    node: dict[str, Any] = {"driver": DRIVERS[layer.header.format], "file": {"driver": driver, "filename": names[0]}}
    node |= FORMAT_OPTIONS.get(layer.header.format, {})
    if layer.header.format in WITH_BACKING:
        node["backing"] = block_node(below, names[1:]) if below else None
    if force_share:
        node["force-share"] = True
    return node


class NbdServer:
    """A running server; every `connect` is one more client."""

    def __init__(self, chain: ImageChain, process: subprocess.Popen[bytes], address: Path) -> None:
        self._chain = chain
        self._process = process
        self._address = address

    def connect(self) -> socket.socket:
        """A connected socket on which the server has begun to speak."""
        client = socket.socket(socket.AF_UNIX)
        try:
            client.settimeout(GREETING_SECONDS)
            client.connect(str(self._address))
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
        """Why the server does not answer, from what it said before it went."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        return _reason_of(self._chain.disk.path, stop(self._process).strip() or problem)


CAUSES = (
    ("lock", ReasonKind.IN_USE),
    ("Permission denied", ReasonKind.NO_PERMISSION),
    ("bwrap:", ReasonKind.TOOL_FAILED),
)


def _reason_of(path: str, said: str) -> Refused:
    kind = next((kind for word, kind in CAUSES if word in said), ReasonKind.IMAGE_DAMAGED)
    return refused(kind, path, path=path, tool="qemu-nbd", cause=said.splitlines()[-1])


@contextmanager
def serve_read_only(chain: ImageChain, *, force_share: bool = False) -> Iterator[NbdServer]:
    """Serves a checked chain to readers until the block ends. `force_share` reads beside a machine that writes."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unxen-")))
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(directory / "nbd"))
        listener.listen(MOST_CLIENTS)
        images = [_high(fd) for fd in map(open_layer, chain.layers)]
        for fd in images:
            stack.callback(os.close, fd)
        process = _start(chain, listener.fileno(), images, force_share)
        stack.callback(stop, process)
        listener.close()
        yield NbdServer(chain, process, directory / "nbd")


def _high(fd: int) -> int:
    """The same file at a number that cannot be the listening socket's."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_IMAGE_FD)
    finally:
        os.close(fd)


def _start(chain: ImageChain, listener: int, images: Sequence[int], force_share: bool) -> subprocess.Popen[bytes]:
    node = block_node(chain.layers, [f"/proc/self/fd/{fd}" for fd in images], force_share=force_share)
    server = ["qemu-nbd", "--read-only", "--persistent", f"--shared={MOST_CLIENTS}", "json:" + json.dumps(node)]
    command = ["sh", "-c", f'exec "$@" {LISTEN_FD}<&{listener}', "sh", *server]
    options = ("--as-pid-1", "--setenv", "LISTEN_PID", "1", "--setenv", "LISTEN_FDS", "1", "--dev", "/dev")
    return start_boxed(command, account=image_owner(images[0]), options=options, pass_fds=(listener, *images))


def image_owner(fd: int) -> Account:
    """Whose rights suffice to read an image: its owner's; ours when we are no root."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    seen = os.fstat(fd)
    return Account(seen.st_uid, seen.st_gid)
