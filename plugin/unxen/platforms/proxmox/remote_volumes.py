# SPDX-License-Identifier: Apache-2.0
"""A volume that QEMU reaches over the network, from the words in which `pvesm path` names it to those of the model.

Reads the node's name as an iSCSI initiator. What is not known here, and what unxen cannot do as Proxmox would (keys of Ceph, CHAP),
is Refused(REMOTE_UNSUPPORTED) with the way out: an image that is reached in another way may be another image.
Sources: pve-storage 9.1.7 RBDPlugin.pm `path`, CephConfig.pm `ceph_connect_option`, ISCSIDirectPlugin.pm, ZFSPlugin.pm `path`;
qemu-server 9.2.6 QemuServer/QemuImage.pm `convert_iscsi_path`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.model.reason import ReasonKind
from unxen.model.remote import PORTS, Protocol, Remote

INITIATOR = Path("/etc/iscsi/initiatorname.iscsi")
_INITIATOR_LINE = re.compile(r"^InitiatorName=(\S+)", re.MULTILINE)
_RBD, _ISCSI = "rbd:", re.compile(r"iscsi://(\[[0-9a-fA-F:]+\]|[^/\[\]@:?%]+)(?::([0-9]{1,5}))?/([^/?%@]+)/([0-9]{1,5})")
# Parts of a name of Ceph's; everything else would need to be quoted for somebody.
_CEPH_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_. -]*")
_MONITOR = re.compile(r"(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+))(?::([0-9]{1,5}))?")
_NO_KEY = "none"
_KRBD = "With pvesm set {storage} --krbd 1 Proxmox maps its images, and unxen takes the device then."


def remote_volume(volume: str, storage: str, path: str) -> Remote | None:
    """The image on a server that this path names; None for a path that names none."""
    if path.startswith(_RBD):
        return _rbd(volume, storage, path.removeprefix(_RBD))
    if found := _ISCSI.fullmatch(path):
        host, port, target, lun = found.groups()
        where = Remote(Protocol.ISCSI, f"{target}/{int(lun)}", host.strip("[]"), int(port or PORTS[Protocol.ISCSI]), vouched=True)
        return _as_initiator(volume, where)
    if path.startswith("iscsi:"):
        raise _unsupported(volume, "the name", path, "")
    return None


def _rbd(volume: str, storage: str, text: str) -> Remote:
    """`POOL/[NAMESPACE/]IMAGE:OPTION=VALUE:...`, colons in values with a backslash before them."""
    name, *rest = re.split(r"(?<!\\):", text)
    way_out = _KRBD.format(storage=storage)
    parts = name.split("/")
    if len(parts) not in (2, 3) or not all(_CEPH_NAME.fullmatch(each) for each in parts):
        raise _unsupported(volume, "the name", name, way_out)
    options = dict(each.partition("=")[::2] for each in rest)
    if "keyring" in options or "id" in options or options.get("auth_supported", _NO_KEY) != _NO_KEY:
        raise _unsupported(volume, "a key of Ceph", "", way_out)
    if unknown := sorted(options.keys() - {"conf", "mon_host", "auth_supported"}):
        raise _unsupported(volume, "the option", unknown[0], way_out)
    return Remote(Protocol.RBD, name, monitors=_monitors(volume, options, way_out), conf=options.get("conf", ""), vouched=True)


def _monitors(volume: str, options: Mapping[str, str], way_out: str) -> tuple[tuple[str, int], ...]:
    found = []
    for each in filter(None, options.get("mon_host", "").replace("\\:", ":").split(";")):
        parts = _MONITOR.fullmatch(each)
        if parts is None:
            raise _unsupported(volume, "the monitor", each, way_out)
        found.append((parts[1] or parts[2], int(parts[3] or 0)))
    return tuple(found)


def _as_initiator(volume: str, remote: Remote) -> Remote:
    """Under the name under which the guest would log in: a target may show each initiator other disks."""
    found = None
    with suppress(OSError, UnicodeDecodeError):
        found = _INITIATOR_LINE.search(INITIATOR.read_text(encoding="utf-8"))
    if found is None:
        cause = f"{INITIATOR} does not name this node, so which disks the target shows it is not known."
        raise refused(ReasonKind.REMOTE_UNSUPPORTED, volume, feature="no initiator's name", cause=cause)
    return Remote(remote.protocol, remote.name, remote.host, remote.port, initiator=found[1], vouched=True)


def _unsupported(volume: str, feature: str, value: str, cause: str) -> Refused:
    return refused(ReasonKind.REMOTE_UNSUPPORTED, volume, feature=feature, value=value, cause=cause)
