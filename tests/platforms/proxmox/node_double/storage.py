# SPDX-License-Identifier: Apache-2.0
"""Storages and their volumes (rules 23 and 25): directories, and LVM-like ones whose volumes are absent until activated."""

import re
from pathlib import Path

from node_double.state import Node, die


def storages(node: Node) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    here: dict[str, str] = {}
    for line in (node.etc / "storage.cfg").read_text().splitlines():
        if head := re.match(r"(\w+): (\S+)", line):
            here = found.setdefault(head[2], {"type": head[1]})
        elif line.strip():
            key, _, value = line.strip().partition(" ")
            here[key] = value
    return found


def storage(node: Node, name: str) -> dict[str, str]:
    found = storages(node).get(name)
    return found if found else die(f"storage '{name}' does not exist")


def path(node: Node, volume: str) -> str:
    """Computed, whether anything is there or not."""
    if volume.startswith("/"):
        return volume
    name, _, rest = volume.partition(":")
    here = storage(node, name)
    if here["type"] in ("dir", "nfs"):
        if rest.startswith("snippets/"):
            return f"{here['path']}/{rest}"
        parts = rest.split("/")
        return f"{here['path']}/images/{'/'.join(parts[-2:])}"
    if here["type"] == "rbd":
        return _rbd(here, rest) if here.get("krbd") != "1" else _device(node, here, rest)
    if here["type"] == "iscsidirect":
        return f"iscsi://{here['portal']}/{here['target']}/{rest.removeprefix('lun')}"
    return _device(node, here, rest)


def _rbd(here: dict[str, str], name: str) -> str:
    """As RBDPlugin.pm has it; `keyring` and `conf` tell where those two lie, which on a node are below /etc/pve."""
    space = f"{here['namespace']}/" if "namespace" in here else ""
    text = f"rbd:{here.get('pool', 'rbd')}/{space}{name}"
    if "monhost" in here:
        monitors = ";".join(here["monhost"].split(",")).replace(":", "\\:")
        text += f":mon_host={monitors}:auth_supported={'cephx' if 'keyring' in here else 'none'}"
    else:
        text += f":conf={here.get('conf', '/etc/pve/ceph.conf')}"
    return text + (f":id={here.get('username', 'admin')}:keyring={here['keyring']}" if "keyring" in here else "")


def _device(node: Node, here: dict[str, str], name: str) -> str:
    return str(node.root / "dev" / here.get("vgname", here.get("pool", "x")) / name.rpartition("/")[2])


def hidden(node: Node, volume: str) -> Path:
    """Where an inactive volume keeps its content."""
    return node.root / "inactive" / volume.replace("/", "_").replace(":", "_")


def is_remote(node: Node, volume: str) -> bool:
    """Whether QEMU reaches it over the network; nothing of it is in the node's directory then."""
    return path(node, volume).startswith(("rbd:", "iscsi:"))


def exists(node: Node, volume: str) -> bool:
    return is_remote(node, volume) or Path(path(node, volume)).exists() or hidden(node, volume).exists()


def activate(node: Node, volume: str) -> None:
    if node.fault("activation_fails"):
        die(f"can't activate LV '{path(node, volume)}': device-mapper: reload ioctl failed")
    if node.fault("activation_does_nothing"):
        return
    if hidden(node, volume).exists():
        target = Path(path(node, volume))
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden(node, volume).rename(target)


def deactivate(node: Node, volume: str) -> None:
    if storage(node, volume.partition(":")[0])["type"] in ("lvm", "rbd"):
        hidden(node, volume).parent.mkdir(exist_ok=True)
        Path(path(node, volume)).rename(hidden(node, volume))


def free(node: Node, volume: str) -> None:
    Path(path(node, volume)).unlink(missing_ok=True)
    hidden(node, volume).unlink(missing_ok=True)


def owner(volume: str) -> str:
    found = re.search(r"(?:^|[/:])(?:vm|base)-(\d+)-[^/]*$", volume)
    return found[1] if found else ""


def allocate(node: Node, name: str, vmid: str, suffix: str) -> str:
    """A new name with the lowest free number."""
    directory = storage(node, name)["type"] in ("dir", "nfs")
    for number in range(1000):
        plain = f"vm-{vmid}-disk-{number}"
        names = [f"{name}:{vmid}/{plain}.{each}" for each in ("raw", "qcow2", "vmdk")] if directory else [f"{name}:{plain}"]
        if not any(exists(node, each) and not is_remote(node, each) for each in names):
            return f"{name}:{vmid}/{plain}.{suffix}" if directory else f"{name}:{plain}"
    return die("unable to allocate an image name")


def size_text(node: Node, volume: str) -> str:
    """The size as the configuration has it; of a qcow2 the one in its header."""
    if is_remote(node, volume):
        return storage(node, volume.partition(":")[0]).get("size", "1G")
    place = Path(path(node, volume))
    data = place.open("rb").read(32)
    size = int.from_bytes(data[24:32], "big") if data[:4] == b"QFI\xfb" else place.stat().st_size
    for unit, letter in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if size and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)
