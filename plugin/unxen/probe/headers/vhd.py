# SPDX-License-Identifier: Apache-2.0
"""A VHD's footer says how large the disk is and whether it is only a difference, which QEMU ignores without a word.

Reads through a Source. Fields are those of Microsoft's "Virtual Hard Disk Image Format Specification". A file that can be read in
two ways, or has lost its end, is Refused(IMAGE_DAMAGED).
"""

import struct
import sys
from array import array

from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.model.record import dataclass
from unxen.probe.headers.source import Source, damaged, sane_size, unsupported

MAGIC = b"conectix"
FOOTER = struct.Struct(">8sIIQ16x8xQ4xII")
FOOTER_BYTES = 512
CHECKSUM = slice(64, 68)
KINDS = {2: "fixed", 3: "dynamic", 4: "differencing"}
SPARSE = struct.Struct(">8sQQIII")
MOST_ENTRIES = 1 << 21
UNUSED = 0xFFFFFFFF
SECTOR = 512


@dataclass(frozen=True)
class _Footer:
    """What decides how the file is read."""

    kind: str
    size: int
    data_offset: int


def read_vhd(source: Source) -> ImageHeader:
    """The footer of a VHD."""
    footer = _footer(source.read(source.size - FOOTER_BYTES, FOOTER_BYTES))
    size = sane_size(footer.size // SECTOR * SECTOR)
    if footer.kind == "fixed":
        _check_fixed(source, size)
    else:
        _check_sparse(source, footer, size)
    return ImageHeader(format=ImageFormat.VHD, virtual_size=size, kind=footer.kind)


def _footer(data: bytes) -> _Footer:
    if not data.startswith(MAGIC):
        raise damaged("no footer at the end of the file")
    if ~(sum(data) - sum(data[CHECKSUM])) & 0xFFFFFFFF != int.from_bytes(data[CHECKSUM], "big"):
        raise damaged("footer with a wrong checksum")
    _, _, _, offset, size, number, _ = FOOTER.unpack_from(data)
    if number not in KINDS:
        raise unsupported(f"VHD type {number}")
    return _Footer(KINDS[number], size, offset)


def _check_fixed(source: Source, size: int) -> None:
    """QEMU takes a footer in the first sector for that of a dynamic disk, and there a guest can write what it likes."""
    if source.peek(0, len(MAGIC)) == MAGIC:
        raise damaged("fixed by its footer, and another footer in its first sector")
    if size > source.size - FOOTER_BYTES:
        raise damaged(f"{size} bytes of disk in a file of {source.size}")


def _check_sparse(source: Source, footer: _Footer, size: int) -> None:
    if _footer(source.read(0, FOOTER_BYTES)) != footer:
        raise damaged("two footers that differ")
    magic, _, table, _, entries, block = SPARSE.unpack(source.read(footer.data_offset, SPARSE.size))
    if magic != b"cxsparse" or entries > MOST_ENTRIES or entries * block < size:
        raise damaged("dynamic header")
    blocks = array("I", source.read(table, entries * 4))
    if sys.byteorder == "little":
        blocks.byteswap()
    last = max((each for each in blocks if each != UNUSED), default=0)
    if last * SECTOR >= source.size:
        raise damaged(f"data at {last * SECTOR} lies outside the file of {source.size} bytes")
