# SPDX-License-Identifier: Apache-2.0
"""unxen as a program of its own on a node that is a double: ROOT, then what a person would type."""

import os
import sys
from pathlib import Path

from unxen.cli import main
from unxen.host import process
from unxen.platforms.proxmox import node
from unxen.repair import commit

root = Path(sys.argv[1])
process.PATH = f"{root / 'bin'}:{process.PATH}"
node.PLACES = node.Places(root / "etc" / "pve", root / "lock" / "qemu-server", root / "run" / "qemu-server")
if os.environ.get("DIE_AFTER") == "lock":
    lock = node.LocalNode.lock

    def lock_and_die(self: node.LocalNode, vmid: str, digest: str) -> None:
        """As if the node lost its power."""
        lock(self, vmid, digest)
        os.kill(os.getpid(), 9)

    node.LocalNode.lock = lock_and_die
if os.environ.get("DIE_AFTER") == "half-commit":
    merge = commit._merge

    def merge_and_die(change: commit.Change) -> None:
        """The bytes are written, and nothing says so yet."""
        merge(change)
        os.kill(os.getpid(), 9)

    commit._merge = merge_and_die
if os.environ.get("DIE_AFTER") == "half-request":
    node.LocalNode._revert = lambda *_: os.kill(os.getpid(), 9)
sys.argv = ["unxen", *sys.argv[2:]]
main.entry()
