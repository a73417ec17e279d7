# SPDX-License-Identifier: Apache-2.0
"""A raw image or a block device takes a disk's bytes in growing order, and nothing where there are only zeros, if it reads so.

Writes to the one path that it was opened for. A new file must not exist before and is its owner's alone; a device must have room
and is told to forget ranges, because what lay there before is not zeros. Raises Refused(NO_SPACE, NO_PERMISSION, DISK_MISSING,
OUTPUT_EXISTS); what was written until then stays.
"""

import errno
import fcntl
import os
import struct

from unxen.errors import Refused, refused
from unxen.model.reason import ReasonKind

BLKGETSIZE64 = 0x80081272
BLKZEROOUT = 0x127F
GRAIN = 64 << 10
_ZEROS = bytes(GRAIN)
_KINDS = {
    errno.ENOSPC: ReasonKind.NO_SPACE,
    errno.EDQUOT: ReasonKind.NO_SPACE,
    errno.ENOENT: ReasonKind.DISK_MISSING,
    errno.EEXIST: ReasonKind.OUTPUT_EXISTS,
}


class RawSink:
    """One disk on its way to a raw image or device; `close` makes it durable."""

    def __init__(self, path: str, fd: int, *, device: bool) -> None:
        self._path = path
        self._fd = fd
        self._device = device

    @classmethod
    def new_file(cls, path: str, size: int) -> "RawSink":
        """A new sparse file of so many bytes."""
        fd = _opened(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            os.truncate(fd, size)
        except OSError as error:
            os.close(fd)
            raise _failed(path, error) from error
        return cls(path, fd, device=False)

    @classmethod
    def new_volume(cls, path: str, size: int) -> "RawSink":
        """A file or device that somebody made for this disk a moment ago; a file must still be empty of bytes, and large enough."""
        if not os.path.isfile(path):  # noqa: PTH113
            return cls.device(path, size)
        fd = _opened(path, os.O_RDWR)
        seen = os.fstat(fd)
        if seen.st_size < size:
            os.close(fd)
            raise refused(ReasonKind.NO_SPACE, path, needed=size, free=seen.st_size)
        return cls(path, fd, device=False)

    @classmethod
    def device(cls, path: str, size: int) -> "RawSink":
        """A block device that has at least so many bytes and that nobody else has open exclusively."""
        fd = _opened(path, os.O_RDWR | os.O_EXCL)
        (room,) = struct.unpack("<Q", fcntl.ioctl(fd, BLKGETSIZE64, bytes(8)))
        if room < size:
            os.close(fd)
            raise refused(ReasonKind.NO_SPACE, path, needed=size, free=room)
        return cls(path, fd, device=True)

    def write(self, offset: int, data: bytes) -> None:
        """Bytes at an offset; grains of zeros become holes."""
        try:
            for start in range(0, len(data), GRAIN):
                grain = data[start : start + GRAIN]
                if grain == _ZEROS[: len(grain)]:
                    self._zero(offset + start, len(grain))
                else:
                    _write_all(self._fd, grain, offset + start)
        except OSError as error:
            raise _failed(self._path, error) from error

    def zero(self, offset: int, length: int) -> None:
        """A range of zeros."""
        try:
            self._zero(offset, length)
        except OSError as error:
            raise _failed(self._path, error) from error

    def close(self) -> None:
        """Durable, and closed."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise _failed(self._path, error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Closed as it is; again is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _zero(self, offset: int, length: int) -> None:
        """A new file reads as zeros where nobody wrote; a device has to be told."""
        if self._device:
            fcntl.ioctl(self._fd, BLKZEROOUT, struct.pack("<QQ", offset, length))


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _opened(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: str, error: OSError) -> Refused:
    kind = _KINDS.get(error.errno or 0, ReasonKind.NO_PERMISSION)
    return refused(kind, path, cause=error.strerror or str(error))
