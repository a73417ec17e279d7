# SPDX-License-Identifier: Apache-2.0
"""A lock in a VM's configuration does not say who put it there; a file of ours does, so that one that a crash left is known again.

Writes a small file per VM in the state directory, before the lock is asked for, and keeps it locked while the work goes on.
Refused(BUSY) while another unxen works on the VM.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from unxen.errors import refused
from unxen.host.files import private_directory, sync_file
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.compare import meaning
from unxen.platforms.proxmox.config import VmConfig
from unxen.platforms.proxmox.node import LOCK

DIRECTORY = "proxmox-locks"
POLL_SECONDS = 0.1


@dataclass
class Mark:
    """The file of one VM, ours alone until it is closed."""

    path: Path
    expected: tuple[str, ...] = ()

    def expect(self, *configs: VmConfig) -> None:
        """From now on the lock is ours on a VM that means one of these."""
        self.expected = tuple(dict.fromkeys((*self.expected, *(_settled(each) for each in configs))))
        self.path.write_text(json.dumps(self.expected), encoding="utf-8")
        sync_file(self.path)

    def is_ours(self, config: VmConfig) -> bool:
        """Whether the lock in this configuration was put there by us."""
        return config.lock == LOCK and _settled(config) in self.expected

    def forget(self) -> None:
        """The lock is gone, or was never there."""
        self.expected = ()
        self.path.write_text("[]", encoding="utf-8")


@contextmanager
def marked(state_dir: Path, vmid: str, wait: float) -> Iterator[Mark]:
    """The VM's mark, as the last one left it; tries for `wait` seconds to get it."""
    path = private_directory(state_dir / DIRECTORY) / vmid
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(fd, vmid, time.monotonic() + wait)
        yield Mark(path, _read(path))
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


def left_behind(state_dir: Path, vmid: str, config: VmConfig) -> bool:
    """Whether the VM still has a lock of ours, and nobody works on it any more."""
    path = state_dir / DIRECTORY / vmid
    if config.lock != LOCK or not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return Mark(path, _read(path)).is_ours(config)


def _settled(config: VmConfig) -> str:
    """The VM without what is pending: a request that died half way leaves that, and the VM is the same."""
    return meaning(replace(config, pending={}, pending_deletes=()))


def left_marks(state_dir: Path) -> tuple[str, ...]:
    """The VMs whose locks somebody put there and did not take away, dead or alive."""
    directory = state_dir / DIRECTORY
    return tuple(sorted(each.name for each in directory.iterdir() if _read(each))) if directory.is_dir() else ()


def _read(path: Path) -> tuple[str, ...]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()
