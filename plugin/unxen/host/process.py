# SPDX-License-Identifier: Apache-2.0
"""The one door to external programs: what is started, with which rights and for how long, is decided here.

Starts programs and nothing else. Their environment is fixed, they inherit only the descriptors named, and they die with unxen.
A missing program is Refused(TOOL_MISSING), one that fails or takes too long Refused(TOOL_FAILED).
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from unxen.errors import refused
from unxen.host import log
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
PACKAGES = {
    "bwrap": "bubblewrap",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "qemu-nbd": "qemu-utils",
    "qemu-storage-daemon": "qemu-utils",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""Debian package of each program that is needed, from Debian 13 on; `package_of` knows the others."""
PACKAGES_BEFORE_13 = {"qemu-storage-daemon": "qemu-system-common"}
PROXMOX, PROXMOX_QEMU = Path("/etc/pve"), "pve-qemu-kvm"
MOST_STDERR = 8192
MOST_READ = 1 << 20
# Killed already, a process only has to close what it holds.
CHILD_SECONDS = 2.0
PR_SET_PDEATHSIG = 1

Process = subprocess.Popen[bytes]
"""A program that runs beside us."""


@dataclass(frozen=True)
class Finished:
    """What a program left: exit code, output as bytes, messages as text."""

    code: int
    stdout: bytes
    stderr: str


@dataclass(frozen=True)
class Account:
    """Whose rights a program gets; no further groups."""

    uid: int
    gid: int


def find(program: str) -> str:
    """Absolute path of a program, looked for only where the system keeps them."""
    path = shutil.which(program, path=PATH)
    if path is None:
        raise refused(ReasonKind.TOOL_MISSING, program, tool=program, package=package_of(program))
    return path


def package_of(program: str) -> str:
    """The package that brings a program to this system; its own name where nothing better is known."""
    if program.startswith("qemu-") and PROXMOX.is_dir():
        return PROXMOX_QEMU
    older = PACKAGES_BEFORE_13 if _debian() < 13 else {}
    return older.get(program) or PACKAGES.get(program, program)


def _debian() -> int:
    """The release of Debian that this is; a late one where it is none, or has no number yet."""
    import platform  # lazily: only a missing program asks

    try:
        system = platform.freedesktop_os_release()
        return int(system["VERSION_ID"].partition(".")[0]) if system.get("ID") == "debian" else 99
    except (OSError, KeyError, ValueError):
        return 99


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    good: Container[int] = (0,),
    pass_fds: Sequence[int] = (),
    account: Account | None = None,
) -> Finished:
    """One program from start to end, at most `timeout` seconds; an exit code outside `good` is a failure."""
    with start(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, pass_fds=pass_fds, account=account) as process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            _kill_group(process)
            raise refused(ReasonKind.TOOL_FAILED, argv[0], tool=argv[0], cause=f"no end after {timeout:.0f} s") from error
        except BaseException:
            _kill_group(process)
            raise
    finished = Finished(process.returncode, stdout, _text(stderr))
    if finished.code not in good:
        raise refused(ReasonKind.TOOL_FAILED, argv[0], tool=argv[0], code=finished.code, cause=finished.stderr.strip())
    return finished


def start(
    argv: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    account: Account | None = None,
    tied: bool = True,
) -> Process:
    """A program that goes on beside us, in a process group of its own: an interruption at the terminal is ours to handle.

    `tied`: the kernel kills it when the thread that started it ends. Not for a program that ties itself.
    """
    command = [find(argv[0]), *argv[1:]]
    log.debug(__name__, "start %s", command)
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={**ENVIRONMENT, **(env or {})},
        pass_fds=pass_fds,
        cwd="/",
        process_group=0,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=() if account else None,
        # After the change of user, which would clear it; see prctl(2).
        preexec_fn=_die_with(os.getpid()) if tied else None,
    )


def stop(process: Process, seconds: float = 5.0) -> str:
    """Ends a program and what it started within a bounded time and gives the end of what it said.

    Its children, too, are gone then: what is in a box dies after bubblewrap, and while a server of a disk lives it holds QEMU's
    locks, for which a machine that is started at that moment would fail (seen under load).
    """
    children = _children(process) if process.returncode is None else []
    try:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await_end(process, seconds)
            _kill_group(process)
        process.wait()
        for each in children:
            _await(each, CHILD_SECONDS)
    finally:
        for each in children:
            os.close(each)
    return _last_words(process)


def ask_inside(process: Process, seconds: float) -> None:
    """Asks the program in a box to end by itself, and waits for it; bubblewrap, asked itself, would have it killed."""
    innermost = process.pid
    with suppress(OSError):
        while inside := Path(f"/proc/{innermost}/task/{innermost}/children").read_text().split():
            innermost = int(inside[0])
        if innermost != process.pid:
            os.kill(innermost, signal.SIGTERM)
            await_end(process, seconds)


def _children(process: Process) -> list[int]:
    """Descriptors of the processes that it started itself; none where the kernel does not list them."""
    found: list[int] = []
    with suppress(OSError):
        for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with suppress(OSError):
                found.append(os.pidfd_open(int(word)))
    return found


def hear_out(process: Process, seconds: float, tool: str) -> Finished:
    """The end of a started program, with the end of what it said, however much that was; killed when it takes longer."""
    assert process.stderr is not None
    deadline, said = time.monotonic() + seconds, b""
    poll = select.poll()
    poll.register(process.stderr, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if poll.poll(left * 1000):
            if not (piece := os.read(process.stderr.fileno(), MOST_STDERR)):
                break
            said = (said + piece)[-MOST_STDERR:]
    await_end(process, max(0.0, left))
    late = process.poll() is None
    stop(process, seconds=0.0)
    if late:
        raise refused(ReasonKind.TOOL_FAILED, tool, tool=tool, cause=f"no end after {seconds:.0f} s")
    return Finished(process.returncode, b"", _text(said))


def await_end(process: Process, seconds: float) -> None:
    """Waits for its end without reaping, so that the number of the process, and of its group, still means it."""
    if process.returncode is not None:
        return
    descriptor = os.pidfd_open(process.pid)
    try:
        _await(descriptor, seconds)
    finally:
        os.close(descriptor)


def _await(descriptor: int, seconds: float) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll(seconds * 1000)


def _kill_group(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _last_words(process: Process) -> str:
    """What waits in the pipe of messages, without waiting for more: a survivor may hold its other end."""
    if process.stderr is None or process.stderr.closed:
        return ""
    said = b""
    with process.stderr as stream, suppress(BlockingIOError):
        os.set_blocking(stream.fileno(), False)
        while len(said) < MOST_READ and (piece := os.read(stream.fileno(), MOST_READ)):
            said += piece
    return _text(said)


def _die_with(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)

    def run_in_child() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(127)

    return run_in_child


def _text(data: bytes | None) -> str:
    """The end of a program's messages, whatever bytes they hold."""
    return (data or b"")[-MOST_STDERR:].decode("utf-8", "backslashreplace")
