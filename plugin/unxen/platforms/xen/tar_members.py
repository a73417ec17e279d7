# SPDX-License-Identifier: Apache-2.0
"""The members of an export, header by header, by our own reading: Python's tarfile takes a cut archive for a whole one.

Touches nothing but the stream. What XenServer writes is the oldest tar there is (no magic, type NUL); archives that GNU tar or
Python packed again are read too, as far as they say the same. Raises Broken for anything else, Cut where the end mark is missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from unxen.platforms.xen.pieces import Broken, Pieces

BLOCK = 512
ZEROS = bytes(BLOCK)
NAME = slice(0, 100)
SIZE = slice(124, 136)
CHECKSUM = slice(148, 156)
TYPE = slice(156, 157)
PREFIX = slice(345, 500)
MAGIC = slice(257, 262)
FILES = (b"\0", b"0")
DIRECTORY = b"5"
# GNU tar and Python fill up to a record of 10 KiB; XenServer does not.
MOST_PADDING = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file of the archive: its name and its bytes."""

    name: str
    data: bytes


def members(stream: Pieces, most: int) -> Iterator[Member]:
    """Every file up to the end mark; a member above `most` bytes is refused before it is read."""
    while (header := stream.exactly(BLOCK)) != ZEROS:
        name, size = parse_header(header)
        if header[TYPE] == DIRECTORY and size == 0:
            continue
        if header[TYPE] not in FILES:
            raise Broken(f"the archive has been packed again in a way that is not understood (at byte {stream.place - BLOCK})")
        if size > most:
            raise Broken(f"{name} is {size} bytes large")
        data = stream.exactly(size)
        stream.exactly(-size % BLOCK)
        yield Member(name, data)
    _end_mark(stream)


def parse_header(header: bytes) -> tuple[str, int]:
    """Name and size; Broken when the header's own checksum does not fit."""
    told = _octal(header[CHECKSUM])
    plain = header[: CHECKSUM.start] + b" " * 8 + header[CHECKSUM.stop :]
    if told != sum(plain):
        raise Broken("a header of the archive is damaged")
    name = _text(header[NAME])
    if header[MAGIC] == b"ustar" and header[PREFIX.start] and header[262:264] != b"  ":
        name = f"{_text(header[PREFIX])}/{name}"
    return name.removeprefix("./"), _octal(header[SIZE])


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits or digits.strip(b"01234567"):
        raise Broken("a header of the archive is damaged")
    return int(digits, 8)


def _end_mark(stream: Pieces) -> None:
    """Two empty blocks, and after them nothing but padding until the file, and what compressed it, ends."""
    if stream.exactly(BLOCK) != ZEROS:
        raise Broken("the archive's end mark is damaged")
    padding = 0
    for piece in stream.rest():
        padding += len(piece)
        if padding > MOST_PADDING or piece.strip(b"\0"):
            raise Broken("something follows the archive's end")
