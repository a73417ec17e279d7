# SPDX-License-Identifier: Apache-2.0
"""How a program that holds libguestfs is started, heard and ended; what it is asked to do there is its starter's business.

Starts the program, and through it QEMU; both die with unxen. What it ends with becomes Refused(APPLIANCE_FAILED) or
Refused(TOOL_MISSING).
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from unxen.errors import Refused, refused
from unxen.host.process import Process, start, stop
from unxen.model.progress import Listener, Remark
from unxen.model.reason import ReasonKind
from unxen.repair.delivery.answer_lines import AnswerError, AnswerLines

T = TypeVar("T")
INTERPRETER = ("/usr/bin/python3", "-I")
"""The distribution's, whichever runs unxen: guestfs is built for that one."""
KVM = Path("/dev/kvm")
START_SECONDS = 300.0
SETTINGS, FORCE_TCG = "LIBGUESTFS_BACKEND_SETTINGS", "force_tcg"
PASSED_ON = ("LIBGUESTFS_", "SUPERMIN_")
MODULE_PACKAGE, KERNEL_PACKAGE = "python3-guestfs", "linux-image-amd64"
MOST_SAID = 4096


class NotStarted(Exception):
    """The appliance did not come to life, which another accelerator may cure."""


def with_or_without_kvm(attempt: Callable[[str], T], listener: Listener) -> T:
    """What an attempt with the given back end settings gives.

    An appliance that does not start where it would take KVM is started once more without: KVM that opens and then does not work
    is common inside virtual machines.
    """
    settings = os.environ.get(SETTINGS, "")
    try:
        try:
            return attempt(settings)
        except NotStarted as failure:
            if FORCE_TCG in settings.split(":") or not KVM.exists():
                raise
            listener(Remark("appliance-tcg", (("cause", str(failure)),)))
            return attempt(f"{settings}:{FORCE_TCG}".lstrip(":"))
    except NotStarted as failure:
        raise refused(ReasonKind.APPLIANCE_FAILED, "start", cause=failure) from failure


class ApplianceProgram:
    """The running program: its answers in their order, each phase with a time of its own."""

    def __init__(self, process: Process, answers: AnswerLines, said: int) -> None:
        self._process, self._answers, self._said = process, answers, said

    def started(self) -> str:
        """The accelerator of the appliance, `kvm` or `tcg`, once it lives; NotStarted when it does not."""
        try:
            first = self._answers.next(START_SECONDS)
        except AnswerError as error:
            raise NotStarted(self._with_last_words(error)) from error
        if "unstarted" in first:
            raise NotStarted(_text(first["unstarted"]))
        if "started" not in first:
            raise _refusal(first)
        return _text(first["started"])

    def next(self, seconds: float, *wanted: str) -> Mapping[str, object]:
        """The next answer, which has to be one of those wanted; any other is how the program ended."""
        try:
            answer = self._answers.next(seconds)
        except AnswerError as error:
            raise refused(ReasonKind.APPLIANCE_FAILED, "write", cause=self._with_last_words(error)) from error
        if not set(wanted) & set(answer):
            raise _refusal(answer)
        return answer

    def _with_last_words(self, error: AnswerError) -> str:
        """Why no answer came, and the end of what the program wrote to its error output."""
        size = os.fstat(self._said).st_size
        words = os.pread(self._said, MOST_SAID, max(0, size - MOST_SAID)).decode("utf-8", "backslashreplace").strip().splitlines()
        return f"{error}: {words[-1].strip()}" if words else str(error)


@contextmanager
def appliance_program(
    script: Path, request: Any, settings: str, scratch: Path, pass_fds: Sequence[int] = ()
) -> Iterator[ApplianceProgram]:
    """The program at work on a request; whatever happens, neither it nor its appliance is left."""
    with ExitStack() as stack:
        asked = stack.enter_context(memory_file(json.dumps(request).encode()))
        said = stack.enter_context(memory_file(b""))
        ours, theirs = os.pipe()
        stack.callback(os.close, ours)
        try:
            command = [*INTERPRETER, str(script)]
            env = _environment(settings, scratch)
            process = start(command, stdin=asked, stdout=theirs, stderr=said, env=env, pass_fds=pass_fds)
        finally:
            os.close(theirs)
        stack.callback(stop, process)
        yield ApplianceProgram(process, AnswerLines(ours), said)


@contextmanager
def memory_file(data: bytes) -> Iterator[int]:
    """Bytes as a descriptor that another program reads from the start; nothing of a guest is put into a file for it."""
    descriptor = os.memfd_create("unxen")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
            file.seek(0)
        yield descriptor
    finally:
        os.close(descriptor)


def socket_link(socket: Path, scratch: Path, number: int) -> str:
    """A short name for a socket: libguestfs cuts a socket's name at a colon, and 107 bytes are its most."""
    link = scratch / f"{number}.socket"
    link.symlink_to(socket.absolute())
    return str(link)


def _environment(settings: str, scratch: Path) -> Mapping[str, str]:
    """What the administrator says to libguestfs counts; its scratch files go with ours, its built appliance stays where it is."""
    own = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    return {**own, "LIBGUESTFS_TMPDIR": str(scratch), SETTINGS: settings}


def _refusal(answer: Mapping[str, object]) -> Refused:
    """What the program ended with, as a reason."""
    state, cause = next(((name, _text(value)) for name, value in answer.items()), ("", ""))
    if state == "missing":
        return refused(ReasonKind.TOOL_MISSING, "libguestfs", tool="libguestfs", package=MODULE_PACKAGE, cause=cause)
    if state == "unbuilt":
        package = {"package": KERNEL_PACKAGE} if "kernel" in cause else {}
        return refused(ReasonKind.APPLIANCE_FAILED, "start", cause=cause, **package)
    if state == "longer":
        return refused(ReasonKind.APPLIANCE_FAILED, "write", cause="the file is longer than what it shall hold", found=cause)
    return refused(ReasonKind.APPLIANCE_FAILED, "write", cause=cause or f"answered {state}")


def _text(value: object) -> str:
    return str(value)[:MOST_SAID]
