# SPDX-License-Identifier: Apache-2.0
"""Headers are read with bounds: every field lies inside the file, or the image is damaged.

Reads through a descriptor that it is given. A read past the end is Refused(IMAGE_DAMAGED).
"""

import os

from unxen.errors import Refused, refused
from unxen.model.reason import ReasonKind

MOST_BYTES = 64 << 20


class Source:
    """An open image file or block device; `size` in bytes."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.lseek(fd, 0, os.SEEK_END)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes."""
        if offset < 0 or not 0 <= length <= MOST_BYTES or offset + length > self.size:
            raise damaged(f"{length} bytes at {offset} lie outside the file of {self.size} bytes")
        data = os.pread(self._fd, length, offset)
        if len(data) != length:
            raise damaged(f"{length} bytes at {offset} cannot be read")
        return data

    def peek(self, offset: int, length: int) -> bytes:
        """What is there of these bytes, for telling formats apart."""
        return os.pread(self._fd, length, offset) if 0 <= offset < self.size else b""


def damaged(cause: str) -> Refused:
    """An image whose header contradicts itself or its file."""
    return refused(ReasonKind.IMAGE_DAMAGED, cause=cause)


def unsupported(feature: str) -> Refused:
    """An image of a kind that is not read."""
    return refused(ReasonKind.UNSUPPORTED_FEATURE, feature=feature)


MOST_VIRTUAL_BYTES = 1 << 50
"""1 PiB; the largest disk of any platform here is a thousandth of that, and more is an attack on whoever sizes by it."""


def sane_size(size: int) -> int:
    """The virtual size, if a disk can have it."""
    if not 0 < size <= MOST_VIRTUAL_BYTES:
        raise refused(ReasonKind.ABSURD_SIZE, size=size)
    return size
