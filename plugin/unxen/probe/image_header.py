# SPDX-License-Identifier: Apache-2.0
"""Inside the parser's box: which format a file begins with, and what the header of the declared format says.

Reads through the request's descriptors. A header of another format is Refused(WRONG_FORMAT), one of none Refused(NOT_AN_IMAGE).
"""

import os
from collections.abc import Callable
from typing import TypeVar

from unxen.errors import refused
from unxen.host.box_protocol import Request, Response
from unxen.model.codec import decode, encode
from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.model.reason import ReasonKind
from unxen.probe.headers import qcow2, vdi, vhd, vhdx, vmdk
from unxen.probe.headers.source import Source, sane_size

T = TypeVar("T")

# From the start of the file, but for a fixed VHD, whose only mark is its footer.
MAGICS = (
    (0, qcow2.MAGIC, ImageFormat.QCOW2),
    (0, vhdx.MAGIC, ImageFormat.VHDX),
    (0, vmdk.MAGIC, ImageFormat.VMDK),
    (0, vmdk.OLD_MAGIC, ImageFormat.VMDK),
    (0, vmdk.TEXT_MAGIC, ImageFormat.VMDK),
    (vdi.MAGIC_AT, vdi.MAGIC.to_bytes(4, "little"), ImageFormat.VDI),
    (0, vhd.MAGIC, ImageFormat.VHD),
    (-vhd.FOOTER, vhd.MAGIC, ImageFormat.VHD),
)


def _read_raw(source: Source) -> ImageHeader:
    return ImageHeader(format=ImageFormat.RAW, virtual_size=sane_size(source.size))


READERS: dict[ImageFormat, Callable[[Source], ImageHeader]] = {
    ImageFormat.RAW: _read_raw,
    ImageFormat.QCOW2: qcow2.read_qcow2,
    ImageFormat.VHD: vhd.read_vhd,
    ImageFormat.VHDX: vhdx.read_vhdx,
    ImageFormat.VMDK: vmdk.read_vmdk,
    ImageFormat.VDI: vdi.read_vdi,
}


def answer(request: Request) -> Response:
    """The operation `header`: `{"format": …}` and one descriptor; gives the header."""
    declared = decode(ImageFormat, request.payload["format"])
    return Response(encode(_with_source(request, lambda source: read_header(source, declared))))


def sniff(request: Request) -> Response:
    """The operation `sniff`: one descriptor; gives the format whose mark the file bears, or null."""
    return Response(encode(_with_source(request, magic_of)))


def _with_source(request: Request, read: Callable[[Source], T]) -> T:
    (fd,) = request.fds
    try:
        return read(Source(fd))
    finally:
        os.close(fd)


def magic_of(source: Source) -> ImageFormat | None:
    """The format whose mark the file bears. A raw disk bears none, unless its guest wrote one."""
    for at, magic, kind in MAGICS:
        if source.peek(at if at >= 0 else source.size + at, len(magic)) == magic:
            return kind
    return None


def read_header(source: Source, declared: ImageFormat) -> ImageHeader:
    """The header as the declared format has it."""
    if source.size == 0:
        raise refused(ReasonKind.NOT_AN_IMAGE, expected=declared.value, cause="empty")
    found = magic_of(source)
    if declared is not ImageFormat.RAW and found is not declared:
        if found is None:
            raise refused(ReasonKind.NOT_AN_IMAGE, expected=declared.value, cause="no header of any known format")
        raise refused(ReasonKind.WRONG_FORMAT, expected=declared.value, found=found.value)
    return READERS[declared](source)
