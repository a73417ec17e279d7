# SPDX-License-Identifier: Apache-2.0
"""A node with hundreds of VMs is asked every second whether anything changed: one small file answers while nothing did.

Reads files below /etc/pve and the list of running VMs, nothing else. pmxcfs raises a counter in `.version` with every configuration
that is written anywhere in the cluster, and `.vmlist` names which. Where the file system is gone, as while pmxcfs restarts, nothing
is known: Refused(PLATFORM_REFUSED), and never "no VM is left".
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unxen.errors import Refused, refused
from unxen.model.reason import ReasonKind
from unxen.platforms.base import GuestState
from unxen.platforms.proxmox.compare import stamp
from unxen.platforms.proxmox.config import VmConfig, parse
from unxen.platforms.proxmox.node import LocalNode, is_vmid

Counters = tuple[object, object]


@dataclass
class _Seen:
    """One VM as it was last read."""

    key: tuple[object, ...]
    stamp: str
    asleep: bool
    locked: bool
    config: VmConfig


@dataclass
class Changes:
    """What is remembered of a node between two questions. `is_ours`: whether a VM's lock is one that a crash of unxen left."""

    node: LocalNode
    is_ours: Callable[[str, VmConfig], bool]
    _counters: Counters | None = None
    _versions: dict[str, object] = field(default_factory=dict)
    _running: frozenset[str] = frozenset()
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def since(self) -> frozenset[str]:
        """The VMs that were written, started, stopped or destroyed since the last question; nobody while nothing is known."""
        running = self._pid_files()
        changed, self._running = running ^ self._running, running
        counters = self._read_counters()
        if counters is None or counters == self._counters:
            return changed
        try:
            here = self._here()
        except Refused:
            # The counters are asked for again: what they say has not been looked at.
            return changed
        self._counters = counters
        versions = self._read_versions()
        written = {vmid for vmid, version in versions.items() if self._versions.get(vmid) != version}
        gone = self._versions.keys() - versions.keys()
        self._versions = versions
        return frozenset(((changed | written) & here) | gone)

    def states(self) -> Mapping[str, GuestState]:
        """Every VM of this node; only those are read whose file changed."""
        if self._read_counters() is None:
            raise refused(ReasonKind.PLATFORM_REFUSED, str(self.node.places.etc), problem="its file system is not mounted")
        running = self._pid_files()
        here = self._here()
        for gone in self._seen.keys() - here:
            del self._seen[gone]
        versions = self._read_versions()
        return {vmid: state for vmid in here if (state := self._state(vmid, versions.get(vmid), vmid in running))}

    def _state(self, vmid: str, version: object, has_pid_file: bool) -> GuestState | None:
        """None for a VM that vanished while we looked."""
        try:
            seen = self._read(vmid, version)
        except (OSError, Refused):
            return None
        locked = seen.locked and not self.is_ours(vmid, seen.config)
        running = has_pid_file and self.node.is_running(vmid)
        return GuestState(seen.stamp, not (seen.asleep or locked or running))

    def _read(self, vmid: str, version: object) -> _Seen:
        found = os.stat(self.node.places.config(vmid))  # noqa: PTH116
        key = (found.st_mtime_ns, found.st_size, found.st_ino, version)
        seen = self._seen.get(vmid)
        if seen is None or seen.key != key:
            config = parse(self.node.config(vmid))
            asleep = config.is_template or config.has_memory_image
            seen = self._seen[vmid] = _Seen(key, stamp(config), asleep, bool(config.lock), config)
        return seen

    def _here(self) -> frozenset[str]:
        """The VMs of this node."""
        try:
            names = _names(self.node.places.etc / "qemu-server")
        except OSError as error:
            raise refused(ReasonKind.PLATFORM_REFUSED, str(self.node.places.etc), problem="it is not there") from error
        # Proxmox writes NAME.conf.tmp.PID first and renames it.
        return frozenset(name[:-5] for name in names if name.endswith(".conf") and is_vmid(name[:-5]))

    def _pid_files(self) -> frozenset[str]:
        with suppress(OSError):
            names = _names(self.node.places.run)
            return frozenset(name[:-4] for name in names if name.endswith(".pid") and is_vmid(name[:-4]))
        return frozenset()

    def _read_counters(self) -> Counters | None:
        found = _json(self.node.places.etc / ".version")
        return (found.get("starttime"), found.get("vmlist")) if "vmlist" in found else None

    def _read_versions(self) -> dict[str, object]:
        ids = _json(self.node.places.etc / ".vmlist").get("ids")
        return {vmid: row.get("version") for vmid, row in ids.items() if isinstance(row, dict)} if isinstance(ids, dict) else {}


def _names(directory: Path) -> list[str]:
    return os.listdir(directory)  # noqa: PTH208 (a Path for each of hundreds of names would be most of the work)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
