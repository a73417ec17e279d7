# SPDX-License-Identifier: Apache-2.0
"""Ways in which a run of unxen is struck: killed at a boundary between two steps, or at a moment; its daemon killed, or lied to.

A strike is set up inside a forked copy of the test process, by replacing functions there, or by strace from outside; the program
itself knows nothing of it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from unxen.cli.main import main
from unxen.host.nbd_client import NbdClient
from unxen.host.storage_daemon import StorageDaemon
from unxen.journal.store import Journal

Strike = Callable[[], object]
"""What is done in the forked process before the program runs."""
WRITES = ("pwrite64", "pwritev", "pwritev2", "fallocate", "ftruncate")
SYNCS = ("fdatasync", "fsync")


def run_struck(argv: Sequence[object], strike: Strike = lambda: None) -> int:
    """One run of the program in a process of its own; its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setpgid(0, 0)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nowhere, number)
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 (what pytest put there is shared with it)
            strike()
            code = main([str(each) for each in argv])
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _end_tracers(child)
    return code


def _end_tracers(group: int) -> None:
    """strace, delaying a call of a daemon that is killed meanwhile, can wait for ever and keep it from dying (seen with 6.1).

    Nothing else of the run's process group is touched: that the rest dies by itself is what is shown.
    """
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            name, _, rest = each.read_text().partition("(")[2].rpartition(")")
            if name == "strace" and int(rest.split()[2]) == group:
                os.kill(int(each.parent.name), signal.SIGKILL)


def die() -> None:
    """The end that nothing can catch; the boxes and the daemon die with it."""
    os.kill(os.getpid(), signal.SIGKILL)


# Everything by which a run changes something outside of itself: a kill between two of these is the same wherever it falls.
CROSSINGS: tuple[tuple[object, str], ...] = (
    *((Journal, name) for name in ("begin", "move", "set_files", "add_ranges")),
    *((StorageDaemon, name) for name in ("create_image", "open_image", "open_base", "take_in", "commit")),
    *((NbdClient, name) for name in ("write", "flush")),
    *((os, name) for name in ("replace", "truncate", "unlink", "fsync")),
)


def at_crossing(number: int, act: Strike = die) -> Strike:
    """Acts when the program comes by its N-th boundary, counted from 1."""

    def set_up() -> None:
        passed = 0

        def cross(_name: str) -> None:
            nonlocal passed
            passed += 1
            if passed == number:
                act()

        _watch(cross)

    return set_up


def crossings(argv: Sequence[object]) -> list[str]:
    """The boundaries that a run without a strike comes by, in their order; it must end well."""
    ours, theirs = os.pipe()
    code = run_struck(argv, lambda: _watch(lambda name: os.write(theirs, f"{name}\n".encode())))
    os.close(theirs)
    with os.fdopen(ours) as lines:
        names = lines.read().split("\n")[:-1]
    assert code == 0, f"{argv} ended with {code}"
    return names


def moments(names: Sequence[str]) -> list[int]:
    """The boundaries at which a kill may leave something else than at another: numbers from 1.

    What lies between the end of a step and the beginning of the next changes nothing; of many writes in a row three are enough.
    """
    found = [number for number, name in enumerate(names, 1) if name.startswith("before")]
    writes = [number for number in found if names[number - 1] == "before write"]
    few = {writes[0], writes[len(writes) // 2], writes[-1]} if writes else set()
    return [number for number in found if number not in writes or number in few] + [len(names)]


def _watch(cross: Callable[[str], object]) -> None:
    for owner, name in CROSSINGS:
        _wrap(owner, name, cross)


def _wrap(owner: object, name: str, cross: Callable[[str], object]) -> None:
    real = getattr(owner, name)

    def wrapped(*arguments, **options):
        cross(f"before {name}")
        result = real(*arguments, **options)
        cross(f"after {name}")
        return result

    setattr(owner, name, wrapped)


def in_commit(act: Callable[[StorageDaemon], object], which: int = 1) -> Strike:
    """Calls `act` right before the N-th commit of the run."""

    def set_up() -> None:
        real = StorageDaemon.commit
        calls = 0

        def commit(self, overlay):
            nonlocal calls
            calls += 1
            if calls == which:
                act(self)
            real(self, overlay)

        StorageDaemon.commit = commit

    return set_up


def daemon_pid(daemon: StorageDaemon) -> int:
    """The storage daemon's own process inside its box."""
    waiting = [daemon._process.pid]
    while waiting:
        pid = waiting.pop()
        if Path(f"/proc/{pid}/comm").read_text().startswith("qemu-storage"):
            return pid
        waiting += [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    raise AssertionError("no daemon")


def injected(*rules: str, log: Path = Path(os.devnull)) -> Callable[[StorageDaemon], None]:
    """strace on the daemon from outside; `rules` as its option `inject` takes them, counted from now on."""

    def act(daemon: StorageDaemon) -> None:
        calls = sorted({name for rule in rules for name in rule.partition(":")[0].split(",")})
        options = [word for rule in rules for word in ("-e", f"inject={rule}")]
        command = ["strace", "-f", "-o", str(log), "-e", f"trace={','.join(calls)}", *options, "-p", str(daemon_pid(daemon))]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert tracer.stderr
        said = tracer.stderr.readline()
        assert b"attached" in said, said

    return act


def killed_at(calls: Sequence[str], when: int) -> Callable[[StorageDaemon], None]:
    """The daemon dies at its N-th call of one of these."""
    return injected(f"{','.join(calls)}:signal=SIGKILL:when={when}")


def failing_at(calls: Sequence[str], error: str, when: str) -> Callable[[StorageDaemon], None]:
    """The daemon is told an error from its N-th call on (`N+`), or at that one alone (`N`)."""
    return injected(f"{','.join(calls)}:error={error}:when={when}")


def die_after(seconds: float) -> Callable[[StorageDaemon], None]:
    """We die that long after the commit began, whose writes are slowed down so that there is something to hit."""
    slow = injected(f"{','.join((*WRITES, *SYNCS))}:delay_enter=4000")

    def act(daemon: StorageDaemon) -> None:
        slow(daemon)
        victim = os.getpid()
        if os.fork() == 0:
            # Or the victim's locks outlive it for as long as this process needs to end.
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            time.sleep(seconds)
            os.kill(victim, signal.SIGKILL)
            os._exit(0)

    return act


def with_blkdebug(event: str, errno: int, *, once: bool) -> Strike:
    """QEMU's own debug driver beneath the disk, which gives an error at an event; from the commit on."""

    def set_up() -> None:
        real_node, real_commit = StorageDaemon._base_node, StorageDaemon.commit
        armed = False

        def node(self):
            found = real_node(self)
            if armed:
                rule = {"event": event, "errno": errno, "once": once, "immediately": True}
                found["file"] = {"driver": "blkdebug", "image": found["file"], "inject-error": [rule]}
            return found

        def commit(self, overlay):
            nonlocal armed
            if not armed:
                armed = True
                self.close_image(overlay)
                self.reopen_base(read_only=True)
                self.open_image(overlay, above_base=True)
            real_commit(self, overlay)

        StorageDaemon._base_node, StorageDaemon.commit = node, commit

    return set_up
