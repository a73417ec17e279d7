# SPDX-License-Identifier: Apache-2.0
"""Two programs that write one disk destroy it; here unxen keeps out itself, and sees and stops running machines.

Three locks: our own flock per disk in the state directory, QEMU's byte locks on a raw image (a qcow2 is held by whoever has it
open), O_EXCL on a block device. Writes nothing but empty lock files. Refused(BUSY) when another unxen holds a disk, Refused(IN_USE)
when anybody else does.
"""

import errno
import fcntl
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from unxen.errors import refused
from unxen.host.files import private_directory
from unxen.model.reason import ReasonKind
from unxen.model.remote import is_remote

# QEMU (block/file-posix.c): one byte per permission that somebody has, from 100, or that somebody forbids to others, from 200.
HAS_WRITE, HAS_RESIZE, FORBIDS_WRITE = 101, 103, 201
F_OFD_GETLK, F_OFD_SETLK = 36, 37
FLOCK = struct.Struct("hhqqi4x")
POLL_SECONDS = 0.1


def disk_key(path: str) -> str:
    """The name of a disk's lock: the same for every path that leads to it, and for one that is on a server the hash of its URL."""
    if is_remote(path):
        from hashlib import sha256  # lazily: most disks are files

        return f"remote-{sha256(path.encode()).hexdigest()[:32]}"
    seen = os.stat(path)  # noqa: PTH116
    kind, number = ("block", seen.st_rdev) if stat.S_ISBLK(seen.st_mode) else ("file", seen.st_dev)
    inode = "" if kind == "block" else f"-{seen.st_ino}"
    return f"{kind}-{os.major(number)}-{os.minor(number)}{inode}"


def _nobody() -> None:
    """Who does not want to know."""


@contextmanager
def own_locks(directory: Path, paths: Sequence[str], *, wait: float, waiting: Callable[[], None]) -> Iterator[None]:
    """No other unxen works on these disks until the block ends. Tries for `wait` seconds; `waiting` is called before it does."""
    with locks_named(directory, {disk_key(path): path for path in paths}, wait=wait, waiting=waiting):
        yield


@contextmanager
def locks_named(
    directory: Path, names: Mapping[str, str], *, wait: float = 0.0, waiting: Callable[[], None] = _nobody
) -> Iterator[None]:
    """The same for disks of which the keys are known, each with the path to tell."""
    private_directory(directory)
    deadline = time.monotonic() + wait
    with ExitStack() as stack:
        # In one order for everybody, so that two of us never wait for each other.
        for key, path in sorted(names.items()):
            fd = os.open(directory / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, fd)
            _flock(fd, path, deadline, waiting if wait > 0 else None)
        yield


def _flock(fd: int, path: str, deadline: float, waiting: Callable[[], None] | None) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise refused(ReasonKind.BUSY, path) from error
        if waiting:
            waiting()
            waiting = None
        time.sleep(POLL_SECONDS)


def held_by_unxen(directory: Path, path: str) -> bool:
    """Whether an unxen holds this disk now. Only asks: no file is made, and whoever wants the lock next gets it."""
    try:
        fd = os.open(directory / disk_key(path), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def in_use(path: str) -> bool:
    """Whether somebody writes this image, a running machine as a rule; unknown (a file system without locks) is no."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return any(_held_by_others(fd, byte) for byte in (HAS_WRITE, HAS_RESIZE))
    finally:
        os.close(fd)


def forbid_machines(fd: int, path: str) -> None:
    """No machine starts on this raw image while `fd` is open, and none runs on it now.

    A read lock on "has write" is what makes QEMU refuse; a storage daemon that works on the same file is not disturbed (measured
    with 7.2). Our own daemon opens the file afterwards, so whoever holds something now is somebody else.
    """
    try:
        _lock(fd, F_OFD_SETLK, fcntl.F_RDLCK, HAS_WRITE)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise refused(ReasonKind.IN_USE, path) from error
        raise refused(ReasonKind.TOOL_FAILED, path, tool="fcntl", cause=error.strerror) from error
    if any(_held_by_others(fd, byte) for byte in (HAS_WRITE, HAS_RESIZE, FORBIDS_WRITE)):
        raise refused(ReasonKind.IN_USE, path)


def open_device_exclusively(path: str) -> int:
    """A descriptor of a block device that nobody has mounted or claimed, and that nobody can claim while it is open."""
    try:
        return os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        kinds = {errno.EBUSY: ReasonKind.IN_USE, errno.EROFS: ReasonKind.READ_ONLY}
        kind = kinds.get(error.errno or 0, ReasonKind.NO_PERMISSION)
        raise refused(kind, path, cause=error.strerror) from error


def _held_by_others(fd: int, byte: int) -> bool:
    """Whether a write lock of ours on this byte would be refused."""
    try:
        answer = _lock(fd, F_OFD_GETLK, fcntl.F_WRLCK, byte)
    except OSError:
        return False
    return bool(FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _lock(fd: int, command: int, kind: int, byte: int) -> bytes:
    return fcntl.fcntl(fd, command, FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))
