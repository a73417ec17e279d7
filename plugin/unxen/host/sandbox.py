# SPDX-License-Identifier: Apache-2.0
"""What parses guest bytes gets no rights: bubblewrap boxes, in three modes, and the conversation with the parser in one.

Starts processes. A box has no network, nothing writable, no capability, its own process ids, a list of system calls that fail, and
limits that it sets on itself before it sees a guest's byte. When it dies, hangs or babbles, that is Refused(PROBE_FAILED) and the
box is gone; when it cannot be made at all, Refused(TOOL_FAILED), or Refused(NO_PERMISSION) where unxen's own files are closed to
others.
"""

import os
import pwd
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from unxen.errors import Refused, refused
from unxen.host import box_protocol, ledger
from unxen.host.box_protocol import FrameError, Response
from unxen.host.detached import detached
from unxen.host.forbidden_calls import filter_program
from unxen.host.ledger import spending
from unxen.host.process import Account, Process, run, start, stop
from unxen.model.codec import CodecError, decode
from unxen.model.progress import Part, Spent
from unxen.model.reason import Reason, ReasonKind
from unxen.model.record import dataclass

SERVICE_USER = "unxen-probe"
NOBODY = Account(65534, 65534)
PACKAGE_PARENT = Path(__file__).resolve().parent.parent.parent
CHILD = "unxen/probe/child.py"
EDITING = ("edit",)
MOST_AHEAD = 2
"""Questions without an answer: with more, both ends may come to wait for room in the socket that only the other could make."""


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


USUAL = Limits()


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
DEVICES = ("--dev", "/dev", "--remount-ro", "/dev")
# bubblewrap covers /proc/sys only for whoever may write into that directory. Root without a capability may not, and may write its
# files all the same (core_pattern, seen with 0.8.0).
TAIL = ("--remount-ro", "/proc", "--remount-ro", "/", "--chdir", "/", "--")


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


@dataclass(frozen=True)
class Place:
    """A directory of the host that a box gets: its path in there, and what has to be passed for it."""

    path: str
    options: tuple[str, ...] = ()
    pass_fds: tuple[int, ...] = ()


def most_threads(account: Account, number: int) -> str:
    """What a shell in a box has to say for it to have no more threads, where they can be counted by box: not those of root's uid,
    and without a user namespace not those of a uid that runs machines elsewhere."""
    return f"ulimit -u {number}" if account.uid and box_mode() is not BoxMode.PLAIN else ":"


@contextmanager
def lent(directory: int, inside: str, *, writable: bool = False, code: bool = False) -> Iterator[Place]:
    """A directory for a box, and nothing above it: a plain descriptor of one leads to the whole host by way of `..`.

    Root's boxes get a detached mount, because the directory may lie below one that only root may enter; others bind it at `inside`.
    """
    if box_mode() is BoxMode.OWN:
        bind = "--bind" if writable else "--ro-bind"
        yield Place(inside, (bind, os.readlink(f"/proc/self/fd/{directory}"), inside))  # noqa: PTH115
        return
    tree = detached(directory, writable=writable, code=code)
    try:
        yield Place(f"/proc/self/fd/{tree}", (), (tree,))
    finally:
        os.close(tree)


def start_boxed(
    command: Sequence[str],
    *,
    account: Account,
    options: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
    writes: bool = False,
    connects: bool = False,
) -> Process:
    """A program in a box of its own with the rights of `account`; `options` are further ones of bubblewrap.

    With `writes` it may open what it reaches for writing, with `connects` make connections; without a network of its options only
    to sockets that have a name in the box. It cannot start processes. It has to say that it runs, and to end by
    itself when its socket is closed until then: bubblewrap ties it to its own life only as the last thing before it starts it, and
    a kill before that leaves it to itself (seen with 0.8.0). Never with --as-pid-1: the kernel does not let a dying bubblewrap
    without capabilities kill a program of another user, but its own first process inside, which takes everything with it.
    """
    mode = box_mode()
    with _memory(filter_program(writes=writes, connects=connects)) as calls:
        limits = ("--seccomp", str(calls))
        passed = (*pass_fds, calls)
        if mode is not BoxMode.PLAIN or account.uid == 0:
            users = WITHOUT_USERS if mode is BoxMode.PLAIN else WITH_USERS
            drop = account if mode is BoxMode.DROPPED else None
            line = ["bwrap", *COMMON, *users, *options, *limits, *TAIL, *command]
            return start(line, pass_fds=passed, account=drop, tied=False)
        grants = ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
        change = ("setpriv", "--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups", "--no-new-privs")
        line = ["bwrap", *COMMON, *grants, *WITHOUT_USERS, *options, *limits, *TAIL, *change, *command]
        return start(line, pass_fds=passed, tied=False)


@contextmanager
def _memory(data: bytes) -> Iterator[int]:
    """Bytes that another program reads from a descriptor."""
    fd = os.memfd_create("unxen", os.MFD_CLOEXEC)
    try:
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


UNREADABLE_CODE = "can't open file"


def not_made(said: str) -> Refused:
    """Why a box did not come to life, from what bubblewrap or the interpreter said."""
    cause = (said.strip().splitlines() or ["said nothing"])[-1]
    if UNREADABLE_CODE in cause or "PermissionError" in cause:
        account = service_account()
        return refused(ReasonKind.NO_PERMISSION, str(PACKAGE_PARENT), cause=cause, uid=account.uid)
    return refused(ReasonKind.TOOL_FAILED, "bwrap", tool="bwrap", cause=cause)


@contextmanager
def _code() -> Iterator[Place]:
    """The directory that holds our own modules."""
    directory = os.open(PACKAGE_PARENT, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with lent(directory, "/code", code=True) as place:
            yield place
    finally:
        os.close(directory)


class _Question:
    """What was asked, when the answer has to be there, and the answer or refusal once it was heard."""

    def __init__(self, operation: str, deadline: float) -> None:
        self.operation, self.deadline = operation, deadline
        self.answer: Response | Refused | None = None


class Box:
    """A conversation with the parser in its box; use it as a context manager, one box per guest."""

    def __init__(self, process: Process, sock: socket.socket, limits: Limits, *, edits: bool = False) -> None:
        self._process = process
        self._socket = sock
        self._limits = limits
        self._edits = edits
        self._ready = False
        self._waiting: deque[_Question] = deque()
        self._gone: Refused | None = None

    @classmethod
    def open(cls, limits: Limits = USUAL, child: str = CHILD, *, edits: bool = False, ahead: str = "") -> "Box":
        """A new box; `child` is the program below the package's parent directory.

        `edits`: it makes hives, for which hivex opens a file in memory by its name; no box that gets a descriptor of an image may.
        It starts beside us: `ahead` is an operation whose code it loads before it is asked, while we do something else.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs, _code() as code:
                numbers = (theirs.fileno(), limits.memory, limits.file_bytes, limits.cpu_seconds)
                command = ["/usr/bin/python3", "-I", "-S", f"{code.path}/{child}", code.path, *map(str, numbers), ahead]
                passed = (theirs.fileno(), *code.pass_fds)
                account = service_account()
                process = start_boxed(command, account=account, options=code.options, pass_fds=passed, writes=edits)
        except BaseException:
            ours.close()
            raise
        return cls(process, ours, limits, edits=edits)

    def ask(self, operation: str, payload: Any, *, blobs: Sequence[bytes] = (), fds: Sequence[int] = ()) -> Response:
        """One question and its answer; a reason that the child reports is raised as its own refusal."""
        return self.begin(operation, payload, blobs=blobs, fds=fds)()

    def begin(
        self, operation: str, payload: Any, *, blobs: Sequence[bytes] = (), fds: Sequence[int] = ()
    ) -> Callable[[], Response]:
        """One question; the child works on it until the answer is asked for. It takes one question after another."""
        if operation in EDITING and not self._edits:
            raise ValueError(f"{operation} needs a box that was opened with edits=True")
        while len(self._waiting) >= MOST_AHEAD:
            self._take_oldest()
        if self._gone:
            raise self._gone
        deadline = time.monotonic() + self._limits.answer_seconds
        try:
            self._await_ready(deadline)
            request = {"operation": operation, "payload": payload}
            box_protocol.send(self._socket, request, blobs, fds, deadline=deadline)
        except FrameError as error:
            raise self._broken(operation, str(error)) from error
        question = _Question(operation, deadline)
        self._waiting.append(question)
        return lambda: self._answer_to(question)

    def _answer_to(self, question: "_Question") -> Response:
        """Answers come in the order of the questions, so those before it are taken, too."""
        while question.answer is None:
            self._take_oldest()
        if isinstance(question.answer, Refused):
            raise question.answer
        return question.answer

    def _take_oldest(self) -> None:
        first = self._waiting.popleft()
        try:
            first.answer = self._gone or self._finish(first.operation, first.deadline)
        except Refused as error:
            first.answer = error

    def _finish(self, operation: str, deadline: float) -> Response:
        try:
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
            with spending(Part.BOXES):
                frame = box_protocol.receive(self._socket, deadline)
        except FrameError:
            frame = None
        if frame is None or frame.document != box_protocol.READY:
            raise not_made(self.close())
        self._ready = True

    def _answer(self, operation: str, document: Any, blobs: tuple[bytes, ...]) -> Response:
        if type(document) is dict and "answer" in document and document.keys() <= {"answer", "spent"}:
            self._note(operation, document.get("spent", []))
            return Response(document["answer"], blobs)
        try:
            reasons = decode(tuple[Reason, ...], document["refused"]) if type(document) is dict else ()
        except (CodecError, KeyError) as error:
            raise self._broken(operation, "babbled") from error
        if not reasons:
            raise self._broken(operation, "babbled")
        raise Refused(*reasons)

    def _note(self, operation: str, document: Any) -> None:
        """What the box says of its time goes into the ledger, and nowhere else."""
        try:
            rows = decode(tuple[Spent, ...], document)
        except CodecError as error:
            raise self._broken(operation, "babbled") from error
        for each in rows[: len(Part)]:
            if each.part.value.startswith(ledger.OF_BOXES) and 0 <= each.seconds < ledger.LONGEST:
                ledger.add(each.part, each.seconds, each.amount, each.times)

    def _broken(self, operation: str, problem: str) -> Refused:
        """The refusal for a box that broke its rules; the box is gone afterwards."""
        said = self.close().strip().splitlines()
        cause = f"{problem}: {said[-1]}" if said else problem
        self._gone = refused(ReasonKind.PROBE_FAILED, operation, cause=cause, code=self._process.returncode)
        return self._gone

    def close(self) -> str:
        """Ends the box; gives what it wrote to its error output."""
        self._socket.close()
        return stop(self._process, seconds=1.0)

    def __enter__(self) -> "Box":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
