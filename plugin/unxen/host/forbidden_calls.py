# SPDX-License-Identifier: Apache-2.0
"""A program that an image took over still talks to the kernel; most of what it could ask there, no reader of disks ever needs.

Makes filters for bubblewrap's --seccomp. Touches nothing. The list is one of what is forbidden, not of what is allowed: QEMU and
Python ask for other calls with every release, and a filter that breaks them would be switched off. libseccomp gives the numbers
of the calls; the program is written here, because its own compiler takes twenty milliseconds for it (measured).
"""

import errno
import os
import struct
from collections.abc import Iterator
from functools import cache

from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass

# Each group with what it keeps out.
CONNECTING = "a connection: every socket that a box needs is handed to it"
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "a user namespace and all that root of one may do": ("unshare", "setns", "chroot", "pivot_root", "mount", "umount2"),
    "mounts by the newer interface": (
        *("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"),
        *("open_by_handle_at", "name_to_handle_at"),
    ),
    "another process": ("fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "pidfd_getfd", "kcmp"),
    CONNECTING: ("socket", "socketpair", "connect", "bind"),
    "the parts of the kernel from which most rights were won": (
        *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
        *("keyctl", "add_key", "request_key", "modify_ldt", "personality", "vmsplice"),
    ),
    "the machine itself": (
        *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct"),
        *("quotactl", "syslog", "iopl", "ioperm", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex"),
        *("sethostname", "setdomainname"),
    ),
    "names of files": (
        *("creat", "link", "linkat", "symlink", "symlinkat", "rename", "renameat", "renameat2", "unlink", "unlinkat"),
        *("mkdir", "mkdirat", "rmdir", "mknod", "mknodat"),
    ),
    "rights and attributes of files, which an owner changes through any descriptor": (
        *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "fchownat", "lchown"),
        *("utime", "utimes", "utimensat", "futimesat"),
        *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
    ),
}
# What hides its arguments behind a pointer; glibc takes the older call then.
OPAQUE = ("clone3", "openat2")
THREAD = 0x10000
# x86-64 has a second set of numbers for the same calls.
X32 = 0x40000000

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000
NUMBER, ARCHITECTURE = 0, 4
MISSING = errno.ENOSYS


@dataclass(frozen=True)
class _Bits:
    """A call that fails when its argument has one of these bits, or, with `wanted`, when it has none of them."""

    name: str
    argument: int
    bits: int
    error: int
    wanted: bool = False


CHILD = _Bits("clone", 0, THREAD, errno.EPERM, wanted=True)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
OPENING = tuple(_Bits(name, place, WRITING, errno.EROFS) for name, place in (("open", 1), ("openat", 2)))


@cache
def filter_program(*, writes: bool, connects: bool = False) -> bytes:
    """The filter; with `writes` files may be opened for writing, where there are any, with `connects` connections may be made."""
    try:
        import seccomp
    except ImportError as error:
        raise refused(ReasonKind.TOOL_MISSING, "seccomp", tool="seccomp", package="python3-seccomp") from error

    def numbers(*names: str) -> Iterator[int]:
        """Of the calls that this architecture has."""
        yield from (number for name in names if (number := seccomp.resolve_syscall(seccomp.Arch(), name)) >= 0)

    groups = [calls for group, calls in FORBIDDEN.items() if not (connects and group == CONNECTING)]
    denied = (*(each for group in groups for each in group), *(() if writes else ("truncate",)))
    program = [
        *((LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, seccomp.system_arch()), (RETURN, 0, 0, FAIL | MISSING)),
        *((LOAD, 0, 0, NUMBER), (AT_LEAST, 0, 1, X32), (RETURN, 0, 0, FAIL | MISSING)),
    ]
    for names, answer in ((denied, errno.EPERM), (OPAQUE, MISSING)):
        for number in numbers(*names):
            program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, FAIL | answer)]
    for rule in (CHILD, *(() if writes else OPENING)):
        for number in numbers(rule.name):
            program += _flagged(number, rule)
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *each) for each in program)


def _flagged(number: int, rule: _Bits) -> list[tuple[int, int, int, int]]:
    """The flags stand in the low half of the argument, which comes first where numbers are little-endian (amd64, arm64)."""
    found, not_found = (1, 0) if rule.wanted else (0, 1)
    return [
        (EQUAL, 0, 4, number),
        (LOAD, 0, 0, 16 + 8 * rule.argument),
        (ANY_BIT, found, not_found, rule.bits),
        (RETURN, 0, 0, FAIL | rule.error),
        (RETURN, 0, 0, ALLOW),
    ]
