# SPDX-License-Identifier: Apache-2.0
"""How parent and box talk: bounded frames over a stream socket, the same code at both ends.

Touches only the socket it is given, and memory. A frame is a header, JSON, and blobs; descriptors ride on the header, among them
those of large blobs, which travel as sealed memory and arrive as a mapping of it. Anything over a limit or out of shape raises
FrameError, and the conversation is over.
"""

import io
import json
import os
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any, cast

from unxen.host.sealed import LARGE, Sealed, shareable
from unxen.model.record import dataclass

HEADER = struct.Struct(">II")
LENGTH = struct.Struct(">Q")
# A list of nothing costs two bytes as text and sixty as an object: what is decoded stays below half a gigabyte.
MOST_JSON = 16 << 20
MOST_BLOBS = 64
MOST_BLOB_BYTES = 400 << 20
MOST_FDS = 64
IN_MEMORY = 1 << 63
PIECE = 1 << 20
READY = "ready"
"""What a box says first, when nothing of a guest has reached it yet: until then its failure is the host's."""


class FrameError(Exception):
    """The other end broke the rules, went away or took too long."""


@dataclass(frozen=True)
class Request:
    """What the parent asks: an operation's name, its JSON payload, bytes (a large one is a `Sealed`), and open descriptors."""

    operation: str
    payload: Any
    blobs: tuple[bytes, ...] = ()
    fds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Response:
    """What the box answers: JSON and bytes, as in a request; never descriptors."""

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
    try:
        carried: list[Any] = [shareable(each) for each in blobs]
        memory = [each.descriptor for each in carried if isinstance(each, Sealed)]
        lengths = [len(each) | (IN_MEMORY if isinstance(each, Sealed) else 0) for each in carried]
        head = HEADER.pack(len(text), len(blobs)) + b"".join(map(LENGTH.pack, lengths))
        _limit(sock, deadline)
        if fds or memory:
            socket.send_fds(sock, [head[:1]], [*fds, *memory])
            head = head[1:]
        for part in (head, text, *(each for each in carried if not isinstance(each, Sealed))):
            _limit(sock, deadline)
            sock.sendall(part)
    except OSError as error:
        raise FrameError(_said(error)) from error


def receive(sock: socket.socket, deadline: float | None = None, *, most_fds: int = 0) -> Frame | None:
    """One frame in, or None at the end of the conversation. `deadline` is a time of time.monotonic().

    More descriptors than `most_fds` beside those of the blobs are closed unseen.
    """
    first, fds = _first_byte(sock, deadline)
    try:
        if not first:
            return None
        lengths, document = _head(first, sock, deadline)
        own = len(fds) - sum(length >= IN_MEMORY for length in lengths)
        if own < 0:
            raise FrameError("memory without a descriptor")
        blobs = [_mapped(fds.pop(own), each) if each >= IN_MEMORY else _exactly(sock, each, deadline) for each in lengths]
        taken, fds = fds[:most_fds], fds[most_fds:]
        return Frame(document, tuple(blobs), tuple(taken))
    finally:
        for each in fds:
            os.close(each)


def _head(first: bytes, sock: socket.socket, deadline: float | None) -> tuple[list[int], Any]:
    """The lengths of the blobs, with the mark of those in memory, and the document."""
    text_length, blob_count = HEADER.unpack(first + _exactly(sock, HEADER.size - 1, deadline))
    if text_length > MOST_JSON or blob_count > MOST_BLOBS:
        raise FrameError("frame over its limits")
    lengths = [LENGTH.unpack(_exactly(sock, LENGTH.size, deadline))[0] for _ in range(blob_count)]
    if sum(each % IN_MEMORY for each in lengths) > MOST_BLOB_BYTES or any(LARGE <= each < IN_MEMORY for each in lengths):
        raise FrameError("blobs over their limits")
    return lengths, _json(_exactly(sock, text_length, deadline))


def _first_byte(sock: socket.socket, deadline: float | None) -> tuple[bytes, list[int]]:
    _limit(sock, deadline)
    try:
        data, fds, _, _ = socket.recv_fds(sock, 1, MOST_FDS + MOST_BLOBS, socket.MSG_CMSG_CLOEXEC)
    except OSError as error:
        raise FrameError(_said(error)) from error
    return data, fds


def _mapped(descriptor: int, length: int) -> bytes:
    """A large blob, see `shareable`."""
    try:
        return cast(bytes, Sealed(descriptor, length - IN_MEMORY))
    except OSError as error:
        raise FrameError(f"memory of another kind than promised: {error}") from error


def _exactly(sock: socket.socket, length: int, deadline: float | None) -> bytes:
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
