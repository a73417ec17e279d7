# SPDX-License-Identifier: Apache-2.0
"""Frames between parent and box: whole or not at all, and never more than the limits."""

import errno
import fcntl
import gc
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.host import box_protocol
from unxen.host.box_protocol import HEADER, IN_MEMORY, LENGTH, FrameError, receive, send
from unxen.host.sealed import SEALS, collected, shareable
from unxen.model.reason import ReasonKind


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def soon() -> float:
    return time.monotonic() + 1.0


def test_a_frame_arrives_as_it_was_sent(pair) -> None:
    blobs = (b"", b"x" * 3_000_000)
    sender = threading.Thread(target=send, args=(pair[0], {"a": ["ü", None, 1]}, blobs))
    sender.start()
    frame = receive(pair[1], time.monotonic() + 10)
    sender.join()
    assert (frame.document, frame.blobs, frame.fds) == ({"a": ["ü", None, 1]}, blobs, ())


def test_large_bytes_arrive_in_memory_that_nobody_can_change(pair) -> None:
    made = shareable(b"x" * 100_000)
    send(pair[0], {}, (made, b"small", made))
    first, second, third = receive(pair[1], soon()).blobs
    assert (first, second, third) == (made, b"small", made)
    assert first[10:20] == b"x" * 10
    for door in (first.descriptor, os.open(f"/proc/self/fd/{first.descriptor}", os.O_RDWR)):
        for change in (lambda door=door: os.write(door, b"y"), lambda door=door: os.ftruncate(door, 10)):
            with pytest.raises(PermissionError):
                change()
    os.close(door)


def test_equal_is_what_has_the_same_bytes() -> None:
    data = bytes(range(256)) * 8192
    assert shareable(data) == data
    assert shareable(data) != data[:-1] + b"\0"
    assert shareable(data) != data[:-1]
    assert shareable(data) == shareable(data)
    assert shareable(b"few") == b"few"
    assert collected(data[at : at + 1000] for at in range(0, len(data), 1000)) == data
    assert collected([]) == collected([b""]) == b""


@contextmanager
def descriptors_left(number: int) -> Iterator[None]:
    """What is open stays so; the table has room for so many more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("left", [0, 1])
def test_hive_that_we_cannot_hold_is_not_called_damaged(left: int) -> None:
    before = descriptors()
    with descriptors_left(left), pytest.raises(Refused) as caught:
        collected([b"x" * 100_000])
    assert caught.value.first.kind is ReasonKind.PROBE_FAILED
    assert "Too many open files" in caught.value.first.detail("cause")
    assert descriptors() == before


def test_what_cannot_be_read_stays_an_error_of_who_is_read_from() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise OSError(errno.EIO, "bad sector")

    with pytest.raises(OSError, match="bad sector"):
        collected(pieces())


def descriptors() -> int:
    """How many are open; what other tests left for the collector to close is closed first."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def unsealed(seals: int, size: int = 100_000) -> int:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


@pytest.mark.parametrize(
    "memory",
    [
        lambda: unsealed(0),
        lambda: unsealed(SEALS & ~fcntl.F_SEAL_WRITE),
        lambda: unsealed(SEALS & ~fcntl.F_SEAL_SHRINK),
        lambda: unsealed(SEALS & ~fcntl.F_SEAL_SEAL),
        lambda: unsealed(SEALS, 99_999),
        lambda: unsealed(SEALS, 0),
        lambda: os.open("/etc/passwd", os.O_RDONLY),
        lambda: os.open("/dev/zero", os.O_RDONLY),
        lambda: os.pipe()[0],
    ],
    ids=["open", "writable", "shrinks", "seals can be added", "shorter", "empty", "a file", "a device", "a pipe"],
)
def test_memory_that_could_change_is_not_taken(pair, memory) -> None:
    fd = memory()
    head = HEADER.pack(2, 1) + LENGTH.pack(IN_MEMORY + 100_000) + b"{}"
    socket.send_fds(pair[0], [head[:1]], [fd])
    pair[0].sendall(head[1:])
    before = descriptors()
    with pytest.raises(FrameError, match="another kind"):
        receive(pair[1], soon())
    assert descriptors() == before
    os.close(fd)


def test_a_hole_in_memory_is_filled_before_it_is_looked_at(pair) -> None:
    fd = unsealed(SEALS)
    head = HEADER.pack(2, 1) + LENGTH.pack(IN_MEMORY + 100_000) + b"{}"
    socket.send_fds(pair[0], [head[:1]], [fd])
    pair[0].sendall(head[1:])
    assert receive(pair[1], soon()).blobs == (bytes(100_000),)
    assert os.fstat(fd).st_blocks * 512 >= 100_000
    os.close(fd)


def test_descriptors_ride_along(pair, tmp_path) -> None:
    (tmp_path / "file").write_text("through the socket")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    send(pair[0], {}, fds=(fd,))
    os.close(fd)
    (received,) = receive(pair[1], soon(), most_fds=4).fds
    assert os.read(received, 100) == b"through the socket"
    os.close(received)


def test_descriptors_that_nobody_asked_for_are_not_taken(pair) -> None:
    before = descriptors()
    send(pair[0], {}, fds=(0,))
    assert receive(pair[1], soon()).fds == ()
    assert descriptors() == before


def test_the_end_of_a_conversation_is_no_error(pair) -> None:
    pair[0].close()
    assert receive(pair[1], soon()) is None


@pytest.mark.parametrize(
    "data",
    [
        HEADER.pack(box_protocol.MOST_JSON + 1, 0),
        HEADER.pack(2, box_protocol.MOST_BLOBS + 1),
        HEADER.pack(2, 1) + LENGTH.pack(10 << 30),
        HEADER.pack(2, 2) + LENGTH.pack(IN_MEMORY + box_protocol.MOST_BLOB_BYTES) * 2,
        HEADER.pack(2, 1) + LENGTH.pack(IN_MEMORY + 100_000) + b"{}",
        HEADER.pack(2, 1) + LENGTH.pack(100_000) + b"{}" + bytes(100_000),
        HEADER.pack(2, 0) + b"{]",
        HEADER.pack(200_000, 0) + b"[" * 200_000,
        HEADER.pack(100, 0) + b"cut",
        b"\0\0",
    ],
    ids=[
        "document too long",
        "too many blobs",
        "10 GB",
        "too many bytes",
        "no memory",
        "large outside of memory",
        "no JSON",
        "too deep",
        "cut off",
        "cut header",
    ],
)
def test_what_breaks_the_rules_is_refused_at_once(pair, data: bytes) -> None:
    pair[0].sendall(data)
    pair[0].close()
    with pytest.raises(FrameError):
        receive(pair[1], soon())


def test_a_trickle_does_not_stretch_the_time(pair) -> None:
    pair[0].sendall(HEADER.pack(1000, 0))
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.02):
            pair[0].send(b" ")

    writer = threading.Thread(target=trickle)
    writer.start()
    begin = time.monotonic()
    with pytest.raises(FrameError, match="in time"):
        receive(pair[1], begin + 0.4)
    stop.set()
    writer.join()
    assert time.monotonic() - begin < 1.5


def test_an_end_that_does_not_read_does_not_hold_up_the_sender(pair) -> None:
    begin = time.monotonic()
    with pytest.raises(FrameError, match="in time"):
        send(pair[0], "x" * 8_000_000, deadline=begin + 0.3)
    assert time.monotonic() - begin < 1.5
