# SPDX-License-Identifier: Apache-2.0
"""The lock that every command of Proxmox takes before it changes or starts a VM; while unxen has it, a start waits and then fails.

Makes at most the empty lock file and never deletes it. Held shortly, and never while Proxmox is asked for anything about that VM:
it would wait for us. Refused(BUSY) when Proxmox has it.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unxen.errors import refused
from unxen.model.reason import ReasonKind

# As long as Proxmox itself waits: pve-common 9.2.1 Tools.pm `lock_file_full`.
WAIT_SECONDS = 10.0
POLL_SECONDS = 0.1


@contextmanager
def vm_lock(directory: Path, vmid: str, *, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """flock on the VM's lock file, as Proxmox takes it: not fcntl's locks, which it would not see."""
    path = directory / f"lock-{vmid}.conf"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise refused(ReasonKind.NO_PERMISSION, str(path), cause=error.strerror) from error
    try:
        _take(fd, path, time.monotonic() + wait)
        yield
    finally:
        os.close(fd)


def _take(fd: int, path: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise refused(ReasonKind.BUSY, str(path), cause="Proxmox is changing or starting this virtual machine.") from error
        time.sleep(POLL_SECONDS)
