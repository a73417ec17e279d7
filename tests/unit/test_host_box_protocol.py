# SPDX-License-Identifier: Apache-2.0
"""Frames between parent and box: whole or not at all, and never more than the limits."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest
from unxen.host import box_protocol
from unxen.host.box_protocol import HEADER, LENGTH, FrameError, receive, send


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


def test_descriptors_ride_along(pair, tmp_path) -> None:
    (tmp_path / "file").write_text("through the socket")
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    send(pair[0], {}, fds=(fd,))
    os.close(fd)
    (received,) = receive(pair[1], soon(), most_fds=4).fds
    assert os.read(received, 100) == b"through the socket"
    os.close(received)


def test_descriptors_that_nobody_asked_for_are_not_taken(pair) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    send(pair[0], {}, fds=(0,))
    assert receive(pair[1], soon()).fds == ()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_end_of_a_conversation_is_no_error(pair) -> None:
    pair[0].close()
    assert receive(pair[1], soon()) is None


@pytest.mark.parametrize(
    "data",
    [
        HEADER.pack(box_protocol.MOST_JSON + 1, 0),
        HEADER.pack(2, box_protocol.MOST_BLOBS + 1),
        HEADER.pack(2, 1) + LENGTH.pack(10 << 30),
        HEADER.pack(2, 2) + LENGTH.pack(box_protocol.MOST_BLOB_BYTES) * 2,
        HEADER.pack(2, 0) + b"{]",
        HEADER.pack(200_000, 0) + b"[" * 200_000,
        HEADER.pack(100, 0) + b"cut",
        b"\0\0",
    ],
    ids=["document too long", "too many blobs", "10 GB", "too many bytes", "no JSON", "too deep", "cut off", "cut header"],
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
        send(pair[0], {}, (b"x" * 8_000_000,), deadline=begin + 0.3)
    assert time.monotonic() - begin < 1.5
