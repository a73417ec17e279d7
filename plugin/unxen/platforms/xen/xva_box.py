# SPDX-License-Identifier: Apache-2.0
"""The two questions about an export that are answered inside the parser's box: what it holds, and its next verified blocks.

Reads the one descriptor that it is given. An export's stream is kept between questions, because it can be read only once. Whatever
is wrong with it becomes Refused(EXPORT_DAMAGED) or Refused(NOT_AN_EXPORT).
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from unxen.errors import Refused, refused
from unxen.host.box_protocol import Request, Response
from unxen.model.codec import encode
from unxen.model.reason import ReasonKind
from unxen.platforms.xen.ova_xml import XvaContents, read_ova
from unxen.platforms.xen.pieces import Broken, unwrapped
from unxen.platforms.xen.tar_members import BLOCK, Member, members, parse_header
from unxen.platforms.xen.xva_blocks import Block, blocks
from unxen.platforms.xen.xva_protocol import Batch, Piece

OVA = "ova.xml"
MOST_OVA = 16 << 20
BLOCKS_PER_ANSWER = 8


class _Reading:
    """One export between two questions."""

    def __init__(self, path: str, contents: XvaContents, archive: Iterator[Member]) -> None:
        self.path = path
        self._numbers = {each.reference: number for number, each in enumerate(contents.disks)}
        sizes = {each.reference: each.size for each in contents.disks}
        self._blocks = blocks(archive, sizes, contents.skipped)

    def next(self) -> Response:
        """The next few blocks."""
        found: list[Block] = list(islice(self._blocks, BLOCKS_PER_ANSWER))
        pieces = tuple(Piece(self._numbers[each.reference], each.offset) for each in found)
        last = len(found) < BLOCKS_PER_ANSWER
        return Response(encode(Batch(pieces, last)), tuple(each.data for each in found))


_readings: list[_Reading] = []


def open_export(request: Request) -> Response:
    """Reads up to the end of ova.xml; the answer is an XvaContents."""
    path = _text(request.payload)
    try:
        stream = unwrapped(request.fds[0])
        _expect_ova(stream.peek(BLOCK), path)
        archive = members(stream, MOST_OVA)
        contents = read_ova(_ova(archive))
    except Broken as error:
        raise _damaged(path, error) from error
    _readings[:] = [_Reading(path, contents, archive)]
    return Response(encode(contents))


def next_blocks(_request: Request) -> Response:
    """The next verified blocks; the answer is a Batch, its blobs the bytes."""
    reading = _readings[0]
    try:
        return reading.next()
    except Broken as error:
        raise _damaged(reading.path, error) from error


def _text(payload: Any) -> str:
    return str(payload["path"])


def _expect_ova(header: bytes, path: str) -> None:
    """An export begins with its ova.xml, as a tar header without any magic; whatever else this is gets named."""
    try:
        name, _ = parse_header(header)
    except Broken:
        name = ""
    if name != OVA:
        raise refused(ReasonKind.NOT_AN_EXPORT, path, cause=_found(header, name))


def _ova(archive: Iterator[Member]) -> bytes:
    first = next(archive, None)
    if first is None or first.name != OVA:
        raise Broken("it has no ova.xml")
    return first.data


def _found(header: bytes, name: str) -> str:
    if name:
        return f"It is an archive, but its first file is {name}."
    beginning = header.lstrip()[:64].lower()
    if beginning.startswith((b"<!doctype html", b"<html")):
        return "It is a web page; the download was answered with a message."
    return "It is empty." if not header.strip(b"\0") else "It begins with something else."


def _damaged(path: str, error: Broken) -> Refused:
    return refused(ReasonKind.EXPORT_DAMAGED, path, cause=f"{error.problem[:1].upper()}{error.problem[1:]}.")
