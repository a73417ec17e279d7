# SPDX-License-Identifier: Apache-2.0
"""Every reader of a disk needs the same thing: bytes at an offset, few requests, and a bound on memory.

Reads through what it is given (an NBD handle or a plain file) and never writes. Past the end there is nothing: reads are cut
there as a file's are. A bad sector is an OSError; a lost connection is Refused(PROBE_FAILED), since nothing read then counts.
"""

import errno
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from unxen.errors import refused
from unxen.host import ledger
from unxen.model.progress import Part
from unxen.model.reason import ReasonKind

if TYPE_CHECKING:
    from pathlib import Path

# Without blocks of 64 KiB a look-up costs 3.5 times as much (266 requests); blocks of 1 MiB read 8 MB more (measured).
BLOCK = 64 << 10
BLOCKS = 256
# Sync reads of 1 to 4 MiB were the quickest way to a hive: 22 ms against 36 ms in pieces of 64 KiB (measured).
PIECE = 4 << 20


class Readable(Protocol):
    """Bytes at an offset, cut at `size`; `read_through` goes past the cache, for what is read once."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes: ...

    def read_through(self, offset: int, length: int) -> bytes: ...


class Device:
    """A whole disk behind a bounded cache; `requests` and `bytes_read` count what really went to the source."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        self.size = size
        self.requests = 0
        self.bytes_read = 0
        self._read = read
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes through the cache."""
        length = _cut(offset, length, self.size)
        if length <= 0:
            return b""
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        begin = offset - first * BLOCK
        if first == last:
            return self._block(first)[begin : begin + length]
        return b"".join(self._block(number) for number in range(first, last + 1))[begin : begin + length]

    def read_through(self, offset: int, length: int) -> bytes:
        """Bytes past the cache, in large pieces."""
        length = _cut(offset, length, self.size)
        return b"".join(self._fetch(at, min(PIECE, offset + length - at)) for at in range(offset, offset + length, PIECE))

    def _block(self, number: int) -> bytes:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        block = self._fetch(number * BLOCK, min(BLOCK, self.size - number * BLOCK))
        self._blocks[number] = block
        if len(self._blocks) > BLOCKS:
            self._blocks.popitem(last=False)
        return block

    def _fetch(self, offset: int, length: int) -> bytes:
        self.requests += 1
        self.bytes_read += length
        begun = time.perf_counter()
        data = self._read(offset, length)
        ledger.add(Part.BOX_READS, time.perf_counter() - begun, length)
        if len(data) != length:
            raise OSError(errno.EIO, "short read")
        return data


class Slice:
    """A part of a disk, such as a partition, with offsets of its own."""

    def __init__(self, whole: Readable, start: int, length: int) -> None:
        self.start = start
        self.size = max(0, min(length, whole.size - start))
        self._whole = whole

    def read(self, offset: int, length: int) -> bytes:
        """Bytes through the disk's cache."""
        return self._whole.read(self.start + offset, _cut(offset, length, self.size))

    def read_through(self, offset: int, length: int) -> bytes:
        """Bytes past the cache."""
        return self._whole.read_through(self.start + offset, _cut(offset, length, self.size))


class FileLike:
    """A readable part as the file object that pyfsntfs asks for: read, seek, tell, get_size."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, fewer at the end."""
        data = self._source.read(self._at, self._source.size - self._at if size < 0 else size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves as a file's seek does."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._source.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def get_size(self) -> int:
        """Bytes in all."""
        return self._source.size


def nbd_device(socket_fd: int) -> Device:
    """The disk behind a connected NBD socket, which belongs to the disk from here on."""
    import nbd  # lazily: the parent of the box imports this module's neighbours without libnbd

    handle = nbd.NBD()
    try:
        handle.connect_socket(socket_fd)
        size = handle.get_size()
    except nbd.Error as error:
        raise refused(ReasonKind.PROBE_FAILED, "look", cause=f"NBD: {error}") from error

    def read(offset: int, length: int) -> bytes:
        try:
            return bytes(handle.pread(length, offset))
        except nbd.Error as error:
            if handle.aio_is_dead() or handle.aio_is_closed():
                raise refused(ReasonKind.PROBE_FAILED, "look", cause="the connection to the disk was lost") from error
            raise OSError(error.errnum or errno.EIO, error.string) from error

    return Device(read, size)


def file_device(path: "Path") -> Device:
    """A plain file as a disk."""
    descriptor = path.open("rb", buffering=0)
    return Device(lambda offset, length: os.pread(descriptor.fileno(), length, offset), path.stat().st_size)


def _cut(offset: int, length: int, size: int) -> int:
    return max(0, min(length, size - offset)) if offset >= 0 else 0
