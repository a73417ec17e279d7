# SPDX-License-Identifier: Apache-2.0
"""Inside the parser's box: which format a file begins with, and what the header of the declared format says.

Reads through the request's descriptors. A header of another format is Refused(WRONG_FORMAT), one of none Refused(NOT_AN_IMAGE).
"""

import os
from collections.abc import Callable, Iterator

from unxen.errors import refused
from unxen.host.box_protocol import Request, Response
from unxen.model.codec import decode, encode
from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.model.reason import ReasonKind
from unxen.probe.headers import qcow2_fields, vdi, vhd, vhdx, vmdk
from unxen.probe.headers.qcow2 import read_qcow2
from unxen.probe.headers.source import Source, sane_size

# From the start of the file, but for a fixed VHD, whose only mark is its footer.
MAGICS = (
    (0, qcow2_fields.MAGIC, ImageFormat.QCOW2),
    (0, vhdx.MAGIC, ImageFormat.VHDX),
    (0, vmdk.MAGIC, ImageFormat.VMDK),
    (0, vmdk.OLD_MAGIC, ImageFormat.VMDK),
    (0, vmdk.TEXT_MAGIC, ImageFormat.VMDK),
    (vdi.MAGIC_AT, vdi.MAGIC.to_bytes(4, "little"), ImageFormat.VDI),
    (0, vhd.MAGIC, ImageFormat.VHD),
    (-vhd.FOOTER_BYTES, vhd.MAGIC, ImageFormat.VHD),
)


SECTOR = 512


def _read_raw(source: Source) -> ImageHeader:
    """QEMU fills the last sector with zeros."""
    return ImageHeader(format=ImageFormat.RAW, virtual_size=sane_size(-(-source.size // SECTOR) * SECTOR))


READERS: dict[ImageFormat, Callable[[Source], ImageHeader]] = {
    ImageFormat.RAW: _read_raw,
    ImageFormat.QCOW2: read_qcow2,
    ImageFormat.VHD: vhd.read_vhd,
    ImageFormat.VHDX: vhdx.read_vhdx,
    ImageFormat.VMDK: vmdk.read_vmdk,
    ImageFormat.VDI: vdi.read_vdi,
}


def answer(request: Request) -> Response:
    """The operation `header`: `{"format": …}` and one descriptor; gives the header."""
    declared = decode(ImageFormat, request.payload["format"])
    (fd,) = request.fds
    try:
        return Response(encode(read_header(Source(fd), declared)))
    finally:
        os.close(fd)


def marks_of(source: Source) -> Iterator[ImageFormat]:
    """The formats whose marks the file bears. A raw disk bears none, unless its guest wrote one; others only one, or the same."""
    for at, magic, kind in MAGICS:
        if source.peek(at if at >= 0 else source.size + at, len(magic)) == magic:
            yield kind


def read_header(source: Source, declared: ImageFormat) -> ImageHeader:
    """The header as the declared format has it."""
    if source.size == 0:
        raise refused(ReasonKind.NOT_AN_IMAGE, expected=declared.value, cause="the file is empty")
    marks = tuple(marks_of(source))
    if declared is not ImageFormat.RAW and declared not in marks:
        if not marks:
            raise refused(ReasonKind.NOT_AN_IMAGE, expected=declared.value, cause="it begins as no known image format does")
        raise refused(ReasonKind.WRONG_FORMAT, expected=declared.value, found=marks[0].value)
    return READERS[declared](source)
