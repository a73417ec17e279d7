# SPDX-License-Identifier: Apache-2.0
"""A Proxmox cluster seen from another host, over HTTPS with an API token: what is asked there, and nothing about what it means.

Changes configurations by single requests, as the node's own programs do; what one left half done is taken back. The certificate is
checked unless somebody asked not to, and no secret stands in any message. Refused(PRIVILEGE_MISSING) names what the token lacks;
everything else that Proxmox or the way there says is Refused(PLATFORM_REFUSED, GUEST_LOCKED, GUEST_CHANGED).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from unxen.errors import Refused, refused
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.access import ALL_GUESTS, Access, Task, lacking
from unxen.platforms.proxmox.config import VmConfig
from unxen.platforms.proxmox.node import said_no

# A change waits 10 s for the VM's lock, on a busy node longer.
SECONDS = 60
STOPPED = "stopped"


@dataclass(frozen=True)
class Listed:
    """A VM as the cluster lists it; `tags` as one text."""

    vmid: str
    name: str
    node: str
    status: str
    tags: str


class RemoteCluster:
    """The cluster behind one host."""

    def __init__(self, access: Access) -> None:
        self.host = access.host
        self._token = f"{access.user}!{access.token_name}"
        self._api = _connected(access)
        self._nodes: dict[str, str] = {}

    def missing(self, tasks: Collection[Task], vmid: str = "") -> dict[Task, tuple[str, ...]]:
        """The privileges that the token lacks for each task at a VM, or where none is named at VMs at large."""
        path = _path(vmid)
        with _told(self.host):
            granted: Mapping[str, Mapping[str, object]] = self._api.access.permissions.get(path=path) or {}
        return lacking(granted, path, tasks)

    def need(self, tasks: Collection[Task], vmid: str = "") -> None:
        """Refused, with every privilege that is not there, before anything is done."""
        if missing := self.missing(tasks, vmid):
            names = ", ".join(dict.fromkeys(name for each in missing.values() for name in each))
            raise refused(ReasonKind.PRIVILEGE_MISSING, f"the token {self._token}", missing=names, path=_path(vmid))

    def guests(self) -> Sequence[Listed]:
        """Every VM that the token may see, by number."""
        with _told(self.host):
            rows = self._api.cluster.resources.get(type="vm")
        found = [_listed(row) for row in rows if row.get("type") == "qemu"]
        return sorted(found, key=lambda each: int(each.vmid))

    def guest(self, vmid: str) -> Listed:
        """One VM; Refused(PLATFORM_REFUSED) where there is none."""
        found = next((each for each in self.guests() if each.vmid == vmid), None)
        if found is None:
            raise refused(ReasonKind.PLATFORM_REFUSED, f"proxmox:{vmid}", problem=f"{self.host} has no such virtual machine")
        self._nodes[vmid] = found.node
        return found

    def config(self, vmid: str) -> VmConfig:
        """The configuration as it stands, with what is pending apart."""
        vm = self._vm(vmid)
        with _told(self.host):
            values = {str(key): str(value) for key, value in vm.config.get(current=1).items()}
            rows = vm.pending.get()
            lock = vm.status.current.get().get("lock")
        values |= {"lock": str(lock)} if lock else {}
        pending = {str(row["key"]): str(row["pending"]) for row in rows if "pending" in row}
        deletes = tuple(str(row["key"]) for row in rows if row.get("delete"))
        digest, notes = values.pop("digest", ""), values.pop("description", "")
        return VmConfig(digest, values, notes, pending, deletes, {})

    def is_stopped(self, vmid: str) -> bool:
        """Whether the VM has no process, a paused one included."""
        with _told(self.host):
            return bool(self._vm(vmid).status.current.get().get("status") == STOPPED)

    def put(self, vmid: str, parameters: Sequence[tuple[str, str]], keys: Sequence[str]) -> None:
        """One change of the configuration; where it fails what is ours of it and waits for the next start is taken back."""
        vm = self._vm(vmid)
        try:
            with _told(self.host, vmid):
                vm.config.put(**dict(parameters))
        except Refused:
            # The first cause is the one to tell.
            with suppress(Refused), _told(self.host):
                left = {str(row["key"]) for row in vm.pending.get() if "pending" in row or row.get("delete")}
                if ours := [key for key in keys if key in left]:
                    vm.config.put(revert=",".join(ours))
            raise

    def _vm(self, vmid: str) -> Any:
        if vmid not in self._nodes:
            self.guest(vmid)
        return self._api.nodes(self._nodes[vmid]).qemu(vmid)


def missing_privileges(access: Access, tasks: Collection[Task] = tuple(Task), vmid: str = "") -> dict[Task, tuple[str, ...]]:
    """What a token lacks for each of these tasks; empty when it may do all of them. Refused where the cluster cannot be asked."""
    return RemoteCluster(access).missing(tasks, vmid)


def _path(vmid: str) -> str:
    return f"{ALL_GUESTS}/{vmid}" if vmid else ALL_GUESTS


def _listed(row: Mapping[str, object]) -> Listed:
    return Listed(*(str(row.get(key) or "") for key in ("vmid", "name", "node", "status", "tags")))


def _connected(access: Access) -> Any:
    try:
        from proxmoxer import ProxmoxAPI
    except ImportError as error:
        raise refused(ReasonKind.TOOL_MISSING, "proxmoxer", tool="proxmoxer", package="python3-proxmoxer") from error
    try:
        with _told(access.host):
            return ProxmoxAPI(
                access.host,
                user=access.user,
                token_name=access.token_name,
                token_value=access.secret,
                verify_ssl=access.verify,
                timeout=SECONDS,
            )
    except SystemExit as error:
        # proxmoxer 1.2 ends the program where python3-requests is missing.
        raise refused(ReasonKind.TOOL_MISSING, "requests", tool="requests", package="python3-requests") from error


@contextmanager
def _told(host: str, vmid: str = "") -> Iterator[None]:
    """Answers and failures of the way there as reasons; a secret stands in none of them."""
    from proxmoxer.core import ResourceException
    from requests.exceptions import RequestException, SSLError

    try:
        yield
    except ResourceException as error:
        raise _answer(host, error, vmid) from error
    except SSLError as error:
        problem = "its certificate is not trusted (--ca FILE names its authority; on a node /etc/pve/pve-root-ca.pem)"
        raise refused(ReasonKind.PLATFORM_REFUSED, host, problem=problem) from error
    except RequestException as error:
        raise refused(ReasonKind.PLATFORM_REFUSED, host, problem="it does not answer", cause=type(error).__name__) from error


def _answer(host: str, error: Any, vmid: str) -> Refused:
    words = " ".join(f"{error.status_message} {error.content} {error.errors or ''}".split())
    if error.status_code in (401, 403):
        return refused(ReasonKind.POLICY_REFUSED, host, problem="Proxmox does not allow it", cause=words)
    return said_no(host, words, vmid)
