# SPDX-License-Identifier: Apache-2.0
"""Disk images given by hand are a platform too: one that knows no machine and cannot switch a bus.

Looks at names, and at the first bytes of a file whose format came from its name alone; opens nothing for writing. Raises Refused
(FORMAT_NEEDED, WRONG_FORMAT, USAGE, PLATFORM_REFUSED).
"""

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import PurePath

from unxen.errors import Refused, refused
from unxen.model.definition import Switch, Wish
from unxen.model.disk import Disk
from unxen.model.guest import Guest
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.remote import is_remote
from unxen.model.settings import Settings
from unxen.platforms.base import Ability, GuestState, HookCall, StillStopped

FORMATS_BY_NAME = {
    ".qcow2": ImageFormat.QCOW2,
    ".vmdk": ImageFormat.VMDK,
    ".vhd": ImageFormat.VHD,
    ".vhdx": ImageFormat.VHDX,
    ".vdi": ImageFormat.VDI,
    ".raw": ImageFormat.RAW,
    ".img": ImageFormat.RAW,
}
FORMAT_ALIASES = {"vpc": ImageFormat.VHD}
FORMAT_NAMES = (*(each.value for each in ImageFormat), *FORMAT_ALIASES)

# (offset, bytes): the signatures by which a file that is called raw shows to be something else. Compared, never interpreted.
_MAGICS: tuple[tuple[int, bytes, ImageFormat], ...] = (
    (0, b"QFI\xfb", ImageFormat.QCOW2),
    (0, b"vhdxfile", ImageFormat.VHDX),
    (0, b"conectix", ImageFormat.VHD),
    (0, b"KDMV", ImageFormat.VMDK),
    (0, b"COWD", ImageFormat.VMDK),
    (0, b"# Disk DescriptorFile", ImageFormat.VMDK),
    (0x40, b"\x7f\x10\xda\xbe", ImageFormat.VDI),
)
_HEAD = 512
_BOOT_SECTOR = b"\x55\xaa"


class FilesPlatform:
    """Paths of images and block devices."""

    abilities: frozenset[Ability] = frozenset()

    def describe(self, targets: Sequence[str], formats: Sequence[str], /) -> Guest:
        """The disks in the order given; a format that was not given comes from the name, and the header must not contradict."""
        if len(formats) > len(targets):
            problem = f"--format was given {len(formats)} times for {len(targets)} disks"
            raise refused(ReasonKind.USAGE, problem=problem)
        disks = [_disk(number, path, formats) for number, path in enumerate(targets, 1)]
        _no_disk_twice(disks)
        return Guest(tuple(targets), tuple(disks))

    def obstacles(self, _guest: Guest, /) -> tuple[Reason, ...]:
        """A file is only what it is."""
        return ()

    def neighbours(self, _guest: Guest, /) -> tuple[Disk, ...]:
        """Nobody knows which other files there are."""
        return ()

    def locked(self, _guest: Guest, /) -> AbstractContextManager[StillStopped]:
        """Files have no platform that could lock them; image locks do it."""
        return nullcontext(_nothing)

    def plan_switch(self, _guest: Guest, _wish: Wish, /) -> Switch:
        """There is no machine; the report tells which bus to use."""
        return Switch("", "")

    def switch(self, _guest: Guest, _switch: Switch, /) -> str:
        """There is nothing to be switched."""
        raise _cannot("switch")

    def stands(self, _guest: Guest, _definition: str, /) -> bool:
        """Files have no definition."""
        return False

    def note(self, _guest: Guest, _text: str, /) -> None:
        """There is no place for a note."""

    def states(self) -> Mapping[str, GuestState]:
        """Nobody keeps a list of files."""
        raise _cannot("list")

    def wait(self, _seconds: float, /) -> frozenset[str]:
        """Nothing happens to files that anybody would tell."""
        raise _cannot("events")

    def hook_call(self, _arguments: Sequence[str], _stdin: bytes, /) -> HookCall:
        """Nobody calls."""
        raise _cannot("hook")


def make(_settings: Settings) -> FilesPlatform:
    """What `schemes` asks for."""
    return FilesPlatform()


def _nothing() -> None:
    """Nobody could have started a file."""


def _cannot(what: str) -> Refused:
    return refused(ReasonKind.PLATFORM_REFUSED, what, problem="plain files cannot do that")


def _disk(number: int, path: str, formats: Sequence[str]) -> Disk:
    if is_remote(path):
        problem = f"images on servers are reached by the name of their guest; a file of that name is ./{path}"
        raise refused(ReasonKind.USAGE, path, problem=problem)
    if number <= len(formats):
        return Disk(DiskNumber(number), path, format_named(formats[number - 1]))
    by_name = FORMATS_BY_NAME.get(PurePath(path).suffix.lower())
    if by_name is None:
        raise refused(ReasonKind.FORMAT_NEEDED, path)
    if by_name is ImageFormat.RAW:
        _refuse_disguised(path)
    return Disk(DiskNumber(number), path, by_name)


def format_named(name: str) -> ImageFormat:
    """The image format of that name; Refused(USAGE) for others."""
    try:
        return FORMAT_ALIASES.get(name.lower()) or ImageFormat(name.lower())
    except ValueError as error:
        raise refused(ReasonKind.USAGE, f"--format {name}", problem=f"known formats are {', '.join(FORMAT_NAMES)}") from error


def _refuse_disguised(path: str) -> None:
    """A file called .raw or .img that begins like an image of another format: its name or its content is wrong."""
    found = _mark(path)
    if found is not None and found is not ImageFormat.RAW:
        raise Refused(_wrong(path, ImageFormat.RAW, found))


def mistaken_format(disks: Sequence[Disk]) -> Reason | None:
    """Which disk was probably given in the wrong format; asked only when nothing was found, never to open it otherwise."""
    for disk in disks:
        found = _mark(disk.path)
        if found is not None and found is not disk.format and ImageFormat.RAW in (found, disk.format):
            return _wrong(disk.path, disk.format, found)
    return None


def _wrong(path: str, given: ImageFormat, found: ImageFormat) -> Reason:
    return reason(ReasonKind.WRONG_FORMAT, path, expected=given.value, found=found.value)


def _mark(path: str) -> ImageFormat | None:
    """The format that the first bytes show; raw when they are a boot sector."""
    head = _head(path)
    for offset, magic, found in _MAGICS:
        if head[offset : offset + len(magic)] == magic:
            return found
    return ImageFormat.RAW if head[-len(_BOOT_SECTOR) :] == _BOOT_SECTOR else None


def _head(path: str) -> bytes:
    """The first bytes; empty for whatever cannot be read, which the check of images tells better."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        kind = os.fstat(file).st_mode
        return os.pread(file, _HEAD, 0) if stat.S_ISREG(kind) or stat.S_ISBLK(kind) else b""
    except OSError:
        return b""
    finally:
        os.close(file)


def _no_disk_twice(disks: Sequence[Disk]) -> None:
    """The same file twice would be written twice, each time from the same beginning."""
    seen: dict[object, str] = {}
    for disk in disks:
        identity = _identity(disk.path)
        if identity in seen:
            raise refused(ReasonKind.USAGE, disk.path, problem=f"the same disk as {seen[identity]}")
        seen[identity] = disk.path


def _identity(path: str) -> object:
    try:
        status = os.stat(path)  # noqa: PTH116 (a path with a NUL must give ValueError here, not later)
    except (OSError, ValueError):
        return os.path.abspath(path)  # noqa: PTH100 (Path.absolute keeps `..`)
    return status.st_dev, status.st_ino
