# SPDX-License-Identifier: Apache-2.0
"""An export's bytes in their order, whatever wraps them: plain, gzip or zstd, never more than a bounded piece in memory.

Reads the descriptor that it is given. A compressed stream that ends before its last frame is whole raises `Cut`, one that is not
what its first bytes say raises `Broken`: a download that broke off must never look like a short one.
"""

import os
import zlib
from collections.abc import Callable, Iterator

PIECE = 1 << 20
# A frame of zeros holds 128 KiB in four bytes: what comes out of one step is below 128 MiB, whoever made the file.
ZSTD_STEP = 4096
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
GZIP_WRAPPED = 16 + zlib.MAX_WBITS

Read = Callable[[int], bytes]


class Broken(Exception):
    """The bytes are not what they should be; `problem` says how, for people."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class Cut(Broken):
    """The bytes end too early."""


class Pieces:
    """A stream from which exact lengths are taken; `place` is the offset in the unwrapped stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._waiting = bytearray()
        self.place = 0

    def exactly(self, length: int) -> bytes:
        """So many bytes; Cut when there are fewer."""
        while len(self._waiting) < length:
            piece = next(self._pieces, b"")
            if not piece:
                raise Cut(f"it ends at byte {self.place + len(self._waiting)}")
            self._waiting += piece
        data = bytes(self._waiting[:length])
        del self._waiting[:length]
        self.place += length
        return data

    def peek(self, length: int) -> bytes:
        """The next so many bytes, fewer at the end, which stay."""
        while len(self._waiting) < length and (piece := next(self._pieces, b"")):
            self._waiting += piece
        return bytes(self._waiting[:length])

    def rest(self) -> Iterator[bytes]:
        """What is left, to the stream's own end."""
        if self._waiting:
            yield bytes(self._waiting)
            self._waiting.clear()
        yield from self._pieces


def unwrapped(fd: int) -> Pieces:
    """The export behind a descriptor, told by its first bytes."""
    first = os.read(fd, PIECE)
    if first.startswith(ZSTD_MAGIC):
        return Pieces(_zstd(fd, first))
    return Pieces(_gzip(fd, first) if first.startswith(GZIP_MAGIC) else _plain(fd, first))


def _plain(fd: int, first: bytes) -> Iterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = os.read(fd, PIECE)


def _gzip(fd: int, first: bytes) -> Iterator[bytes]:
    for frame in _frames(_plain(fd, first)):
        yield from _gzip_frame(frame)


class _Frame:
    """The compressed bytes of what is left, with a way to put back what the decoder did not need."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self.left = b""

    def more(self) -> bytes:
        """The next compressed bytes, nothing at the end."""
        data, self.left = self.left or next(self._source, b""), b""
        return data


def _frames(source: Iterator[bytes]) -> Iterator[_Frame]:
    """One frame after the other until the file ends."""
    frame = _Frame(source)
    while True:
        frame.left = frame.more()
        if not frame.left:
            return
        yield frame


def _gzip_frame(frame: _Frame) -> Iterator[bytes]:
    decoder = zlib.decompressobj(GZIP_WRAPPED)
    data = b""
    try:
        while not decoder.eof:
            data = decoder.unconsumed_tail or frame.more()
            if not data:
                raise Cut("the gzip stream ends in the middle")
            if piece := decoder.decompress(data, PIECE):
                yield piece
    except zlib.error as error:
        raise Broken(f"the gzip stream is damaged ({error})") from error
    frame.left = decoder.unused_data


def _zstd(fd: int, first: bytes) -> Iterator[bytes]:
    import zstandard

    try:
        for frame in _frames(_steps(_plain(fd, first), ZSTD_STEP)):
            yield from _zstd_frame(frame, zstandard.ZstdDecompressor().decompressobj())
    except zstandard.ZstdError as error:
        raise Broken(f"the zstd stream is damaged ({error})") from error


def _zstd_frame(frame: _Frame, decoder: "zstandard.ZstdDecompressionObj") -> Iterator[bytes]:  # type: ignore[name-defined]  # noqa: F821
    while not decoder.eof:
        data = frame.more()
        if not data:
            raise Cut("the zstd stream ends in the middle")
        if piece := decoder.decompress(data):
            yield piece
    frame.left = decoder.unused_data


def _steps(source: Iterator[bytes], step: int) -> Iterator[bytes]:
    """The same bytes in small steps."""
    for piece in source:
        for start in range(0, len(piece), step):
            yield piece[start : start + step]
