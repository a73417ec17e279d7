# SPDX-License-Identifier: Apache-2.0
"""A descriptor is a door: one of a directory leads to all that lies above it, and a file's owner opens it anew for writing.

Asks the kernel for mounts that hang nowhere: of one file or directory, with nothing above it, or of one device that can only be
read. Needs root. Touches no file. Where the kernel does not do it: Refused(TOOL_FAILED).
"""

import ctypes
import os
import stat
import struct

from unxen.errors import refused
from unxen.host.process import Account
from unxen.model.reason import ReasonKind

# Numbers of system calls from Linux 5.2 on are the same on every architecture.
OPEN_TREE, FSOPEN, FSCONFIG, FSMOUNT, MOUNT_SETATTR = 428, 430, 431, 432, 442
OPEN_TREE_CLONE, AT_EMPTY_PATH, CLOEXEC, CREATE = 1, 0x1000, 1, 6
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8
ATTRIBUTES = struct.Struct("=QQQQ")


def detached(fd: int, *, writable: bool = False, code: bool = False) -> int:
    """A new descriptor, of which only a name can be made (O_PATH): the same file or directory, read-only unless `writable`.

    `code`: programs may be loaded from it. An installed package lies beside the libraries that it imports.
    """
    tree = _call(OPEN_TREE, fd, b"", OPEN_TREE_CLONE | AT_EMPTY_PATH | os.O_CLOEXEC)
    try:
        _restrict(tree, NOSUID | NODEV | (0 if code else NOEXEC) | (0 if writable else RDONLY))
    except BaseException:
        os.close(tree)
        raise
    return tree


def detached_device(device: int, reader: Account) -> int:
    """A node (O_PATH) of its own for the block device of that number, which `reader` may read and nobody else.

    A read-only mount does not keep anybody from writing a device: the rights of its node do.
    """
    settings = _call(FSOPEN, b"tmpfs", CLOEXEC)
    try:
        _call(FSCONFIG, settings, CREATE, None, None, 0)
        place = _call(FSMOUNT, settings, CLOEXEC, NOSUID | NOEXEC)
    finally:
        os.close(settings)
    try:
        os.mknod("disk", stat.S_IFBLK | 0o400, device, dir_fd=place)
        os.chown("disk", reader.uid, reader.gid, dir_fd=place)
        _restrict(place, RDONLY)
        return os.open("disk", os.O_PATH | os.O_CLOEXEC, dir_fd=place)
    except OSError as error:
        raise refused(ReasonKind.TOOL_FAILED, "mknod", tool="mknod", cause=error.strerror) from error
    finally:
        os.close(place)


def _restrict(tree: int, attributes: int) -> None:
    wanted = ATTRIBUTES.pack(attributes, 0, 0, 0)
    _call(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, wanted, ctypes.c_size_t(len(wanted)))


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    done = int(libc.syscall(ctypes.c_long(number), *arguments))
    if done < 0:
        cause = os.strerror(ctypes.get_errno())
        raise refused(ReasonKind.TOOL_FAILED, "mount", tool="mount", cause=f"a mount of its own for a box: {cause}")
    return done
