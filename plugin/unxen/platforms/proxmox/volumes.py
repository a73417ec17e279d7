# SPDX-License-Identifier: Apache-2.0
"""From a volume's name to the file or device that unxen may open, its format told by the storage and never by its content.

Asks the node for paths and activates what is not there yet; opens nothing. Refused where a volume must not be written (the base of
linked clones), or is no file and no device of this host.
"""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from unxen.errors import refused
from unxen.model.ids import ImageFormat
from unxen.model.reason import ReasonKind
from unxen.model.remote import Remote
from unxen.platforms.proxmox.remote_volumes import remote_volume
from unxen.platforms.proxmox.tables import Reach, StorageRow, storages

_VOLUME = re.compile(r"([a-zA-Z][a-zA-Z0-9_.-]*):(.+)")
_OWNER = re.compile(r"(?:vm|base|basevol)-([0-9]+)-")
_BASES = ("base-", "basevol-")
_BY_SUFFIX = {".raw": ImageFormat.RAW, ".qcow2": ImageFormat.QCOW2, ".vmdk": ImageFormat.VMDK, ".subvol": None}


class Storages(Protocol):
    """What has to be asked of a node about its storages."""

    def storage_type(self, storage: str, /) -> str:
        """The type of a storage."""

    def path(self, volume: str, /) -> str:
        """Where a volume is, whether it is there or not."""

    def activate(self, volume: str, /) -> None:
        """Makes the volume appear."""


@dataclass(frozen=True)
class Volume:
    """A volume's name in its parts. `storage` is empty for a path given as it is."""

    id: str
    storage: str
    name: str

    @property
    def last(self) -> str:
        """The part of the name that names this volume, behind the base that a linked clone is built on."""
        return self.name.rpartition("/")[2]

    @property
    def owner(self) -> str:
        """The VM that owns it, or nothing."""
        found = _OWNER.match(self.last)
        return found[1] if found else ""

    @property
    def is_base(self) -> bool:
        """Whether linked clones are built on it."""
        return self.last.startswith(_BASES)


@dataclass(frozen=True)
class Location:
    """Where a volume lies and in which format; `allowed`: the directory in which its backing files may lie, or nothing.

    `remote`: it lies on a server, and `path` is its URL.
    """

    path: str
    format: ImageFormat
    allowed: str = ""
    remote: Remote | None = None


def parse_volume(text: str) -> Volume:
    """The parts of `local:100/vm-100-disk-0.raw`; a path stays a path."""
    found = _VOLUME.fullmatch(text)
    if text.startswith("/") or found is None:
        return Volume(text, "", text)
    return Volume(text, found[1], found[2])


def locate(text: str, storages_here: Storages) -> Location:
    """Where a volume is, after activating it where that is needed."""
    volume = parse_volume(text)
    if volume.is_base:
        raise refused(ReasonKind.BACKING_OF_OTHERS, text, cause="It is the base of linked clones.")
    if not volume.storage:
        return _plain_path(text)
    row = _row(text, storages_here.storage_type(volume.storage))
    format = format_of(volume, row)
    path = storages_here.path(text)
    if remote := remote_volume(text, volume.storage, path):
        return Location(remote.url, format, remote=remote)
    if row.reach is Reach.NETWORK or not path.startswith("/"):
        raise _unreachable(text, row.type, f"its place is {path}, which is no file and no device of this node")
    if row.activates and not os.path.exists(path):  # noqa: PTH110
        storages_here.activate(text)
    if row.activates and not os.path.exists(path):  # noqa: PTH110
        raise refused(ReasonKind.DISK_MISSING, text, cause=f"{path} did not appear when the volume was activated")
    return Location(path, format, _backing_directory(path, row, volume))


def format_of(volume: Volume, row: StorageRow) -> ImageFormat:
    """The format that the storage gives this volume."""
    suffix = PurePath(volume.last).suffix.lower()
    if not row.named:
        return ImageFormat.QCOW2 if suffix == ".qcow2" else ImageFormat.RAW
    found = _BY_SUFFIX.get(suffix)
    if found is None:
        raise _unreachable(volume.id, row.type, "its name tells no image format")
    return found


def _row(text: str, kind: str) -> StorageRow:
    row = storages().get(kind)
    if row is None:
        raise _unreachable(text, kind, "this type of storage is not known here")
    return row


def _plain_path(path: str) -> Location:
    """A disk of the host that was attached by its path: Proxmox passes it through as raw."""
    try:
        if path.startswith("/") and stat.S_ISBLK(os.stat(path).st_mode):  # noqa: PTH116
            return Location(path, ImageFormat.RAW)
    except OSError as error:
        raise refused(ReasonKind.DISK_MISSING, path, cause=error.strerror) from error
    raise _unreachable(path, "none", "only block devices are taken by their path")


def _backing_directory(path: str, row: StorageRow, volume: Volume) -> str:
    """A linked clone's base lies beside its own directory, in that of another VM."""
    linked = "/" in volume.name.removeprefix(f"{volume.owner}/")
    return str(PurePath(path).parent.parent) if row.reach is Reach.FILE and linked else ""


def _unreachable(text: str, kind: str, problem: str) -> Exception:
    return refused(ReasonKind.PLATFORM_REFUSED, text, problem=f"storage type {kind}: {problem}")
