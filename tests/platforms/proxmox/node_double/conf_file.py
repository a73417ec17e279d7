# SPDX-License-Identifier: Apache-2.0
"""The configuration file read and written as Proxmox does (rules 1 to 5)."""

import hashlib
import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from node_double.drive_schema import volume_in
from node_double.state import NODE, Node, die, warn

KEY = re.compile(r"([a-z][a-z_-]*\d*):\s*(.+?)\s*$")
DRIVE = re.compile(r"(ide|sata|scsi|virtio|efidisk|tpmstate)\d+")


@dataclass
class Conf:
    description: str = ""
    main: dict[str, str] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)
    deletes: list[str] = field(default_factory=list)
    special: dict[str, dict[str, str]] = field(default_factory=dict)
    snapshots: dict[str, dict[str, str]] = field(default_factory=dict)
    digest: str = ""

    def with_pending(self) -> dict[str, str]:
        return {**{key: value for key, value in self.main.items() if key not in self.deletes}, **self.pending}


def load(node: Node, vmid: str) -> Conf:
    path = node.config_path(vmid)
    if not path.exists():
        die(f"Configuration file 'nodes/{NODE}/qemu-server/{vmid}.conf' does not exist", 2)
    data = path.read_bytes()
    conf = Conf(digest=hashlib.sha1(data).hexdigest())
    here: dict[str, str] | None = conf.main
    notes = []
    for line in data.decode().split("\n"):
        if not line.strip():
            continue
        if line.startswith("#"):
            if here is conf.main:
                notes.append(unquote_to_bytes(line[1:]).decode())
        elif line.startswith("["):
            here = _section(conf, line)
        elif here is None:
            continue
        elif found := KEY.match(line):
            _take(conf, here, found[1], found[2], vmid)
        else:
            warn(f"vm {vmid} - unable to parse config: {line}")
    conf.description = "\n".join(notes)
    return conf


def _section(conf: Conf, line: str) -> dict[str, str] | None:
    name = line.strip()[1:-1]
    if name.upper() == "PENDING":
        return conf.pending
    if name.startswith("special:"):
        return conf.special.setdefault(name.removeprefix("special:"), {})
    if re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_-]+", name):
        return conf.snapshots.setdefault(name, {})
    warn(f"vm - ignoring unknown section: {line}")
    return None


def _take(conf: Conf, here: dict[str, str], key: str, value: str, vmid: str) -> None:
    if key == "delete" and here is conf.pending:
        conf.deletes = [each.lstrip("!") for each in value.split(",")]
    elif key == "memory" and not value.isdecimal():
        warn(f"vm {vmid} - unable to parse value of '{key}' - type check failed")
    else:
        here[key] = value


def write(node: Node, vmid: str, conf: Conf) -> None:
    """Sorted, the notes first, through a file beside it that is renamed; unused volumes that are used are dropped."""
    if node.fault("read_only"):
        die("unable to open file '/etc/pve/nodes/pve1/qemu-server' - Permission denied (no quorum)", 13)
    used = {volume_in(value) for part in (conf.main, conf.pending) for key, value in part.items() if DRIVE.fullmatch(key)}
    conf.main = {key: value for key, value in conf.main.items() if not (key.startswith("unused") and value in used)}
    parts = ["".join(f"#{encoded(line)}\n" for line in conf.description.split("\n")) if conf.description else ""]
    parts[0] += _lines(conf.main)
    if conf.pending or conf.deletes:
        delete = {"delete": ",".join(conf.deletes)} if conf.deletes else {}
        parts.append("[PENDING]\n" + _lines({**conf.pending, **delete}))
    parts += [f"[special:{name}]\n{_lines(conf.special[name])}" for name in sorted(conf.special)]
    parts += [f"[{name}]\n{_lines(conf.snapshots[name])}" for name in sorted(conf.snapshots)]
    path = node.config_path(vmid)
    part = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    part.write_text("\n".join(parts))
    node.power_fails("before")
    part.replace(path)
    node.changed(vmid)
    node.power_fails("after")


def encoded(line: str) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b"%:" else f"%{byte:02X}" for byte in line.encode())


def _lines(values: dict[str, str]) -> str:
    return "".join(f"{key}: {values[key]}\n" for key in sorted(values))
