# SPDX-License-Identifier: Apache-2.0
"""How parent and box talk: bounded frames over a stream socket, the same code at both ends.

Touches only the socket it is given. A frame is a header, JSON, and blobs; descriptors ride on the header. Anything over a limit or
out of shape raises FrameError, and the conversation is over.
"""

import json
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HEADER = struct.Struct(">II")
LENGTH = struct.Struct(">Q")
MOST_JSON = 64 << 20
MOST_BLOBS = 64
MOST_BLOB_BYTES = 400 << 20
MOST_FDS = 64
PIECE = 1 << 20


class FrameError(Exception):
    """The other end broke the rules, went away or took too long."""


@dataclass(frozen=True)
class Request:
    """What the parent asks: an operation's name, its JSON payload, bytes, and open descriptors."""

    operation: str
    payload: Any
    blobs: tuple[bytes, ...] = ()
    fds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Response:
    """What the box answers: JSON and bytes; never descriptors."""

    payload: Any
    blobs: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One message as it travels."""

    document: Any
    blobs: tuple[bytes, ...]
    fds: tuple[int, ...]


def send(sock: socket.socket, document: Any, blobs: Sequence[bytes] = (), fds: Sequence[int] = ()) -> None:
    """One frame out; blocks while the other end does not read."""
    text = json.dumps(document, separators=(",", ":")).encode()
    head = HEADER.pack(len(text), len(blobs)) + b"".join(LENGTH.pack(len(blob)) for blob in blobs)
    try:
        if fds:
            socket.send_fds(sock, [head[:1]], fds)
            head = head[1:]
        sock.sendall(head)
        sock.sendall(text)
        for blob in blobs:
            sock.sendall(blob)
    except OSError as error:
        raise FrameError(f"cannot send: {error}") from error


def receive(sock: socket.socket, deadline: float | None = None, *, most_fds: int = 0) -> Frame | None:
    """One frame in, or None at the end of the conversation. `deadline` is a time of time.monotonic()."""
    first, fds = _first_byte(sock, deadline, most_fds)
    if not first:
        return None
    text_length, blob_count = HEADER.unpack(first + _exactly(sock, HEADER.size - 1, deadline))
    if text_length > MOST_JSON or blob_count > MOST_BLOBS:
        raise FrameError("frame over its limits")
    lengths = [LENGTH.unpack(_exactly(sock, LENGTH.size, deadline))[0] for _ in range(blob_count)]
    if sum(lengths) > MOST_BLOB_BYTES:
        raise FrameError("blobs over their limits")
    document = _json(_exactly(sock, text_length, deadline))
    return Frame(document, tuple(_exactly(sock, length, deadline) for length in lengths), fds)


def _first_byte(sock: socket.socket, deadline: float | None, most_fds: int) -> tuple[bytes, tuple[int, ...]]:
    _wait(sock, deadline)
    try:
        if not most_fds:
            return sock.recv(1), ()
        data, fds, _, _ = socket.recv_fds(sock, 1, most_fds)
        return data, tuple(fds)
    except OSError as error:
        raise FrameError(f"cannot receive: {error}") from error


def _exactly(sock: socket.socket, length: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < length:
        _wait(sock, deadline)
        try:
            piece = sock.recv(min(PIECE, length - len(data)))
        except OSError as error:
            raise FrameError(f"cannot receive: {error}") from error
        if not piece:
            raise FrameError("ended in the middle of an answer")
        data += piece
    return bytes(data)


def _wait(sock: socket.socket, deadline: float | None) -> None:
    """Gives the next receive no more than what is left of the time."""
    if deadline is None:
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise FrameError("no answer in time")
    sock.settimeout(left)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError("no JSON") from error
