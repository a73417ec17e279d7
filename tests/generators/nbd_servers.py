# SPDX-License-Identifier: Apache-2.0
"""Servers of NBD as people run them, on a UNIX socket or a port of this host, with a raw disk behind them."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unxen.model.remote import Protocol, Remote


@contextmanager
def qemu_nbd(disk: Path, *options: str) -> Iterator[Remote]:
    """One client at a time unless the options say more."""
    place = disk.with_suffix(".sock")
    command = ["qemu-nbd", "--persistent", "--format=raw", f"--socket={place}", "--export-name=disk", *options, str(disk)]
    with _running(command, place):
        yield Remote(Protocol.NBD, "disk", socket=str(place))


@contextmanager
def nbdkit(disk: Path, *options: str) -> Iterator[Remote]:
    """On a port; `options` are filters and their parameters. Many clients unless they say otherwise."""
    port = _free_port()
    filters = [each for each in options if each.startswith("--")]
    parameters = [each for each in options if not each.startswith("--")]
    command = ["nbdkit", "--foreground", "--ipaddr=127.0.0.1", f"--port={port}", *filters, "file", str(disk), *parameters]
    with _running(command, port):
        yield Remote(Protocol.NBD, "", host="127.0.0.1", port=port)


def have_nbdkit() -> bool:
    """Whether this host has it."""
    return shutil.which("nbdkit") is not None


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def _running(command: Sequence[str], place: Path | int) -> Iterator[None]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until_it_listens(process, place)
        yield
    finally:
        process.terminate()
        process.wait(20)
        if isinstance(place, Path):
            place.unlink(missing_ok=True)


def _until_it_listens(process: "subprocess.Popen[bytes]", place: Path | int) -> None:
    deadline = time.monotonic() + 20
    while True:
        assert process.poll() is None, "the server ended"
        kind, address = (socket.AF_UNIX, str(place)) if isinstance(place, Path) else (socket.AF_INET, ("127.0.0.1", place))
        with socket.socket(kind) as sock:
            try:
                sock.connect(address)
                return
            except OSError:
                assert time.monotonic() < deadline, "no server came"
                time.sleep(0.05)
