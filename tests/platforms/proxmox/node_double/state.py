# SPDX-License-Identifier: Apache-2.0
"""The directory that stands for a node: its configurations, storages, locks, processes, and what was asked of it."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

NODE = "pve1"


class Die(Exception):
    """An error as Proxmox tells it: text on stderr, an exit code that only says failure."""

    def __init__(self, text: str, code: int = 255) -> None:
        super().__init__(text)
        self.text, self.code = text, code


class Node:
    """One node's directory. Faults are switched on in faults.json: see `fault`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.etc = root / "etc" / "pve"
        self.configs = self.etc / "nodes" / NODE / "qemu-server"
        self.locks = root / "lock" / "qemu-server"
        self.run = root / "run" / "qemu-server"
        self.tasks = root / "tasks"

    @classmethod
    def make(cls, root: Path) -> "Node":
        """A new node with a directory storage `local`."""
        node = cls(root)
        for directory in (node.configs, node.locks, node.run, node.tasks, root / "storage" / "local", root / "dev"):
            directory.mkdir(parents=True)
        (node.etc / "qemu-server").symlink_to(node.configs)
        (node.etc / "local").symlink_to(node.etc / "nodes" / NODE)
        node.add_storage("local", "dir", path=str(root / "storage" / "local"), content="images,snippets,iso,vztmpl")
        node.write_json(node.etc / ".version", {"starttime": 1, "clinfo": 1, "vmlist": 1, "storage.cfg": 1})
        node.write_json(node.etc / ".vmlist", {"version": 1, "ids": {}})
        return node

    def add_storage(self, name: str, kind: str, **properties: str) -> None:
        lines = "".join(f"\t{key} {value}\n" for key, value in properties.items())
        with (self.etc / "storage.cfg").open("a") as file:
            file.write(f"{kind}: {name}\n{lines}\n")

    def fault(self, name: str, default: object = None) -> object:
        """A fault that a test has switched on."""
        path = self.root / "faults.json"
        return json.loads(path.read_text()).get(name, default) if path.exists() else default

    def power_fails(self, moment: str) -> None:
        """The node goes dark at its Nth write of a configuration, and unxen with it: {"power": [N, MOMENT]}."""
        asked = self.fault("power")
        if not isinstance(asked, list) or asked[1] != moment:
            return
        path = self.root / "writes"
        writes = int(path.read_text()) + 1 if path.exists() else 1
        path.write_text(str(writes))
        if writes == asked[0]:
            os.kill(int((self.root / "unxen.pid").read_text()), signal.SIGKILL)
            os._exit(1)

    def log(self, program: str, arguments: list[str]) -> None:
        """Every request, for the test that looks at all of them."""
        with (self.root / "requests.jsonl").open("a") as file:
            file.write(json.dumps([program, *arguments]) + "\n")

    def config_path(self, vmid: str) -> Path:
        return self.configs / f"{vmid}.conf"

    def changed(self, vmid: str) -> None:
        """The counters that pmxcfs raises when a configuration is created or renamed into place."""
        version, vmlist = self.etc / ".version", self.etc / ".vmlist"
        counters = json.loads(version.read_text())
        counters["vmlist"] += 1
        self.write_json(version, counters)
        known = json.loads(vmlist.read_text())
        known["version"] = counters["vmlist"]
        known["ids"].pop(vmid, None)
        if self.config_path(vmid).exists():
            known["ids"][vmid] = {"node": NODE, "type": "qemu", "version": counters["vmlist"]}
        self.write_json(vmlist, known)

    def write_json(self, path: Path, document: object) -> None:
        part = path.with_name(f"{path.name}.tmp.{os.getpid()}")
        part.write_text(json.dumps(document))
        part.replace(path)

    def is_running(self, vmid: str) -> bool:
        """A pid file whose process lives and names that very file."""
        pid_file = self.run / f"{vmid}.pid"
        try:
            command = Path(f"/proc/{int(pid_file.read_text())}/cmdline").read_bytes()
        except (OSError, ValueError):
            return False
        return str(pid_file).encode() in command

    def task(self, kind: str, vmid: str, status: str) -> None:
        """A task log as fork_worker leaves it, with a line in the index."""
        now = int(time.time())
        upid = f"UPID:{NODE}:{os.getpid():08X}:{now & 0xFFFFFFFF:08X}:{now:08X}:{kind}:{vmid}:root@pam:"
        directory = self.tasks / f"{now & 0xF:X}"
        directory.mkdir(exist_ok=True)
        (directory / upid).write_text(f"TASK {status}\n")
        with (self.tasks / "index").open("a") as file:
            file.write(f"{upid} {now:08X} {status}\n")


def warn(text: str) -> None:
    sys.stderr.write(text + "\n")


def die(text: str, code: int = 255) -> NoReturn:
    raise Die(text, code)
