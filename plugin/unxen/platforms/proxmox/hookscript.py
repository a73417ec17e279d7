# SPDX-License-Identifier: Apache-2.0
"""The guard is a hookscript of each VM that shall have it; a VM has one, so an earlier one is remembered and called by ours.

Writes the snippet and the list of earlier hookscripts beside it, and configurations through Proxmox; in snapshots, which Proxmox
cannot change, the one line is replaced in the file, under the VM's lock and by a rename, as Proxmox itself writes it. Setting a
hookscript is for root only. Raises Refused.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.config import parse
from unxen.platforms.proxmox.node import LocalNode

NAME = "unxen-hookscript"
KEY = "hookscript"


@dataclass(frozen=True)
class Snippet:
    """Our hookscript in a storage of the node: the volume that configurations name, and the file behind it."""

    node: LocalNode
    storage: str

    @property
    def volume(self) -> str:
        """What stands in a configuration."""
        return f"{self.storage}:snippets/{NAME}"

    @property
    def path(self) -> Path:
        """The file, where Proxmox looks for it."""
        return Path(self.node.path(self.volume))

    def install(self, source: Path, vmids: tuple[str, ...]) -> tuple[str, ...]:
        """Puts the snippet there and into these VMs; gives those that got it now."""
        path = self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        shutil.copyfile(source, part)
        part.chmod(0o755)
        part.replace(path)
        return tuple(vmid for vmid in vmids if self._put_into(vmid))

    def users(self) -> tuple[str, ...]:
        """Every VM of this node whose configuration or one of whose snapshots names our hookscript."""
        return tuple(vmid for vmid in self.node.vmids() if self.volume.encode() in self.node.config(vmid))

    def remove(self, vmids: tuple[str, ...]) -> tuple[str, ...]:
        """Takes it out of these VMs, or with none named of all; the earlier hookscript comes back. An unused file goes."""
        users = self.users()
        done = tuple(vmid for vmid in users if not vmids or vmid in vmids)
        for vmid in done:
            self._take_out_of(vmid)
        if set(done) == set(users):
            for path in (self.path, self._earlier):
                path.unlink(missing_ok=True)
        return done

    @property
    def _earlier(self) -> Path:
        return self.path.with_name(f"{NAME}.earlier")

    def _put_into(self, vmid: str) -> bool:
        config = parse(self.node.config(vmid))
        before = config.values.get(KEY, "")
        if before == self.volume:
            return False
        # Remembered first: a VM that has ours while the list does not know the other would go without it.
        self._remember(vmid, self.node.path(before) if before else "", before)
        self.node.describe(vmid, [(KEY, self.volume)], config.digest)
        return True

    def _take_out_of(self, vmid: str) -> None:
        before = self._remembered(vmid)
        with _flock(self.node.places.locks, vmid):
            self._clear_snapshots(vmid, before)
        config = parse(self.node.config(vmid))
        if config.values.get(KEY) == self.volume:
            self.node.describe(vmid, [(KEY, before)], config.digest)
        self._remember(vmid, "", "")

    def _clear_snapshots(self, vmid: str, before: str) -> None:
        data = self.node.config(vmid)
        head, section, tail = _in_sections(data)
        line = re.compile(rf"^{KEY}: {re.escape(self.volume)}\n".encode(), re.MULTILINE)
        if not line.search(tail):
            return
        changed = line.sub(f"{KEY}: {before}\n".encode() if before else b"", tail)
        path = self.node.places.config(vmid)
        part = path.with_name(f"{path.name}.tmp.{os.getpid()}")
        part.write_bytes(head + section + changed)
        part.replace(path)

    def _remember(self, vmid: str, path: str, volume: str) -> None:
        lines = [line for line in self._lines() if line.split(" ")[0] not in (vmid, f"#{vmid}")]
        lines += [f"{vmid} {path}", f"#{vmid} {volume}"] if volume else []
        part = self._earlier.with_name(f".{NAME}.earlier.part")
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        part.replace(self._earlier)

    def _remembered(self, vmid: str) -> str:
        return next((line.partition(" ")[2] for line in self._lines() if line.startswith(f"#{vmid} ")), "")

    def _lines(self) -> list[str]:
        with suppress(FileNotFoundError):
            return self._earlier.read_text(encoding="utf-8").splitlines()
        return []


def _in_sections(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The main part, and everything from the first section on."""
    found = re.search(rb"^\[", data, re.MULTILINE)
    return (data[: found.start()], b"", data[found.start() :]) if found else (data, b"", b"")


@contextmanager
def _flock(directory: Path, vmid: str) -> Iterator[None]:
    """The lock that Proxmox takes for every change of a VM: flock on that very file, which is never deleted."""
    fd = os.open(directory / f"lock-{vmid}.conf", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise refused(ReasonKind.GUEST_LOCKED, f"proxmox:{vmid}", lock="a change is going on") from error
    finally:
        os.close(fd)
