# SPDX-License-Identifier: Apache-2.0
"""The server in front of an appliance: libnbd reads and writes through it, and nonsense costs only the connection that sent it."""

import errno
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nbd
import pytest
from unxen.host.nbd_client import nbd_client
from unxen.repair.delivery.nbd_server import Server

SIZE = 1 << 20


class Memory:
    """A disk of bytes, the first sector of which is bad."""

    def __init__(self, *, writable: bool) -> None:
        self.size, self.writable, self.flushed = SIZE, writable, 0
        self.data = bytearray(range(256)) * (SIZE // 256)

    def read(self, offset: int, length: int) -> bytes:
        if offset < 512:
            raise OSError(errno.EIO, "bad")
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        if offset < 512:
            raise OSError(errno.EPERM, "not here")
        self.data[offset : offset + len(data)] = data

    def flush(self) -> None:
        self.flushed += 1


class Running:
    """A server in a thread, with one disk that can be written and one that cannot."""

    def __init__(self, folder: Path) -> None:
        self.disks = {True: Memory(writable=True), False: Memory(writable=False)}
        self.paths = {writable: folder / f"{writable}" for writable in self.disks}
        self.control, theirs = socket.socketpair()
        self._theirs, self._listeners = theirs, {}
        for writable, path in self.paths.items():
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.listen(4)
            self._listeners[listener] = self.disks[writable]
        self.heard: list[bytes] = []
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        server = Server(self._theirs, self._listeners)
        while heard := server.serve():
            self.heard.append(heard)
            self._theirs.sendall(heard)

    def end(self) -> None:
        self.control.close()
        self.thread.join(10)
        assert not self.thread.is_alive()
        for each in (self._theirs, *self._listeners):
            each.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path)
    yield server
    server.end()


def test_libnbd_reads_and_writes_through_it(running: Running) -> None:
    with nbd_client(running.paths[True], "disk") as client:
        assert client.size == SIZE
        assert client.read(512, 70000) == bytes(running.disks[True].data[512:70512])
        client.write(4096, b"new" * 100)
        client.flush()
        assert client.read(4096, 300) == b"new" * 100
    assert running.disks[True].flushed == 1


def test_clients_stay_while_the_other_side_is_told_something(running: Running) -> None:
    with nbd_client(running.paths[True], "disk") as client:
        assert client.read(1024, 1) == b"\0"
        running.control.sendall(b"f")
        assert running.control.recv(1) == b"f"
        assert client.read(1025, 1) == b"\1"


def test_disk_that_may_not_be_written_says_so_and_is_not(running: Running) -> None:
    handle = nbd.NBD()
    handle.connect_unix(str(running.paths[False]))
    assert handle.is_read_only()
    handle.set_strict_mode(0)
    with pytest.raises(nbd.Error) as error:
        handle.pwrite(b"x" * 512, 4096)
    assert error.value.errnum == errno.EPERM
    handle.shutdown()


@pytest.mark.parametrize(("offset", "length", "number"), [(0, 16, errno.EIO), (SIZE - 8, 16, errno.EINVAL)])
def test_errors_are_answers_and_the_connection_goes_on(running: Running, offset: int, length: int, number: int) -> None:
    handle = nbd.NBD()
    handle.connect_unix(str(running.paths[True]))
    handle.set_strict_mode(0)
    with pytest.raises(nbd.Error) as error:
        handle.pread(length, offset)
    assert error.value.errnum == number
    assert handle.pread(1, 513) == b"\1"
    handle.shutdown()


NONSENSE = {
    "nothing": b"",
    "no option": struct.pack(">I", 3) + b"nonsense" * 10,
    "an endless option": struct.pack(">I8sII", 3, b"IHAVEOPT", 7, 1 << 31),
    "no request": struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 0) + b"nonsense" * 10,
    "an endless write": struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 0) + struct.pack(">IHHQQI", 0x25609513, 0, 1, 1, 0, 1 << 31),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_costs_the_connection_and_no_other(running: Running, what: str) -> None:
    with nbd_client(running.paths[True], "disk") as client:
        with socket.socket(socket.AF_UNIX) as odd:
            odd.connect(str(running.paths[True]))
            odd.sendall(NONSENSE[what])
            odd.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                while odd.recv(4096):
                    pass
        assert client.read(600, 1) == bytes([600 % 256])
