# SPDX-License-Identifier: Apache-2.0
"""Writing a file through a file system changes more than its clusters; this names all that may change, so that the rest may not.

Inside the parser's box: reads through the connected socket that the request carries. Outside: believes only ranges that lie on the
volume. For a file: its clusters, its record, its directory's record and index, and the volume's $Bitmap.
"""

from collections.abc import Iterator
from typing import Any

from unxen.errors import refused
from unxen.host.box_protocol import Request, Response
from unxen.host.nbd_client import Range
from unxen.host.sandbox import Box
from unxen.model.codec import CodecError, decode
from unxen.model.ids import GuestPath
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.model.volume_facts import Volume
from unxen.probe.device import nbd_device
from unxen.probe.directory_index import INDEX
from unxen.probe.mft_record import Type
from unxen.probe.ntfs import NtfsVolume

OPERATION = "footprint"
BITMAP_RECORD = 6
MOST_RANGES = 1 << 16


@dataclass(frozen=True)
class FootprintRequest:
    """The volume's place on the disk in bytes, and the file."""

    start: int
    length: int
    path: GuestPath


def footprint(box: Box, fd: int, volume: Volume, path: GuestPath) -> tuple[Range, ...]:
    """Ranges of the disk that a write to this file may change; `fd` is a connected NBD socket."""
    asked = {"start": volume.start, "length": volume.length, "path": path}
    answer = box.ask(OPERATION, asked, fds=(fd,)).payload
    try:
        pairs = decode(tuple[tuple[int, int], ...], answer)
    except CodecError as error:
        raise refused(ReasonKind.PROBE_FAILED, OPERATION, cause=str(error)) from error
    end = volume.start + volume.length
    if len(pairs) > MOST_RANGES or any(not volume.start <= at <= at + length <= end for at, length in pairs):
        raise refused(ReasonKind.PROBE_FAILED, OPERATION, cause="ranges outside of the volume")
    return tuple(Range(at, length) for at, length in pairs)


def answer(request: Request) -> Response:
    """The operation `footprint`."""
    (fd,) = request.fds
    asked = decode(FootprintRequest, request.payload)
    volume = NtfsVolume(nbd_device(fd), asked.start, asked.length)
    found: Any = [[at, length] for at, length in _ranges(volume, asked)]
    return Response(found)


def _ranges(volume: NtfsVolume, asked: FootprintRequest) -> Iterator[tuple[int, int]]:
    parent = asked.path.rpartition("\\")[0]
    file, directory = volume.find(asked.path), volume.find(parent)
    if file is None or directory is None:
        raise refused(ReasonKind.PROBE_FAILED, OPERATION, cause="the file is gone")
    for number in (file.number, directory.number):
        yield volume.mft.place(number), volume.boot.record_size
    yield from _clusters(volume, asked.start, file.number, Type.DATA, "")
    yield from _clusters(volume, asked.start, directory.number, Type.INDEX_ALLOCATION, INDEX)
    yield from _clusters(volume, asked.start, BITMAP_RECORD, Type.DATA, "")


def _clusters(volume: NtfsVolume, start: int, number: int, kind: Type, name: str) -> Iterator[tuple[int, int]]:
    file = volume.mft.file(number)
    if not file.named(kind, name):
        return
    size = volume.boot.cluster_size
    for extent in volume.mft.stream(file, kind, name).extents:
        if extent.cluster is not None:
            yield start + extent.cluster * size, extent.count * size
