# SPDX-License-Identifier: Apache-2.0
r"""An export of XenServer or XCP-ng (.xva): one pass from the file to the new disks, without a copy between and without trust.

    with open_xva(path) as export:
        export.definition                       # a MachineDefinition; its drives have no paths yet
        export.disks                            # XvaDisk: slot, name, size in bytes; in slot order
        export.stream(lambda disk: sink_for(disk), listener)

`stream` asks for one sink per disk when that disk's bytes come, in the export's own order, writes, and closes it. Only when it
returns was everything verified: every block against its checksum, every disk from first to last byte, the archive's end mark, the
end of the compressed stream. When it raises, what the sinks hold must be thrown away.

Opens the export for reading and nothing else. Unwrapping, archive, ova.xml and checksums are handled in the parser's box; what it
answers is checked here against the sizes of the disks. Raises Refused(DISK_MISSING, NO_PERMISSION, EXPORT_DAMAGED, NOT_AN_EXPORT,
PARAVIRTUAL_GUEST, PROBE_FAILED).
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from unxen.errors import Refused, refused
from unxen.host.box_protocol import Response
from unxen.host.sandbox import Box, Limits
from unxen.model.codec import CodecError, decode
from unxen.model.machine import MachineDefinition
from unxen.model.progress import Advanced, Listener, Step, nobody
from unxen.model.reason import ReasonKind
from unxen.platforms.xen.ova_xml import XvaContents, XvaDisk
from unxen.platforms.xen.xva_protocol import Batch, Piece

# The whole of a large export goes through one box, so its processor time is bounded by the export's length, not by seconds.
LIMITS = Limits(cpu_seconds=7 * 24 * 3600, answer_seconds=600.0)


class Sink(Protocol):
    """Where one disk's bytes go. Offsets grow; what is neither written nor zeroed does not happen."""

    def write(self, offset: int, data: bytes) -> None:
        """Bytes at an offset."""

    def zero(self, offset: int, length: int) -> None:
        """A range that must read as zeros afterwards."""

    def close(self) -> None:
        """Everything has come; make it durable."""


@dataclass
class _Target:
    """One disk on its way."""

    number: int
    disk: XvaDisk
    sink: Sink
    position: int = 0


class XvaExport:
    """An open export: what it holds is known, its disks have not been read yet."""

    def __init__(self, path: str, box: Box, contents: XvaContents) -> None:
        self._path = path
        self._box = box
        self._contents = contents

    @property
    def definition(self) -> MachineDefinition:
        """The machine."""
        return self._contents.definition

    @property
    def disks(self) -> tuple[XvaDisk, ...]:
        """The disks that the export carries, in the order of their slots."""
        return self._contents.disks

    def stream(self, sink_for: Callable[[XvaDisk], Sink], listener: Listener = nobody) -> None:
        """Every disk into its sink, once."""
        total = sum(each.size for each in self.disks)
        done, target = 0, None
        seen: set[int] = set()
        for piece, data in self._pieces():
            if target is None or piece.disk != target.number:
                self._finish(target)
                target = self._begin(piece.disk, seen, sink_for)
            done += self._put(target, piece, data)
            listener(Advanced(Step.COPY, done, total))
        self._finish(target)
        if len(seen) != len(self.disks):
            raise self._babbled("disks are missing")

    def _pieces(self) -> Iterator[tuple[Piece, bytes]]:
        while True:
            response = self._box.ask("xva-next", {})
            batch = self._batch(response)
            yield from zip(batch.pieces, response.blobs, strict=True)
            if batch.last:
                return

    def _batch(self, response: Response) -> Batch:
        try:
            batch = decode(Batch, response.payload)
        except CodecError as error:
            raise self._babbled(str(error)) from error
        if len(batch.pieces) != len(response.blobs):
            raise self._babbled("pieces without bytes")
        return batch

    def _begin(self, number: int, seen: set[int], sink_for: Callable[[XvaDisk], Sink]) -> _Target:
        if not 0 <= number < len(self.disks) or number in seen:
            raise self._babbled("a disk that is none")
        seen.add(number)
        return _Target(number, self.disks[number], sink_for(self.disks[number]))

    def _put(self, target: _Target, piece: Piece, data: bytes) -> int:
        """Writes one piece and the zeros before it; gives how far that brought the disk."""
        before, end = target.position, piece.offset + len(data)
        if piece.offset < before or end > target.disk.size:
            raise self._babbled("a piece outside of its disk")
        if piece.offset > before:
            target.sink.zero(before, piece.offset - before)
        target.sink.write(piece.offset, data)
        target.position = end
        return end - before

    def _finish(self, target: _Target | None) -> None:
        if target is None:
            return
        if target.position != target.disk.size:
            raise self._babbled("a disk ended early")
        target.sink.close()

    def _babbled(self, cause: str) -> Refused:
        return refused(ReasonKind.PROBE_FAILED, self._path, cause=cause)


@contextmanager
def open_xva(path: str) -> Iterator[XvaExport]:
    """The export at `path`, for one pass."""
    fd = _open(path)
    try:
        with Box.open(LIMITS) as box:
            response = box.ask("xva-open", {"path": path}, fds=(fd,))
            try:
                contents = decode(XvaContents, response.payload)
            except CodecError as error:
                raise refused(ReasonKind.PROBE_FAILED, path, cause=str(error)) from error
            yield XvaExport(path, box, contents)
    finally:
        os.close(fd)


def _open(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise refused(ReasonKind.DISK_MISSING, path) from error
    except (OSError, ValueError) as error:
        raise refused(ReasonKind.NO_PERMISSION, path, cause=getattr(error, "strerror", str(error))) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise refused(ReasonKind.NOT_AN_EXPORT, path, cause="It is no file.")
    return fd
