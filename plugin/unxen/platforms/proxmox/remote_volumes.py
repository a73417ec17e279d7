# SPDX-License-Identifier: Apache-2.0
"""A volume that QEMU reaches over the network, from the words in which `pvesm path` names it to those of the model.

Reads the node's name as an iSCSI initiator. What is not known here, and what unxen cannot do as Proxmox would (CHAP), is
Refused(REMOTE_UNSUPPORTED) with the way out: an image that is reached in another way may be another image.
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
# What the file of a user's key is called, and the user; both from Proxmox, and no part of either means anything to anybody.
_KEYRING, _USER = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+"), re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_WITH_KEY, _NO_KEY = "cephx", "none"
_OPTIONS = frozenset({"conf", "mon_host", "auth_supported", "id", "keyring"})
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
    if unknown := sorted(options.keys() - _OPTIONS):
        raise _unsupported(volume, "the option", unknown[0], way_out)
    if len(options) != len(rest):
        raise _unsupported(volume, "an option given twice", text, way_out)
    user, keyring = _key(volume, options, way_out)
    monitors, conf = _monitors(volume, options, way_out), options.get("conf", "")
    return Remote(Protocol.RBD, name, monitors=monitors, conf=conf, user=user, keyring=keyring, vouched=True)


def _key(volume: str, options: Mapping[str, str], way_out: str) -> tuple[str, str]:
    """Whose key, and in which file; nothing of both where Ceph asks for none."""
    user, keyring = options.get("id", ""), options.get("keyring", "")
    asked = _WITH_KEY if {"id", "keyring"} & options.keys() else _NO_KEY
    if options.get("auth_supported", asked) != asked:
        raise _unsupported(volume, "auth_supported", options["auth_supported"], way_out)
    if asked == _WITH_KEY and not (_USER.fullmatch(user) and _KEYRING.fullmatch(keyring)):
        raise _unsupported(volume, "a key of Ceph", f"{user} {keyring}".strip(), way_out)
    return user, keyring


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
