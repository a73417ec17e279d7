# SPDX-License-Identifier: Apache-2.0
"""A repair reads, writes and maps a disk through its storage daemon; libnbd does it, and its errors become reasons here.

Touches only the export it is connected to. A failing read or write is Refused(TOOL_FAILED) with the daemon's words, and so is one
that is not answered in time; a write that finds no room is Refused(NO_SPACE).
"""

import errno
import math
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from unxen.errors import Refused, refused
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass

DEPTH = "qemu:allocation-depth"
# The protocol bounds a request to 32 MiB; reads of 1 to 4 MiB were the quickest (measured).
PIECE = 4 << 20
MAP_PIECE = 1 << 30
# Of a terabyte in clusters of 64 KiB, every other one changed.
MOST_EXTENTS = 1 << 24
# A flush of a slow disk may take minutes; a daemon that an image took over may take for ever.
ANSWER_SECONDS = 900.0
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Range:
    """Bytes of a disk."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + self.length


class NbdClient:
    """One connection to one export."""

    def __init__(self, handle: Any, patience: "Patience", path: str) -> None:
        self._handle = handle
        self._patience = patience
        self._path = path
        self.size = int(handle.get_size())

    @property
    def against_writing(self) -> str:
        """What of the server's own word speaks against writing there, empty if nothing does: `read-only`, `no-flush` where nothing
        can be made durable, `many-clients` where it is meant for several clients at once.
        """
        with self._told():
            if self._handle.is_read_only():
                return "read-only"
            if not self._handle.can_flush():
                return "no-flush"
            return "many-clients" if self._handle.can_multi_conn() else ""

    def read(self, start: int, length: int) -> bytes:
        """Exactly that many bytes."""
        with self._told():
            pieces = range(start, start + length, PIECE)
            return b"".join(bytes(self._handle.pread(min(PIECE, start + length - at), at)) for at in pieces)

    def write(self, start: int, data: bytes) -> None:
        """All bytes, not yet durable."""
        with self._told():
            for at in range(0, len(data), PIECE):
                self._handle.pwrite(data[at : at + PIECE], start + at)

    def zero(self, start: int, length: int) -> None:
        """Zeros without sending them."""
        with self._told():
            for at in range(start, start + length, MAP_PIECE):
                self._handle.zero(min(MAP_PIECE, start + length - at), at)

    def flush(self) -> None:
        """All that was written is on stable storage."""
        with self._told():
            self._handle.flush()

    def top_ranges(self) -> tuple[Range, ...]:
        """What the topmost image itself holds, neighbours joined."""
        found: list[Range] = []
        at = met = 0
        while at < self.size:
            pairs = self._depths(at, min(MAP_PIECE, self.size - at))
            met += len(pairs)
            if met > MOST_EXTENTS:
                raise refused(ReasonKind.TOOL_FAILED, self._path, tool="qemu-storage-daemon", cause="a map without end")
            for length, depth in pairs:
                if depth == 1:
                    found.append(Range(at, min(length, self.size - at)))
                at += length
        return tuple(joined(found))

    def _depths(self, start: int, length: int) -> Sequence[tuple[int, int]]:
        """(length, depth) of at least the beginning of a range; 1 is the topmost image, 0 nowhere."""
        numbers: list[int] = []

        def take(_context: str, _offset: int, entries: list[int], _error: int) -> int:
            numbers.extend(entries)
            return 0

        with self._told():
            self._handle.block_status(length, start, take)
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        if not pairs or any(each <= 0 for each, _ in pairs):
            raise refused(ReasonKind.TOOL_FAILED, self._path, tool="qemu-storage-daemon", cause="no map")
        return pairs

    @contextmanager
    def _told(self) -> Iterator[None]:
        """libnbd's errors as reasons."""
        import nbd

        try:
            with self._patience.waiting():
                yield
        except nbd.Error as error:
            raise _reason_of(self._path, error) from error

    def close(self) -> None:
        """Says goodbye; what was not flushed may be lost."""
        import nbd

        # A server that went before us hears nothing any more.
        with suppress(nbd.Error), self._patience.waiting():
            self._handle.shutdown()


@contextmanager
def client_on(
    connected: socket.socket, path: str, *, export: str = "", depths: bool = False, patience: float | None = None
) -> Iterator[NbdClient]:
    """The connection that a socket already is, which is closed at the end; `path` is the disk that it is about.

    The server has `patience` seconds to agree, else as many as for an answer.
    """
    import nbd  # lazily: what only looks at a disk reads it in a box, and needs no libnbd here

    handle = nbd.NBD()
    with connected, _watched(connected) as watch:
        try:
            handle.set_export_name(export)
            if depths:
                handle.add_meta_context(DEPTH)
            with watch.waiting(patience):
                handle.connect_socket(connected.dup().detach())
        except nbd.Error as error:
            raise _reason_of(path, error) from error
        client = NbdClient(handle, watch, path)
        try:
            yield client
        finally:
            client.close()


def nbd_client(socket_path: Path, path: str, *, export: str = "", depths: bool = False) -> AbstractContextManager[NbdClient]:
    """A connection to an export of the disk `path`; with `depths` its map of layers can be asked for."""
    return client_on(_connected(socket_path, path), path, export=export, depths=depths)


def _connected(socket_path: Path, path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(str(socket_path))
    except OSError as error:
        sock.close()
        raise refused(ReasonKind.TOOL_FAILED, path, tool="qemu-storage-daemon", cause=error.strerror) from error
    return sock


class Patience:
    """Hangs up when an answer takes too long, by which whoever waits for it gets an error; libnbd itself waits for ever.

    One thread for a connection: starting one for every request took longer than the requests.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._until = math.inf
        self._over = threading.Event()
        self._seconds = ANSWER_SECONDS
        threading.Thread(target=self._watch, daemon=True).start()

    @contextmanager
    def waiting(self, seconds: float | None = None) -> Iterator[None]:
        """For one request, so long, or as long as for any."""
        self._until = time.monotonic() + (seconds or self._seconds)
        try:
            yield
        finally:
            self._until = math.inf

    def end(self) -> None:
        """Nobody waits any more."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(min(LOOK_SECONDS, self._seconds / 4)):
            if time.monotonic() > self._until:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                return


@contextmanager
def _watched(sock: socket.socket) -> Iterator[Patience]:
    patience = Patience(sock)
    try:
        yield patience
    finally:
        patience.end()


def joined(ranges: Iterable[Range]) -> list[Range]:
    """The same ranges in their order, neighbours as one."""
    found: list[Range] = []
    for each in ranges:
        if found and found[-1].end == each.start:
            found[-1] = Range(found[-1].start, found[-1].length + each.length)
        else:
            found.append(each)
    return found


def _reason_of(path: str, error: Any) -> Refused:
    kind = ReasonKind.NO_SPACE if error.errnum == errno.ENOSPC else ReasonKind.TOOL_FAILED
    return refused(kind, path, tool="qemu-storage-daemon", cause=str(error.string))
