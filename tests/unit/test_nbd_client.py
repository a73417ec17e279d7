# SPDX-License-Identifier: Apache-2.0
"""A server that an image took over may do anything but keep its client waiting for ever, or have it keep books without end."""

import socket
import threading
import time
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.host import nbd_client as module
from unxen.host.nbd_client import NbdClient, Patience, nbd_client
from unxen.model.reason import ReasonKind
from unxen.repair.delivery.nbd_server import Server


class Silent:
    """A disk that never answers a read."""

    size, writable = 1 << 20, True

    def __init__(self) -> None:
        self.over = threading.Event()

    def read(self, _offset: int, length: int) -> bytes:
        self.over.wait(30)
        return bytes(length)

    def write(self, _offset: int, _data: bytes) -> None:
        self.over.wait(30)

    def flush(self) -> None:
        self.over.wait(30)


@pytest.fixture
def silent(tmp_path, monkeypatch):
    """The socket of a server whose disk is silent."""
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    disk, (ours, theirs) = Silent(), socket.socketpair()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        server = threading.Thread(target=Server(theirs, {listener: disk}).serve)
        server.start()
        yield tmp_path / "socket"
        disk.over.set()
        ours.close()
        server.join()
        theirs.close()


@pytest.mark.parametrize(
    "ask", [lambda c: c.read(0, 512), lambda c: c.write(0, bytes(512)), lambda c: c.flush()], ids=["read", "write", "flush"]
)
def test_a_server_that_does_not_answer_is_given_up(silent: Path, ask) -> None:
    begin = time.monotonic()
    with nbd_client(silent, "disk") as client, pytest.raises(Refused) as caught:
        ask(client)
    assert (caught.value.first.kind, caught.value.first.subject) == (ReasonKind.TOOL_FAILED, "disk")
    assert time.monotonic() - begin < 10


def test_a_server_that_does_not_greet_is_given_up(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.5)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        with pytest.raises(Refused) as caught, nbd_client(tmp_path / "socket", "disk"):
            pass
    assert caught.value.first.kind is ReasonKind.TOOL_FAILED


def test_nobody_there_is_told(tmp_path) -> None:
    with pytest.raises(Refused) as caught, nbd_client(tmp_path / "none", "disk"):
        pass
    assert caught.value.first.kind is ReasonKind.TOOL_FAILED


class Lying:
    """libnbd's handle, of a server whose map is one of single bytes."""

    def get_size(self) -> int:
        return 1 << 40

    def block_status(self, length: int, _start: int, take) -> None:
        take("", 0, [1, 1] * 1000, 0)


def test_a_map_without_end_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_EXTENTS", 5000)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(Refused) as caught:
        NbdClient(Lying(), Patience(ours), "disk").top_ranges()
    assert caught.value.first.detail("cause") == "a map without end"
