# SPDX-License-Identifier: Apache-2.0
"""Every image of a guest is looked at by its header, layer by layer, before a QEMU program opens any of them.

Opens files read-only and hands the descriptors to the parser's box; names in headers are resolved and judged here. What is unsafe,
damaged or out of reach is refused, with the file it is about.
"""

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from unxen.errors import Refused, refused
from unxen.host.ledger import spending
from unxen.host.sandbox import Box
from unxen.model.codec import CodecError, decode
from unxen.model.disk import Disk, ImageChain, ImageHeader, ImageLayer
from unxen.model.guest import Guest
from unxen.model.ids import ImageFormat
from unxen.model.progress import Part
from unxen.model.reason import Reason, ReasonKind
from unxen.model.record import replace
from unxen.model.settings import Settings

T = TypeVar("T")
MOST_LAYERS = 64
SECTOR = 512
# As QEMU tells protocols from paths: a colon before the first slash.
PROTOCOL = re.compile(r"[^/]*:")
BACKING_FORMATS = {
    "raw": ImageFormat.RAW,
    "qcow2": ImageFormat.QCOW2,
    "vpc": ImageFormat.VHD,
    "vhdx": ImageFormat.VHDX,
    "vmdk": ImageFormat.VMDK,
    "vdi": ImageFormat.VDI,
}
OPENING = {
    FileNotFoundError: ReasonKind.DISK_MISSING,
    NotADirectoryError: ReasonKind.DISK_MISSING,
    PermissionError: ReasonKind.NO_PERMISSION,
}
# Kinds that QEMU can read and not write, or writes only from the start.
UNWRITABLE = {ImageFormat.VMDK: ("streamOptimized",)}
# Not readable either before their log is replayed, which writes.
UNREADABLE_WHEN_DIRTY = (ImageFormat.VHDX,)


def allowed_directories(guest: Guest, settings: Settings) -> tuple[Path, ...]:
    """Where backing files may lie beside an image's own directory: as configured, and as the guest's platform says."""
    return (*settings.backing_dirs, *(Path(each) for each in guest.backing_dirs))


@spending(Part.HEADERS)
def check_images(
    disks: Sequence[Disk], box: Box, backing_dirs: Sequence[Path], *, after_crash: bool = False
) -> tuple[ImageChain, ...]:
    """The checked chain of every disk; the first unsafe, damaged or missing layer refuses all.

    `after_crash`: the disks' own files were being written by us, so it is no wonder when they were not closed.
    """
    chains = tuple(_chain(disk, box, backing_dirs) for disk in disks)
    for chain in chains:
        for layer in chain.layers[1 if after_crash else 0 :]:
            _check_readable(layer)
    return chains


def check_writable_headers(chain: ImageChain, *, after_crash: bool = False) -> None:
    """Refuses a disk whose own file must not be written: left dirty or corrupt by somebody, or of a kind that cannot be written."""
    layer = chain.layers[0]
    header = layer.header
    if header.corrupt:
        raise refused(ReasonKind.IMAGE_DAMAGED, layer.path, cause="marked as corrupt in its header", format=header.format.value)
    if header.dirty and not after_crash:
        raise refused(ReasonKind.IMAGE_DIRTY, layer.path, format=header.format.value)
    if header.kind in UNWRITABLE.get(header.format, ()):
        raise refused(ReasonKind.NOT_WRITABLE_KIND, layer.path, subformat=header.kind, format=header.format.value)


def _chain(disk: Disk, box: Box, backing_dirs: Sequence[Path]) -> ImageChain:
    # A disk given by a link lies in two directories that somebody chose.
    own = (Path(os.path.realpath(disk.path)).parent, Path(os.path.realpath(Path(disk.path).parent)))
    allowed = [*own, *(Path(os.path.realpath(each)) for each in backing_dirs)]
    layers = [_remote_layer(disk) if disk.remote else _windowed(disk, _layer(disk.path, disk.format, box, ReasonKind.DISK_MISSING))]
    while layers[-1].header.backing_file:
        if len(layers) == MOST_LAYERS:
            raise refused(ReasonKind.BACKING_CYCLE, disk.path, depth=MOST_LAYERS)
        path, kind = _backing(layers[-1], allowed)
        layer = _layer(path, kind, box, ReasonKind.BACKING_MISSING)
        if any((layer.device, layer.inode) == (each.device, each.inode) for each in layers):
            raise refused(ReasonKind.BACKING_CYCLE, disk.path, path=path)
        layers.append(layer)
    return ImageChain(disk, tuple(layers))


def _remote_layer(disk: Disk) -> ImageLayer:
    """A server's image has no header that anybody reads: raw is what can be had there."""
    if disk.format is not ImageFormat.RAW:
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, disk.path, feature="the format", value=disk.format.value)
    from unxen.host.remote import size_of  # lazily: most disks are files

    size = size_of(disk)
    return ImageLayer(disk.path, ImageHeader(ImageFormat.RAW, size), 0, 0, size)


def _windowed(disk: Disk, layer: ImageLayer) -> ImageLayer:
    """The same with the window's size; a window that is not wholly inside would be cut off by QEMU, or refused."""
    window = disk.window
    if window is None:
        return layer
    if disk.format is not ImageFormat.RAW:
        raise refused(ReasonKind.UNSUPPORTED_FEATURE, disk.path, feature="slices", format=disk.format.value)
    if window.length <= 0 or window.length % SECTOR or not 0 <= window.start <= layer.file_size - window.length:
        place = f"{window.start}+{window.length}"
        raise refused(
            ReasonKind.IMAGE_DAMAGED, disk.path, cause=f"the slice {place} is not within the {layer.file_size} bytes there"
        )
    return replace(layer, header=replace(layer.header, virtual_size=window.length))


def _layer(path: str, kind: ImageFormat, box: Box, missing: ReasonKind) -> ImageLayer:
    fd, seen = _open(path, missing)
    try:
        answer = box.ask("header", {"format": kind.value}, fds=(fd,)).payload
        size = os.lseek(fd, 0, os.SEEK_END)
    except Refused as error:
        raise Refused(*(_about(path, each) for each in error.reasons)) from error
    finally:
        os.close(fd)
    header = _decoded(path, ImageHeader, answer)
    _check_safe(path, header)
    return ImageLayer(path, header, seen.st_dev, seen.st_ino, size)


def _about(path: str, reason: Reason) -> Reason:
    """The box knows no paths; what the host lacks keeps its own subject."""
    return replace(reason, subject=path) if reason.kind is ReasonKind.PROBE_FAILED or not reason.subject else reason


def _open(path: str, missing: ReasonKind) -> tuple[int, os.stat_result]:
    """An image file or block device, open for reading; O_NONBLOCK lets a fifo be refused instead of waited for."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        kind = OPENING.get(type(error), ReasonKind.NOT_AN_IMAGE)
        raise refused(missing if kind is ReasonKind.DISK_MISSING else kind, path, cause=error.strerror) from error
    seen = os.fstat(fd)
    if not (stat.S_ISREG(seen.st_mode) or stat.S_ISBLK(seen.st_mode)):
        os.close(fd)
        raise refused(ReasonKind.NOT_AN_IMAGE, path, cause="neither a file nor a block device")
    return fd, seen


def _check_safe(path: str, header: ImageHeader) -> None:
    """What no disk may have, readable or not."""
    if header.encrypted:
        raise refused(ReasonKind.IMAGE_ENCRYPTED, path, format=header.format.value)
    if header.data_file:
        raise refused(ReasonKind.EXTERNAL_DATA_FILE, path, name=header.data_file)
    if header.unknown_features:
        raise refused(ReasonKind.UNSUPPORTED_FEATURE, path, feature=", ".join(header.unknown_features))
    if header.kind == "differencing":
        kind = ReasonKind.DIFFERENCING_VHD if header.format is ImageFormat.VHD else ReasonKind.UNSUPPORTED_FEATURE
        raise refused(kind, path, feature="differencing", format=header.format.value)


def _check_readable(layer: ImageLayer) -> None:
    header = layer.header
    if header.dirty and header.format in UNREADABLE_WHEN_DIRTY:
        raise refused(ReasonKind.IMAGE_DIRTY, layer.path, format=header.format.value, cause="log not replayed")


def _backing(layer: ImageLayer, allowed: Sequence[Path]) -> tuple[str, ImageFormat]:
    """Where a layer's backing file is, spelled as QEMU spells it (a further relative name depends on that), and its format."""
    name = layer.header.backing_file
    if PROTOCOL.match(name):
        raise refused(ReasonKind.BACKING_OUTSIDE, layer.path, name=name)
    path = str(Path(layer.path).parent / name)
    _check_allowed(layer, os.path.realpath(path), allowed)
    kind = BACKING_FORMATS.get(_backing_format(layer.header))
    if kind is None:
        raise refused(ReasonKind.BACKING_FORMAT_UNKNOWN, layer.path, name=name, format=layer.header.backing_format)
    return path, kind


def _check_allowed(layer: ImageLayer, real: str, allowed: Sequence[Path]) -> None:
    if not any(Path(real).is_relative_to(each) for each in allowed):
        raise refused(ReasonKind.BACKING_OUTSIDE, layer.path, name=layer.header.backing_file, path=real)


def _backing_format(header: ImageHeader) -> str:
    """A VMDK's parent is always a VMDK; everybody else has to say."""
    return "vmdk" if header.format is ImageFormat.VMDK else header.backing_format


def _decoded(path: str, kind: type[T], document: Any) -> T:
    try:
        return decode(kind, document)
    except CodecError as error:
        raise refused(ReasonKind.PROBE_FAILED, path, cause=str(error)) from error
