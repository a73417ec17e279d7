# SPDX-License-Identifier: Apache-2.0
"""Where a hive's bytes do not fit the clusters it owns, a whole NTFS driver has to write them: ntfs-3g in a guestfs appliance.

Starts a program of its own that holds libguestfs (`appliance_child`) and, through it, QEMU; both die with unxen. Writes only
through the NBD exports given, into files that are there. On failure, Refused(APPLIANCE_FAILED) or Refused(TOOL_MISSING), anything
may have been written to the exports: they have to be overlays that the caller throws away.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unxen.errors import Refused, refused
from unxen.host.process import start, stop
from unxen.model.ids import GuestPath, PartitionNumber
from unxen.model.progress import Listener, Remark, nobody
from unxen.model.reason import ReasonKind
from unxen.repair.delivery.answer_lines import AnswerError, AnswerLines

INTERPRETER = ("/usr/bin/python3", "-I")
"""The distribution's, whichever runs unxen: guestfs is built for that one."""
CHILD = Path(__file__).with_name("appliance_child.py")
KVM = Path("/dev/kvm")
START_SECONDS, WRITE_SECONDS = 300.0, 120.0
SETTINGS, FORCE_TCG = "LIBGUESTFS_BACKEND_SETTINGS", "force_tcg"
PASSED_ON = ("LIBGUESTFS_", "SUPERMIN_")
MODULE_PACKAGE, KERNEL_PACKAGE = "python3-guestfs", "linux-image-amd64"
MOST_SAID = 4096


@dataclass(frozen=True)
class ApplianceJob:
    """The bytes of one file that is there, from its first byte on; jobs of one drive have the same socket and export.

    `path` is spelled as the directories spell it, or nearly (case). `data` may be longer than the file, never shorter.
    """

    socket: Path
    export: str
    partition: PartitionNumber
    hive_path: GuestPath
    data: bytes


class _NotStarted(Exception):
    """The appliance did not come to life, which another accelerator may cure."""


def deliver_by_appliance(jobs: Sequence[ApplianceJob], listener: Listener = nobody) -> str:
    """Writes every job's bytes with one appliance, flushed when this returns; gives its accelerator, `kvm` or `tcg`.

    An appliance that does not start where it would take KVM is started once more without: KVM that opens and then does not work
    is common inside virtual machines.
    """
    settings = os.environ.get(SETTINGS, "")
    try:
        try:
            return _attempt(jobs, settings)
        except _NotStarted as failure:
            if FORCE_TCG in settings.split(":") or not KVM.exists():
                raise
            listener(Remark("appliance-tcg", (("cause", str(failure)),)))
            return _attempt(jobs, f"{settings}:{FORCE_TCG}".lstrip(":"))
    except _NotStarted as failure:
        raise refused(ReasonKind.APPLIANCE_FAILED, "start", cause=failure) from failure


def _attempt(jobs: Sequence[ApplianceJob], settings: str) -> str:
    """One program, one appliance; whatever happens, neither is left."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="unxen-appliance-")))
        blobs = [stack.enter_context(_memory(job.data)) for job in jobs]
        request = stack.enter_context(_memory(json.dumps({"drives": _drives(jobs, blobs, scratch)}).encode()))
        said = stack.enter_context(_memory(b""))
        env = _environment(settings, scratch)
        ours, theirs = os.pipe()
        stack.callback(os.close, ours)
        try:
            process = start([*INTERPRETER, str(CHILD)], stdin=request, stdout=theirs, stderr=said, env=env, pass_fds=blobs)
        finally:
            os.close(theirs)
        stack.callback(stop, process)
        return _converse(AnswerLines(ours), said)


@contextmanager
def _memory(data: bytes) -> Iterator[int]:
    """Bytes as a descriptor that another program reads from the start; nothing of a guest is put into a file for it."""
    descriptor = os.memfd_create("unxen")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
            file.seek(0)
        yield descriptor
    finally:
        os.close(descriptor)


def _drives(jobs: Sequence[ApplianceJob], blobs: Sequence[int], scratch: Path) -> list[dict[str, Any]]:
    """What the program is asked. Sockets go by links: libguestfs cuts a socket's name at a colon, and 107 bytes are its most."""
    drives: dict[tuple[Path, str], dict[str, Any]] = {}
    for job, blob in zip(jobs, blobs, strict=True):
        place = (job.socket, job.export)
        if place not in drives:
            link = scratch / f"{len(drives)}.socket"
            link.symlink_to(job.socket.absolute())
            drives[place] = {"socket": str(link), "export": job.export, "writes": []}
        path = "/" + job.hive_path.replace("\\", "/").strip("/")
        drives[place]["writes"].append({"partition": job.partition, "path": path, "fd": blob, "size": len(job.data)})
    return list(drives.values())


def _environment(settings: str, scratch: Path) -> Mapping[str, str]:
    """What the administrator says to libguestfs counts; its scratch files go with ours, its built appliance stays where it is."""
    own = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    return {**own, "LIBGUESTFS_TMPDIR": str(scratch), SETTINGS: settings}


def _converse(answers: AnswerLines, said: int) -> str:
    """Hears the program out, each phase with a time of its own."""
    try:
        first = answers.next(START_SECONDS)
    except AnswerError as error:
        raise _NotStarted(_with_last_words(error, said)) from error
    if "unstarted" in first:
        raise _NotStarted(_text(first["unstarted"]))
    _check(first, "started")
    try:
        _check(answers.next(WRITE_SECONDS), "done")
    except AnswerError as error:
        raise refused(ReasonKind.APPLIANCE_FAILED, "write", cause=_with_last_words(error, said)) from error
    return _text(first["started"])


def _check(answer: Mapping[str, object], wanted: str) -> None:
    if wanted not in answer:
        raise _refusal(answer)


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


def _with_last_words(error: AnswerError, said: int) -> str:
    """Why no answer came, and the end of what the program wrote to its error output."""
    size = os.fstat(said).st_size
    words = os.pread(said, MOST_SAID, max(0, size - MOST_SAID)).decode("utf-8", "backslashreplace").strip().splitlines()
    return f"{error}: {words[-1].strip()}" if words else str(error)


def _text(value: object) -> str:
    return str(value)[:MOST_SAID]
