# SPDX-License-Identifier: Apache-2.0
"""How parent and box talk: bounded frames over a stream socket, the same code at both ends.

Touches only the socket it is given. A frame is a header, JSON, and blobs; descriptors ride on the header. Anything over a limit or
out of shape raises FrameError, and the conversation is over.
"""

import io
import json
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

from unxen.model.record import dataclass

HEADER = struct.Struct(">II")
LENGTH = struct.Struct(">Q")
# A list of nothing costs two bytes as text and sixty as an object: what is decoded stays below half a gigabyte.
MOST_JSON = 16 << 20
MOST_BLOBS = 64
MOST_BLOB_BYTES = 400 << 20
MOST_FDS = 64
PIECE = 1 << 20
READY = "ready"
"""What a box says first, when nothing of a guest has reached it yet: until then its failure is the host's."""


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


def send(
    sock: socket.socket,
    document: Any,
    blobs: Sequence[bytes] = (),
    fds: Sequence[int] = (),
    *,
    deadline: float | None = None,
) -> None:
    """One frame out, whole before the deadline (a time of time.monotonic()) or FrameError."""
    text = json.dumps(document, separators=(",", ":")).encode()
    head = HEADER.pack(len(text), len(blobs)) + b"".join(LENGTH.pack(len(blob)) for blob in blobs)
    try:
        _limit(sock, deadline)
        if fds:
            socket.send_fds(sock, [head[:1]], fds)
            head = head[1:]
        for part in (head, text, *blobs):
            _limit(sock, deadline)
            sock.sendall(part)
    except OSError as error:
        raise FrameError(_said(error)) from error


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
    _limit(sock, deadline)
    try:
        if not most_fds:
            return sock.recv(1), ()
        data, fds, _, _ = socket.recv_fds(sock, 1, most_fds)
        return data, tuple(fds)
    except OSError as error:
        raise FrameError(_said(error)) from error


def _exactly(sock: socket.socket, length: int, deadline: float | None) -> bytes:
    # Its bytes are handed over without a copy, which for a hive would be a second hive for a moment.
    data = io.BytesIO()
    while data.tell() < length:
        _limit(sock, deadline)
        try:
            piece = sock.recv(min(PIECE, length - data.tell()))
        except OSError as error:
            raise FrameError(_said(error)) from error
        if not piece:
            raise FrameError("ended in the middle of an answer")
        data.write(piece)
    return data.getvalue()


def _limit(sock: socket.socket, deadline: float | None) -> None:
    """Gives the next call on the socket no more than what is left of the time."""
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise FrameError("no answer in time")
    sock.settimeout(left)


def _said(error: OSError) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError("no JSON") from error
