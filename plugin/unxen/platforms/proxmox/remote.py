# SPDX-License-Identifier: Apache-2.0
"""A Proxmox node seen from another host, over HTTPS with an API token: what needs no disk can be done from there.

Reads configurations and changes one by the same single request as on the node. A token cannot lock a VM, so a start in that very
moment cannot be kept off: it is looked for before and after. The certificate is checked unless somebody asked not to. Missing
privileges are named before anything is changed: Refused(POLICY_REFUSED). Everything else that Proxmox or the way there says
is Refused(PLATFORM_REFUSED, GUEST_LOCKED, GUEST_CHANGED).
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from unxen.errors import Refused, refused
from unxen.model.definition import DefinitionChange
from unxen.model.ids import Bus
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.boot_order import order_of
from unxen.platforms.proxmox.config import VmConfig
from unxen.platforms.proxmox.guests import disks_of
from unxen.platforms.proxmox.node import said_no
from unxen.platforms.proxmox.obstacles import own_obstacles
from unxen.platforms.proxmox.switch import definition_changes, request, switched
from unxen.platforms.proxmox.update import Update

# A change waits 10 s for the VM's lock, on a busy node longer.
SECONDS = 60
_TOKEN = re.compile(r"([^\s!=]+@[^\s!=]+)!([^\s!=]+)=(\S+)")
_READING, _MOVING = "VM.Audit", "VM.Config.Disk"
# Keys that ask for more than the right to change disks: qemu-server 9.2.6 API2/Qemu.pm `check_vm_modify_config_perm`.
_MORE = {"scsihw": "VM.Config.HWType"}


@dataclass(frozen=True)
class Access:
    """How to get there. `verify`: a file with the certificate authority, True for the system's, False for no check."""

    host: str
    user: str
    token_name: str
    secret: str
    verify: str | bool = True


def parse_token(text: str) -> tuple[str, str, str]:
    """User, name and secret of `USER@REALM!NAME=SECRET`, as Proxmox shows it once; Refused(USAGE) for anything else."""
    found = _TOKEN.fullmatch(text.strip())
    if found is None:
        raise refused(ReasonKind.USAGE, verb="switch", problem="the token file does not hold USER@REALM!NAME=SECRET")
    return found[1], found[2], found[3]


class RemoteNode:
    """The cluster behind one host."""

    def __init__(self, access: Access) -> None:
        self._host = access.host
        self._api = _connected(access)

    def move(self, vmid: str, bus: Bus, *, dry_run: bool) -> tuple[DefinitionChange, ...]:
        """The VM's boot disk to another bus; gives what changed, or would."""
        self._need(vmid, [_READING, _MOVING])
        vm = self._vm(vmid)
        config = self._config(vm)
        if found := own_obstacles(f"proxmox:{vmid}", vmid, config, locked_by_us=False):
            raise Refused(*found)
        self._refuse_running(vm, vmid)
        values = switched(config, [_boot_volume(vmid, config)], bus, frozenset(Bus))
        update = request(config, values, config.digest)
        if update is None:
            return ()
        self._need(vmid, [privilege for key, privilege in _MORE.items() if key in update.keys])
        if not dry_run:
            self._refuse_running(vm, vmid)
            self._update(vm, update)
            self._refuse_running(vm, vmid)
        return definition_changes(config.values, values)

    def _need(self, vmid: str, privileges: list[str]) -> None:
        path = f"/vms/{vmid}"
        with _told(self._host):
            granted: Mapping[str, Mapping[str, int]] = self._api.access.permissions.get(path=path) or {}
        held = {name for place in ("/", "/vms", path) for name, value in (granted.get(place) or {}).items() if value is not None}
        if missing := [each for each in privileges if each not in held]:
            raise refused(ReasonKind.POLICY_REFUSED, f"proxmox:{vmid}", problem=f"the token lacks {', '.join(missing)} on {path}")

    def _vm(self, vmid: str) -> Any:
        with _told(self._host):
            rows = self._api.cluster.resources.get(type="vm")
        node = next((row.get("node") for row in rows if str(row.get("vmid")) == vmid and row.get("type") == "qemu"), None)
        if node is None:
            raise refused(ReasonKind.PLATFORM_REFUSED, f"proxmox:{vmid}", problem=f"{self._host} has no such virtual machine")
        return self._api.nodes(node).qemu(vmid)

    def _config(self, vm: Any) -> VmConfig:
        with _told(self._host):
            values = {str(key): str(value) for key, value in vm.config.get(current=1).items()}
            rows = vm.pending.get()
        pending = {str(row["key"]): str(row["pending"]) for row in rows if "pending" in row}
        deletes = tuple(str(row["key"]) for row in rows if row.get("delete"))
        digest, notes = values.pop("digest", ""), values.pop("description", "")
        return VmConfig(digest, values, notes, pending, deletes, {})

    def _refuse_running(self, vm: Any, vmid: str) -> None:
        with _told(self._host):
            status = vm.status.current.get().get("status")
        if status != "stopped":
            raise refused(ReasonKind.IN_USE, f"proxmox:{vmid}")

    def _update(self, vm: Any, update: Update) -> None:
        try:
            with _told(self._host):
                vm.config.put(**dict(update.parameters()))
        except Refused:
            # What is ours of it and waits for the next start is taken back; the first cause is the one to tell.
            with suppress(Refused), _told(self._host):
                left = {str(row["key"]) for row in vm.pending.get() if "pending" in row or row.get("delete")}
                if ours := [key for key in update.keys if key in left]:
                    vm.config.put(revert=",".join(ours))
            raise


def _boot_volume(vmid: str, config: VmConfig) -> str:
    disks = disks_of(config)
    if not disks:
        raise refused(ReasonKind.PLATFORM_REFUSED, f"proxmox:{vmid}", problem="this virtual machine has no disk")
    first = next((device for device in order_of(config.values) if device in disks), next(iter(disks)))
    return disks[first]


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
def _told(host: str) -> Iterator[None]:
    """Answers and failures of the way there as reasons; a secret stands in none of them."""
    from proxmoxer.core import ResourceException
    from requests.exceptions import RequestException, SSLError

    try:
        yield
    except ResourceException as error:
        raise _answer(host, error) from error
    except SSLError as error:
        problem = "its certificate is not trusted (--ca FILE names its authority; on a node /etc/pve/pve-root-ca.pem)"
        raise refused(ReasonKind.PLATFORM_REFUSED, host, problem=problem) from error
    except RequestException as error:
        raise refused(ReasonKind.PLATFORM_REFUSED, host, problem="it does not answer", cause=type(error).__name__) from error


def _answer(host: str, error: Any) -> Refused:
    words = " ".join(f"{error.status_message} {error.content} {error.errors or ''}".split())
    if error.status_code in (401, 403):
        return refused(ReasonKind.POLICY_REFUSED, host, problem="Proxmox does not allow it", cause=words)
    return said_no(("api", host, host), words)
