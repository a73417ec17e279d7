# SPDX-License-Identifier: Apache-2.0
"""What a program that a disk took over would try from inside a box; prints as JSON what worked.

Runs there as the text of `python3 -I -c`, with the standard library alone and whatever descriptors the box has. Arguments: a port
on which the host listens, the path of a socket of the host, a process of the host.
"""

import ctypes
import json
import os
import resource
import socket
import sys
import threading

PORT, SOCKET, PROCESS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
# Not those of this program's own pipes.
DESCRIPTORS = [number for number in range(3, 200) if os.path.exists(f"/proc/self/fd/{number}")]
DOORS = [f"/proc/self/fd/{number}" for number in DESCRIPTORS]
LIBC = ctypes.CDLL(None, use_errno=True)
worked = []


def attempt(name, action):
    """Notes what did not fail."""
    try:
        action()
    except (OSError, ValueError, MemoryError, RuntimeError):
        return
    worked.append(name)


def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def write_anew(door):
    """Only what is a file or a device: a socket cannot be opened by name anyway."""
    os.close(os.open(door, os.O_RDWR))


def fork():
    if os.fork() == 0:
        os._exit(0)


def connect(family, address):
    with socket.socket(family) as sock:
        sock.settimeout(1)
        sock.connect(address)


def no_memory():
    """Where the box sets no limit itself, the program inside would; a page that nobody touches costs nothing."""
    bytearray(10 << 30)


def threads_without_end():
    stop = threading.Event()
    threading.stack_size(65536)
    for _ in range(3000):
        threading.Thread(target=stop.wait, daemon=True).start()


for path in ("/etc/shadow", "/etc/passwd", "/root", "/home", "/var", "/run", "/sys", "/boot", "/tmp"):
    attempt(f"see {path}", lambda path=path: os.stat(path))
for up in ("..", "../..", "../../..", "../../../..", "../../../../..", "../../../../../../../.."):
    for door in DOORS:
        attempt(f"climb {door}/{up}", lambda door=door, up=up: open(f"{door}/{up}/etc/passwd"))
        attempt(f"climb to root of {door}", lambda door=door, up=up: open(f"/proc/1/root/{up}/etc/passwd"))
for each in DESCRIPTORS:
    attempt(f"see through the init's descriptor {each}", lambda each=each: os.stat(f"/proc/1/fd/{each}/../etc/passwd"))
if "--may-write" not in sys.argv:
    for door in DOORS:
        if os.path.isfile(door) or not os.path.isdir(door):
            attempt(f"open {os.readlink(door)} for writing", lambda door=door: write_anew(door))
        attempt(f"change the rights of {door}", lambda door=door: os.chmod(door, 0o666))
    for number in DESCRIPTORS:
        attempt(f"change the rights through {number}", lambda number=number: os.fchmod(number, 0o666))
        attempt(f"change the times through {number}", lambda number=number: os.utime(number))
        attempt(f"mark {number}", lambda number=number: os.setxattr(number, "user.x", b"y"))
for place in ("/", "/usr", "/proc", "/proc/sys/kernel", "/dev", "/tmp", "/code", "/usr/lib"):
    attempt(f"write into {place}", lambda place=place: open(f"{place}/unxen-escaped", "w"))
attempt("change a kernel setting", lambda: open("/proc/sys/kernel/core_pattern", "w"))
attempt("press a magic key", lambda: open("/proc/sysrq-trigger", "w"))
attempt("connect to the host", lambda: connect(socket.AF_INET, ("127.0.0.1", PORT)))
attempt("connect to a socket of the host", lambda: connect(socket.AF_UNIX, SOCKET))
attempt("make a socket at all", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close())
attempt("make a process", fork)
attempt(
    "make a process by clone", lambda: called(LIBC.syscall(56, 17, 0, 0, 0, 0)) if os.uname().machine == "x86_64" else called(-1)
)
attempt("make a user namespace", lambda: called(LIBC.unshare(0x10000000)))
attempt("mount", lambda: called(LIBC.mount(b"proc", b"/proc", b"proc", 0, None)))
attempt("change the root", lambda: os.chroot("/usr"))
attempt("become root", lambda: os.setuid(0) if os.getuid() else called(-1))
attempt("become somebody else", lambda: os.setgroups([]))
attempt("raise a limit", lambda: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2))
attempt("see a process of the host", lambda: os.kill(PROCESS, 0))
attempt("trace the init", lambda: called(LIBC.ptrace(16, 1, 0, 0)))
attempt("use io_uring", lambda: called(LIBC.syscall(425, 1, ctypes.create_string_buffer(120))))
attempt("take 10 GB", no_memory)
if "--may-thread" not in sys.argv:
    attempt("make threads without end", threads_without_end)
print("worked:", json.dumps(sorted(set(worked))), file=sys.stderr, flush=True)
os._exit(1)
