# SPDX-License-Identifier: Apache-2.0
"""The four executables: argv in, text on the two streams, an exit code (rules 23 and 24 for pvesm and pvesh)."""

import json
import sys
from collections.abc import Callable

from node_double import commands, storage
from node_double.conf_file import load
from node_double.state import NODE, Die, Node, die, warn

QM: dict[str, Callable[[Node, list[str], dict[str, str]], None]] = {
    "set": lambda node, words, given: commands.set_config(node, words[0], given),
    "importdisk": lambda node, words, given: commands.importdisk(node, words[0], words[1], words[2], given),
    "create": lambda node, words, given: commands.create(node, words[0], given),
    "destroy": lambda node, words, given: commands.destroy(node, words[0]),
    "start": lambda node, words, given: commands.start(node, words[0]),
    "stop": lambda node, words, given: commands.stop(node, words[0]),
    "status": lambda node, words, given: commands.status(node, words[0]),
    "unlock": lambda node, words, given: commands.unlock(node, words[0]),
    "config": lambda node, words, given: commands.show_config(node, words[0], given),
    "pending": lambda node, words, given: commands.pending(node, words[0]),
    "rescan": lambda node, words, given: commands.rescan(node, given),
}


def main(root: str, program: str, arguments: list[str]) -> int:
    from pathlib import Path

    node = Node(Path(root))
    node.log(program, arguments)
    try:
        if node.fault("noise"):
            # A trap: proxmoxer's local backend takes any stderr for an error, also of what succeeded.
            warn("perl: warning: Setting locale failed.")
        if program == "perl":
            perl(node, arguments)
        else:
            {"qm": qm, "pvesm": pvesm, "pvesh": pvesh}[program](node, *split(arguments))
    except Die as error:
        sys.stdout.flush()
        warn(error.text)
        return error.code
    return 0


def split(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Words, and options in either form: `--key value`, `-key value`, `--key=value`."""
    words, given, rest = [], {}, list(arguments)
    while rest:
        each = rest.pop(0)
        if each.startswith("-") and len(each) > 1:
            name, equals, value = each.lstrip("-").partition("=")
            if not equals and (not rest or rest[0].startswith("--")):
                value = "1"
            given[name] = value if equals or value == "1" else rest.pop(0)
        else:
            words.append(each)
    return words, given


def qm(node: Node, words: list[str], given: dict[str, str]) -> None:
    if words[:2] == ["disk", "import"]:
        words = ["importdisk", *words[2:]]
    if words and words[0] in QM:
        QM[words[0]](node, words[1:], given)
    else:
        commands.refuse("qm", words)


def pvesm(node: Node, words: list[str], given: dict[str, str]) -> None:
    if words[0] == "path":
        sys.stdout.write(storage.path(node, words[1]) + "\n")
    elif words[0] == "alloc":
        _alloc(node, words[1:], given)
    elif words[0] == "free":
        storage.free(node, words[1])
    else:
        commands.refuse("pvesm", words)


def _alloc(node: Node, words: list[str], given: dict[str, str]) -> None:
    from pathlib import Path

    name, vmid, filename, size = words
    if node.fault("storage_full"):
        die("lvcreate 'pve/vm-100-disk-0' error: insufficient free space")
    volume = storage.allocate(node, name, vmid, given.get("format", "raw")) if not filename else f"{name}:{vmid}/{filename}"
    node.log("=made", [volume])
    if not storage.is_remote(node, volume):
        place = Path(storage.path(node, volume))
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            file.truncate(int(size) * 1024)
    sys.stdout.write(f"successfully created '{volume}'\n")


def perl(node: Node, words: list[str]) -> None:
    """The one call that is made of Perl: PVE::Storage::activate_volumes."""
    if not any("PVE::Storage::activate_volumes" in word for word in words):
        commands.refuse("perl", words)
    storage.activate(node, words[-1])


def pvesh(node: Node, words: list[str], given: dict[str, str]) -> None:
    given.pop("output-format", None)
    verb, path = words[0], words[1].strip("/").split("/")
    if verb == "get":
        _shown(_get(node, path))
    elif verb == "set" and path[:3] == ["nodes", NODE, "qemu"] and path[4:] == ["config"]:
        commands.set_config(node, path[3], given)
    else:
        die(f"501 Method not implemented {words}")


def _get(node: Node, path: list[str]) -> object:
    if path[:3] == ["nodes", NODE, "qemu"] and path[4:] == ["config"]:
        conf = load(node, path[3])
        described = {"description": conf.description} if conf.description else {}
        return {**conf.main, **described, "digest": conf.digest}
    if path[:3] == ["nodes", NODE, "qemu"] and path[4:] == ["status", "current"]:
        return {"vmid": int(path[3]), "status": "running" if node.is_running(path[3]) else "stopped"}
    if path == ["version"]:
        return {"version": "9.2.0", "release": "9.2"}
    if path[0] == "storage" and len(path) == 2:
        return {"storage": path[1], **storage.storage(node, path[1])}
    return die(f"404 no such resource /{'/'.join(path)}")


def _shown(document: object) -> None:
    if document is not None:
        sys.stdout.write(json.dumps(document) + "\n")
