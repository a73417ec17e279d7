# SPDX-License-Identifier: Apache-2.0
"""The door to one Proxmox node: what it keeps in files is read, what changes something is asked of `qm`, `pvesm` and Perl.

A program's exit code alone decides whether it succeeded: Proxmox says harmless things on stderr, too. Nothing below /etc/pve is
written here. Refused(PLATFORM_REFUSED) with Proxmox' own words when it says no, Refused(TOOL_MISSING) where this is no node.
"""

import logging
import os
import pwd
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.process import run
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.platforms.proxmox.config import parse
from unxen.platforms.proxmox.update import Update

LOG = logging.getLogger(__name__)
# A lock of Proxmox is waited for 10 s, on some paths 60 s; an iSCSI login or an RBD mapping takes its time.
SECONDS = 120.0
LONGEST_COPY = 7 * 24 * 3600.0
# `activate_volumes` is the only door that makes any kind of volume appear; see docs/decisions/016-locked-by-configuration.md.
_ACTIVATE = "PVE::Storage::activate_volumes(PVE::Storage::config(), [$ARGV[0]]);"
# Of the words that Proxmox takes for a lock the one that says what is the case: this VM is not made yet. See the same decision.
LOCK = "create"
# For root alone, and to be used under our own lock only.
PAST_LOCK = ("--skiplock", "1")
_VMID = re.compile(r"[1-9][0-9]{2,8}")
KIB = 1024
_ALLOCATED = re.compile(r"successfully created '([^']+)'")
_STORAGE_HEAD = re.compile(r"([a-z]+):\s*(\S+)\s*$")
# pve-common 9.2.1 Tools.pm `assert_if_modified`.
_CHANGED = "checksum mismatch"
_LOCKED = re.compile(r"VM is locked \(([a-z-]+)\)")
_BIGGEST_CONFIG = 1 << 20


@dataclass(frozen=True)
class Places:
    """Where a node keeps its configurations, its locks, and the marks of running VMs."""

    etc: Path = Path("/etc/pve")
    locks: Path = Path("/var/lock/qemu-server")
    run: Path = Path("/var/run/qemu-server")

    def config(self, vmid: str) -> Path:
        """The configuration of a VM of this node."""
        return self.etc / "qemu-server" / f"{vmid}.conf"


PLACES = Places()


def is_vmid(text: str) -> bool:
    """Whether this can be the number of a VM."""
    return _VMID.fullmatch(text) is not None


class LocalNode:
    """The node that unxen runs on."""

    def __init__(self, places: Places) -> None:
        self.places = places

    def config(self, vmid: str) -> bytes:
        """The configuration of a VM as it stands in its file."""
        path = self.places.config(vmid)
        try:
            with path.open("rb") as file:
                return file.read(_BIGGEST_CONFIG)
        except FileNotFoundError as error:
            raise self._no_such_vm(vmid) from error
        except OSError as error:
            raise refused(ReasonKind.NO_PERMISSION, str(path), cause=error.strerror) from error

    def written_at(self, vmid: str) -> float:
        """When the configuration was last written, in seconds since 1970; 0 where there is none."""
        with suppress(OSError):
            return self.places.config(vmid).stat().st_mtime
        return 0.0

    def vmids(self) -> Sequence[str]:
        """Every VM of this node."""
        names = (path.stem for path in (self.places.etc / "qemu-server").glob("*.conf"))
        return sorted((name for name in names if is_vmid(name)), key=int)

    def is_running(self, vmid: str) -> bool:
        """Whether the VM has a process, paused ones included: a pid file whose process lives and names that very file."""
        pid_file = self.places.run / f"{vmid}.pid"
        with suppress(OSError, ValueError):
            command = Path(f"/proc/{int(pid_file.read_text())}/cmdline").read_bytes()
            # Proxmox writes the path through either name of the same directory.
            return os.fsencode(f"qemu-server/{vmid}.pid") in command
        return False

    def storage_type(self, storage: str, /) -> str:
        """The type of a storage as /etc/pve/storage.cfg has it."""
        with suppress(OSError):
            for line in (self.places.etc / "storage.cfg").read_text(encoding="utf-8").splitlines():
                found = _STORAGE_HEAD.match(line)
                if found and found[2] == storage:
                    return found[1]
        raise refused(ReasonKind.PLATFORM_REFUSED, storage, problem="there is no such storage")

    def path(self, volume: str, /) -> str:
        """Where a volume is, whether it is there or not; activates nothing."""
        return self._asked("pvesm", "path", volume).strip()

    def activate(self, volume: str, /) -> None:
        """Makes the volume appear and leaves it there, as attaching it would."""
        self._asked("perl", "-MPVE::Storage", "-e", _ACTIVATE, "--", volume)

    def lock(self, vmid: str, digest: str) -> None:
        """Puts our lock into the configuration: from now on Proxmox neither starts nor changes the VM, on any node."""
        self._asked("qm", "set", vmid, "--lock", LOCK, "--digest", digest)

    def unlock(self, vmid: str) -> None:
        """Takes the lock away, whoever put it there: to be called only for our own."""
        self._asked("qm", "unlock", vmid)

    def update(self, vmid: str, update: Update, *, under_lock: bool = True) -> None:
        """One request, as a rule under our own lock; what it left half done is taken back. Refused(PLATFORM_REFUSED)."""
        words = [word for name, value in update.parameters() for word in (f"--{name}", value)]
        self._set(vmid, words, update.keys, under_lock=under_lock)

    def describe(self, vmid: str, values: Sequence[tuple[str, str]], digest: str, *, under_lock: bool = False) -> None:
        """What stands in a configuration for people and scripts: notes, tags, the hookscript; an empty value takes a key away."""
        gone = [name for name, value in values if not value]
        words = [word for name, value in values if value for word in (f"--{name}", value)]
        words += ["--delete", ",".join(gone)] if gone else []
        self._set(vmid, [*words, "--digest", digest], [name for name, _ in values], under_lock=under_lock)

    def create(self, arguments: Sequence[str]) -> None:
        """A new VM; `arguments` begin with its number. Takes as long as its disks take to be copied. Refused(PLATFORM_REFUSED)."""
        self._asked("qm", "create", *arguments, seconds=LONGEST_COPY)

    def allocate(self, storage: str, vmid: str, size: int) -> str:
        """A new raw volume of at least so many bytes, owned by the VM and attached nowhere; gives its name."""
        said = self._asked("pvesm", "alloc", storage, vmid, "", str(-(-size // KIB)), "--format", "raw")
        found = _ALLOCATED.search(said)
        if found is None:
            raise refused(ReasonKind.PLATFORM_REFUSED, storage, problem="Proxmox named no new volume", cause=said.strip())
        return found[1]

    def free(self, volume: str) -> None:
        """Destroys a volume: to be called only for one that we allocated ourselves and that nothing names."""
        self._asked("pvesm", "free", volume)

    def destroy(self, vmid: str) -> None:
        """Destroys a VM: to be called only for one that we created ourselves."""
        self._asked("qm", "destroy", vmid)

    def start(self, vmid: str) -> None:
        """Starts the VM, as a person would."""
        self._asked("qm", "start", vmid)

    def revert(self, vmid: str, keys: Sequence[str], past: Sequence[str] = PAST_LOCK) -> None:
        """Takes back what waits for the next start of these keys."""
        self._asked("qm", "set", vmid, "--revert", ",".join(keys), *past)

    def _set(self, vmid: str, words: Sequence[str], keys: Sequence[str], *, under_lock: bool) -> None:
        past = PAST_LOCK if under_lock else ()
        try:
            self._asked("qm", "set", vmid, *words, *past)
        except Refused:
            self._revert(vmid, keys, past)
            raise

    def _revert(self, vmid: str, keys: Sequence[str], past: Sequence[str]) -> None:
        """What fails in the middle stays pending and would be done at the next start: what is ours of it is taken back."""
        try:
            config = parse(self.config(vmid))
            left = [key for key in keys if key in (*config.pending, *config.pending_deletes)]
            if left:
                self.revert(vmid, left, past)
        except Refused as error:
            LOG.error("what a failed change of VM %s left pending could not be taken back (qm pending %s): %s", vmid, vmid, error)

    def _asked(self, *argv: str, seconds: float = SECONDS) -> str:
        """What a program of Proxmox prints; its own words as the cause when it fails."""
        try:
            return run(argv, timeout=seconds).stdout.decode("utf-8", "backslashreplace")
        except Refused as error:
            if error.first.kind is not ReasonKind.TOOL_FAILED:
                raise
            raise said_no(" ".join(argv[:3]), error.first.detail("cause"), argv[2] if argv[0] == "qm" else "") from error

    def _no_such_vm(self, vmid: str) -> Refused:
        if not (self.places.etc / "qemu-server").is_dir():
            return refused(
                ReasonKind.PLATFORM_REFUSED,
                f"proxmox:{vmid}",
                problem=f"{self.places.etc} is not there, so this is no Proxmox node",
            )
        return refused(ReasonKind.PLATFORM_REFUSED, f"proxmox:{vmid}", problem="this node has no such virtual machine")


def local_node() -> LocalNode:
    """The node that this is; Refused(PRIVILEGE_MISSING) before anything for a user to whom it tells nothing."""
    if os.geteuid() != 0 and PLACES.etc.is_dir():
        cause = "Proxmox VE keeps configurations, locks and the programs qm and pvesm for root of its node."
        advice = "Run unxen as root (sudo unxen ...), or from elsewhere with --host and a token what needs no disk."
        raise refused(ReasonKind.PRIVILEGE_MISSING, _user(), missing="the rights of root", cause=cause, advice=advice)
    return LocalNode(PLACES)


def _user() -> str:
    try:
        return f"the user {pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"the user {os.geteuid()}"


def said_no(about: str, words: str, vmid: str = "") -> Refused:
    """Proxmox' answer as a reason: a VM that it is busy with is another matter than one that it will not change."""
    last = " ".join(line.strip() for line in words.splitlines() if line.strip())
    guest = f"proxmox:{vmid}" if vmid else about
    if _CHANGED in words:
        return refused(ReasonKind.GUEST_CHANGED, guest, cause=last)
    if found := _LOCKED.search(words):
        return refused(ReasonKind.GUEST_LOCKED, guest, lock=found[1], command=f"qm unlock {vmid or 'VMID'}")
    return refused(ReasonKind.PLATFORM_REFUSED, about, problem="Proxmox refused", cause=last)
