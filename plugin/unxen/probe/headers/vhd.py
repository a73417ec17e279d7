# SPDX-License-Identifier: Apache-2.0
"""A VHD's footer says how large the disk is and whether it is only a difference, which QEMU ignores without a word.

Reads through a Source. Fields are those of Microsoft's "Virtual Hard Disk Image Format Specification".
"""

import struct

from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.probe.headers.source import Source, damaged, sane_size, unsupported

MAGIC = b"conectix"
FOOTER = 512
KINDS = {2: "fixed", 3: "dynamic", 4: "differencing"}
SPARSE = struct.Struct(">8sQQII")
MOST_ENTRIES = 1 << 21


def read_vhd(source: Source) -> ImageHeader:
    """The footer of a VHD: at the end of the file, or its copy at the beginning where the end was lost."""
    footer = source.read(source.size - FOOTER, FOOTER)
    if not footer.startswith(MAGIC):
        raise damaged("no footer at the end of the file")
    if _checksum(footer) != int.from_bytes(footer[64:68], "big"):
        raise damaged("footer with a wrong checksum")
    kind = KINDS.get(int.from_bytes(footer[60:64], "big"))
    if kind is None:
        raise unsupported(f"VHD type {int.from_bytes(footer[60:64], 'big')}")
    size = sane_size(int.from_bytes(footer[48:56], "big"))
    _check_layout(source, footer, kind, size)
    return ImageHeader(format=ImageFormat.VHD, virtual_size=size, kind=kind)


def _check_layout(source: Source, footer: bytes, kind: str, size: int) -> None:
    if kind == "fixed":
        if size > source.size - FOOTER:
            raise damaged(f"{size} bytes of disk in a file of {source.size}")
        return
    magic, _, table, _, entries = SPARSE.unpack(source.read(int.from_bytes(footer[16:24], "big"), SPARSE.size))
    if magic != b"cxsparse" or entries > MOST_ENTRIES:
        raise damaged("dynamic header")
    source.read(table, entries * 4)


def _checksum(footer: bytes) -> int:
    """Ones' complement of the sum of all bytes but the checksum's own."""
    return ~(sum(footer) - sum(footer[64:68])) & 0xFFFFFFFF
