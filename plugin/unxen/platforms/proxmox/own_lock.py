# SPDX-License-Identifier: Apache-2.0
"""A lock in a VM's configuration does not say who put it there; a file of ours does, so that one that a crash left is known again.

Writes a small file per VM in the state directory, before the lock is asked for, and keeps it locked while the work goes on. It says
which configurations the VM may have under our lock, and when Proxmox was last asked for something: a lock on anything else, or one
that was written at another time, is somebody else's. Refused(BUSY) while another unxen works on the VM.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unxen.errors import refused
from unxen.host.files import private_directory, sync_file
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass, replace
from unxen.platforms.proxmox.compare import is_between, meaning, values_in
from unxen.platforms.proxmox.config import VmConfig
from unxen.platforms.proxmox.node import LOCK, SECONDS

DIRECTORY = "proxmox-locks"
POLL_SECONDS = 0.1
# A request and its taking back take no longer than their programs may; pmxcfs keeps whole seconds.
LONGEST_REQUEST = 2 * SECONDS + 30
CLOCK_STEP = 2.0


@dataclass
class Mark:
    """The file of one VM, ours alone until it is closed. `asked`: when requests were made under the lock, in seconds since 1970."""

    path: Path
    expected: tuple[str, ...] = ()
    asked: tuple[float, ...] = ()

    def expect(self, *configs: VmConfig) -> None:
        """From now on the lock is ours on a VM that means one of these, or is on its way from one to the other."""
        self.expected = tuple(dict.fromkeys((*self.expected, *(meaning(_settled(each)) for each in configs))))
        self.asking()

    def asking(self) -> None:
        """Proxmox is about to be asked for something under our lock."""
        self.asked = (*self.asked, time.time())
        self.path.write_text(json.dumps({"expected": self.expected, "asked": self.asked}), encoding="utf-8")
        sync_file(self.path)

    def is_ours(self, config: VmConfig, written: float) -> bool:
        """Whether the lock in this configuration, or the one that waits in it, is ours; `written`: when its file was."""
        in_time = any(asked - CLOCK_STEP <= written <= asked + LONGEST_REQUEST for asked in self.asked)
        return has_lock(config) and in_time and is_between(_settled(config), self.expected)

    def broken_from(self, config: VmConfig) -> dict[str, str] | None:
        """What the VM was before a request of ours that ended in its middle; None where it was done or never begun."""
        if not self.expected or meaning(_settled(config)) in self.expected:
            return None
        return values_in(self.expected[0])

    def forget(self) -> None:
        """The lock is gone, or was never there."""
        self.expected, self.asked = (), ()
        self.path.write_text("{}", encoding="utf-8")


@contextmanager
def marked(state_dir: Path, vmid: str, wait: float) -> Iterator[Mark]:
    """The VM's mark, as the last one left it; tries for `wait` seconds to get it."""
    path = private_directory(state_dir / DIRECTORY) / vmid
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(fd, vmid, time.monotonic() + wait)
        yield _read(path)
    finally:
        os.close(fd)


def _take(fd: int, vmid: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise refused(ReasonKind.BUSY, f"proxmox:{vmid}") from error
        time.sleep(POLL_SECONDS)


def left_behind(state_dir: Path, vmid: str, config: VmConfig, written: float) -> bool:
    """Whether the VM still has a lock of ours, and nobody works on it any more."""
    path = state_dir / DIRECTORY / vmid
    if not has_lock(config) or not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return _read(path).is_ours(config, written)


def left_marks(state_dir: Path) -> tuple[str, ...]:
    """The VMs whose locks somebody put there and did not take away, dead or alive."""
    directory = state_dir / DIRECTORY
    return tuple(sorted(each.name for each in directory.iterdir() if _read(each).expected)) if directory.is_dir() else ()


def values_before(state_dir: Path, vmid: str) -> dict[str, str]:
    """The VM's values before anything was asked for under our lock; empty where no lock of ours is known."""
    expected = _read(state_dir / DIRECTORY / vmid).expected
    return values_in(expected[0]) if expected else {}


def has_lock(config: VmConfig) -> bool:
    """Whether it has a lock like ours, or gets one by its next change: Proxmox writes a value as pending first."""
    return config.lock == LOCK or (not config.lock and config.pending.get("lock") == LOCK)


def _settled(config: VmConfig) -> VmConfig:
    """The VM without what is pending: a request that died half way leaves that, and the VM is the same."""
    return replace(config, pending={}, pending_deletes=())


def _read(path: Path) -> Mark:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Mark(path, tuple(str(each) for each in found["expected"]), tuple(float(each) for each in found["asked"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Mark(path)
