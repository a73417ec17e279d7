# SPDX-License-Identifier: Apache-2.0
"""A hive goes through five processes; in sealed memory all of them see the same pages, and nobody can change a byte of it.

Touches memory and descriptors alone. Memory that another process made is believed to be sealed only when the kernel says so; what
is not is an OSError, as is memory that there is none of: looking at it later cannot fail then. Where we ourselves get no memory or
descriptor, that is Refused(PROBE_FAILED): it says nothing about what it was for.
"""

import fcntl
import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import cast

from unxen.errors import refused
from unxen.model.reason import ReasonKind

SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
LARGE = 1 << 16
"""Bytes from which sealing pays; less than a socket holds without anybody reading it."""
PIECE = 1 << 20


class Sealed(mmap.mmap):
    """Bytes that can be sliced, unpacked and compared like `bytes`; `descriptor` is what other processes get."""

    descriptor: int = -1

    def __new__(cls, descriptor: int, length: int) -> "Sealed":
        """Takes over a descriptor, and closes it even when it is not one of sealed memory of that length (OSError)."""
        try:
            if fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & SEALS != SEALS or os.fstat(descriptor).st_size != length:
                raise OSError("not sealed")
            # A hole that no page is found for would end us by a signal when it is looked at.
            os.posix_fallocate(descriptor, 0, length)
            # Private, because kernels before 6.7 map nothing shared that was sealed against writing.
            made = super().__new__(cls, descriptor, length, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            os.close(descriptor)
            raise OSError(str(error)) from error
        made.descriptor = descriptor
        return made

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, bytes | bytearray | mmap.mmap):
            return NotImplemented
        return len(self) == len(other) and all(_piece(self, at) == _piece(other, at) for at in range(0, len(self), PIECE))

    __hash__ = None  # type: ignore[assignment]


def _piece(data: bytes | bytearray | mmap.mmap, at: int) -> bytes | bytearray:
    """Read, where that spares us to hold all pages that were ever looked at."""
    return os.pread(data.descriptor, PIECE, at) if isinstance(data, Sealed) else data[at : at + PIECE]


def collected(pieces: Iterable[bytes]) -> bytes:
    """All of them one behind the other, of which never more than one is held beside what they become."""
    descriptor, length = sealed_memory(pieces)
    if not length:
        os.close(descriptor)
        return b""
    with _ours():
        return cast(bytes, Sealed(descriptor, length))


def sealed_memory(pieces: Iterable[bytes]) -> tuple[int, int]:
    """A file without a name that holds them, which any account may read that is given its descriptor, and its length."""
    with _ours():
        descriptor, length = os.memfd_create("unxen", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), 0
    try:
        for each in pieces:
            length += len(each)
            with _ours():
                _write(descriptor, each)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, length


def _write(descriptor: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]


@contextmanager
def _ours() -> Iterator[None]:
    """What fails here is not what is read from, whose own OSError passes by."""
    try:
        yield
    except OSError as error:
        raise refused(ReasonKind.PROBE_FAILED, cause=f"no memory to hold it: {error}") from error


def shareable(data: bytes) -> bytes:
    """The same bytes where others can be given them without a copy, if they are many.

    Whoever works on a hive slices, unpacks and compares it, which a mapping bears like bytes.
    """
    return data if isinstance(data, Sealed) or len(data) < LARGE else collected((data,))
