# SPDX-License-Identifier: Apache-2.0
"""What must survive a crash goes through here: syncs of files and directories, private directories, and room on a file system.

Touches only the paths and descriptors it is given. Failures are OSError, for the caller knows what they mean; asking whether a
file may be written raises nothing and gives the cause.
"""

import fcntl
import os
import stat
import struct
from contextlib import suppress
from pathlib import Path

FS_IOC_GETFLAGS = 0x80086601
FS_IMMUTABLE_FL = 0x10
BLKROGET = 0x125E


def private_directory(path: Path) -> Path:
    """The directory, made with its parents if it is not there; what is made is its owner's alone."""
    for each in (*reversed(path.parents), path):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)
            sync_directory(each.parent)
    return path


def sync_file(path: Path) -> None:
    """Everything written to the file so far, by whomever, is on stable storage."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """The directory's entries are on stable storage; a file system that cannot sync a directory does it by itself."""
    with suppress(OSError):
        sync_file(path)


def remove(path: Path) -> None:
    """The file goes, durably; its absence is fine."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)


def length_of(path: str) -> int:
    """Bytes of a file or block device from its first to its last."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.lseek(fd, 0, os.SEEK_END)
    finally:
        os.close(fd)


def free_bytes(path: Path) -> int:
    """Room that we may use on the file system that holds `path`."""
    seen = os.statvfs(path)
    return (seen.f_bavail if os.geteuid() else seen.f_bfree) * seen.f_frsize


def read_only_cause(path: str) -> str:
    """Why a disk must not be written, as a word; empty when it may be. Root could write what the mode forbids; it still counts."""
    seen = os.stat(path)  # noqa: PTH116
    if os.statvfs(path).f_flag & os.ST_RDONLY and stat.S_ISREG(seen.st_mode):
        return "read-only-mount"
    if stat.S_ISBLK(seen.st_mode):
        return "read-only-device" if _device_is_read_only(path) else ""
    if not seen.st_mode & stat.S_IWUSR:
        return "mode"
    return "immutable" if _is_immutable(path) else ""


def _is_immutable(path: str) -> bool:
    return bool(_ioctl(path, FS_IOC_GETFLAGS) & FS_IMMUTABLE_FL)


def _device_is_read_only(path: str) -> bool:
    return _ioctl(path, BLKROGET) & 0xFFFFFFFF != 0


def _ioctl(path: str, number: int) -> int:
    """The number that an ioctl gives; 0 where the file system does not know it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        answer = fcntl.ioctl(fd, number, bytes(8))
    except OSError:
        return 0
    finally:
        os.close(fd)
    (found,) = struct.unpack("<Q", answer)
    return int(found)
