# SPDX-License-Identifier: Apache-2.0
"""What parses guest bytes gets no rights: bubblewrap boxes, in three modes, and the conversation with the parser in one.

Starts processes. A box has no network, nothing writable, no capability, its own process ids, and limits that it sets on itself
before it sees a guest's byte. When it dies, hangs or babbles, that is Refused(PROBE_FAILED) and the box is gone; when it cannot be
made at all, Refused(TOOL_FAILED), or Refused(NO_PERMISSION) where unxen's own files are closed to others.
"""

import os
import pwd
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from unxen.errors import Refused, refused
from unxen.host import box_protocol
from unxen.host.box_protocol import FrameError, Response
from unxen.host.process import Account, Process, run, start, stop
from unxen.model.codec import CodecError, decode
from unxen.model.reason import Reason, ReasonKind

SERVICE_USER = "unxen-probe"
NOBODY = Account(65534, 65534)
PACKAGE_PARENT = Path(__file__).resolve().parent.parent.parent
CHILD = "unxen/probe/child.py"


class BoxMode(Enum):
    """How a box can be made on this host.

    DROPPED: root gives up its uid before bubblewrap makes a user namespace. PLAIN: no user namespace can be made (a chroot), so
    bubblewrap runs as root and the uid changes inside. OWN: an ordinary user, in a user namespace.
    """

    DROPPED = "dropped"
    PLAIN = "plain"
    OWN = "own"


@dataclass(frozen=True)
class Limits:
    """Bounds of the parser's box: bytes of address space and of any file, seconds of processor, and of wall clock per answer."""

    memory: int = 1 << 30
    file_bytes: int = 192 << 20
    cpu_seconds: int = 120
    answer_seconds: float = 120.0


@cache
def service_account() -> Account:
    """Whom the parser runs as: the service user if there is one, else nobody; ourselves for an ordinary user."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    with suppress(KeyError):
        entry = pwd.getpwnam(SERVICE_USER)
        return Account(entry.pw_uid, entry.pw_gid)
    return NOBODY


COMMON = (
    *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--clearenv", "--setenv", "PATH", "/usr/bin", "--setenv", "LC_ALL", "C.UTF-8"),
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"),
    *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--proc", "/proc"),
)
WITH_USERS = ("--unshare-all", "--unshare-user", "--disable-userns")
WITHOUT_USERS = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
TAIL = ("--remount-ro", "/", "--chdir", "/", "--")


@cache
def box_mode() -> BoxMode:
    """The mode that works here; tried once, because containers and policies forbid user namespaces in many ways."""
    if os.geteuid() != 0:
        return BoxMode.OWN
    try:
        run(["bwrap", *COMMON, *WITH_USERS, *TAIL, "/usr/bin/true"], timeout=10, account=NOBODY)
    except Refused as error:
        if error.first.kind is ReasonKind.TOOL_MISSING:
            raise
        return BoxMode.PLAIN
    return BoxMode.DROPPED


def start_boxed(command: Sequence[str], *, account: Account, options: Sequence[str] = (), pass_fds: Sequence[int] = ()) -> Process:
    """A program in a box of its own with the rights of `account`; `options` are further ones of bubblewrap.

    The program has to say that it runs, and to end by itself when its socket is closed until then: bubblewrap ties it to its own
    life only as the last thing before it starts it, and a kill before that leaves it to itself (seen with 0.8.0). Never with
    --as-pid-1: the kernel does not let a dying bubblewrap without capabilities kill a program of another user, but its own first
    process inside, which takes everything with it.
    """
    mode = box_mode()
    if mode is not BoxMode.PLAIN or account.uid == 0:
        users = WITHOUT_USERS if mode is BoxMode.PLAIN else WITH_USERS
        drop = account if mode is BoxMode.DROPPED else None
        return start(["bwrap", *COMMON, *users, *options, *TAIL, *command], pass_fds=pass_fds, account=drop, tied=False)
    grants = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
    change = ("setpriv", "--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups", "--no-new-privs")
    return start(["bwrap", *COMMON, *grants, *WITHOUT_USERS, *options, *TAIL, *change, *command], pass_fds=pass_fds, tied=False)


UNREADABLE_CODE = "can't open file"


def not_made(said: str) -> Refused:
    """Why a box did not come to life, from what bubblewrap or the interpreter said."""
    cause = (said.strip().splitlines() or ["said nothing"])[-1]
    if UNREADABLE_CODE in cause or "PermissionError" in cause:
        account = service_account()
        return refused(ReasonKind.NO_PERMISSION, str(PACKAGE_PARENT), cause=cause, uid=account.uid)
    return refused(ReasonKind.TOOL_FAILED, "bwrap", tool="bwrap", cause=cause)


class Box:
    """A conversation with the parser in its box; use it as a context manager, one box per guest."""

    def __init__(self, process: Process, sock: socket.socket, limits: Limits) -> None:
        self._process = process
        self._socket = sock
        self._limits = limits
        self._ready = False

    @classmethod
    def open(cls, limits: Limits = Limits(), child: str = CHILD) -> "Box":
        """A new box; `child` is the program below the package's parent directory."""
        ours, theirs = socket.socketpair()
        # The code's path may lead through a directory of root's; a descriptor does not ask.
        code = os.open(PACKAGE_PARENT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            place = f"/proc/self/fd/{code}"
            numbers = (theirs.fileno(), limits.memory, limits.file_bytes, limits.cpu_seconds)
            command = ["/usr/bin/python3", "-I", f"{place}/{child}", place, *map(str, numbers)]
            process = start_boxed(command, account=service_account(), pass_fds=(theirs.fileno(), code))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(code)
        return cls(process, ours, limits)

    def ask(self, operation: str, payload: Any, *, blobs: Sequence[bytes] = (), fds: Sequence[int] = ()) -> Response:
        """One question and its answer; a reason that the child reports is raised as its own refusal."""
        deadline = time.monotonic() + self._limits.answer_seconds
        try:
            self._await_ready(deadline)
            request = {"operation": operation, "payload": payload}
            box_protocol.send(self._socket, request, blobs, fds, deadline=deadline)
            frame = box_protocol.receive(self._socket, deadline)
        except FrameError as error:
            raise self._broken(operation, str(error)) from error
        if frame is None:
            raise self._broken(operation, "ended without an answer")
        return self._answer(operation, frame.document, frame.blobs)

    def wait_until_ready(self) -> None:
        """The box lives; Refused(TOOL_FAILED) or Refused(NO_PERMISSION) when none can be made here."""
        self._await_ready(time.monotonic() + self._limits.answer_seconds)

    def _await_ready(self, deadline: float) -> None:
        """What comes before the first question is the host's doing, not a guest's."""
        if self._ready:
            return
        try:
            frame = box_protocol.receive(self._socket, deadline)
        except FrameError:
            frame = None
        if frame is None or frame.document != box_protocol.READY:
            raise not_made(self.close())
        self._ready = True

    def _answer(self, operation: str, document: Any, blobs: tuple[bytes, ...]) -> Response:
        if type(document) is dict and document.keys() == {"answer"}:
            return Response(document["answer"], blobs)
        try:
            reasons = decode(tuple[Reason, ...], document["refused"]) if type(document) is dict else ()
        except (CodecError, KeyError) as error:
            raise self._broken(operation, "babbled") from error
        if not reasons:
            raise self._broken(operation, "babbled")
        raise Refused(*reasons)

    def _broken(self, operation: str, problem: str) -> Refused:
        """The refusal for a box that broke its rules; the box is gone afterwards."""
        said = self.close().strip().splitlines()
        cause = f"{problem}: {said[-1]}" if said else problem
        return refused(ReasonKind.PROBE_FAILED, operation, cause=cause, code=self._process.returncode)

    def close(self) -> str:
        """Ends the box; gives what it wrote to its error output."""
        self._socket.close()
        return stop(self._process, seconds=1.0)

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
