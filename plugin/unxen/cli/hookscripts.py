# SPDX-License-Identifier: Apache-2.0
"""The part of `unxen hooks` that is about guests of Proxmox VE, each of which has a hookscript of its own or none.

Writes the snippet and configurations, through the platform.
"""

from pathlib import Path

from unxen.cli.call import Call
from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.hookscript import NAME, Snippet
from unxen.platforms.proxmox.node import is_vmid, local_node


def told(call: Call, sources: Path) -> list[tuple[str, str, str | None]]:
    """Number of each guest, what was done or how it is, and the hookscript that it calls now."""
    for each in call.targets:
        if not is_vmid(each):
            raise refused(ReasonKind.USAGE, each, verb="hooks", problem="the number of a virtual machine is expected")
    snippet = Snippet(local_node(), call.storage)
    if call.action == "install":
        return _install(snippet, sources / "proxmox" / NAME, call.targets)
    if call.action == "remove":
        return [(vmid, "removed", None) for vmid in snippet.remove(call.targets)]
    return [(vmid, "installed", snippet.volume) for vmid in snippet.users() if not call.targets or vmid in call.targets]


def _install(snippet: Snippet, source: Path, vmids: tuple[str, ...]) -> list[tuple[str, str, str | None]]:
    done = snippet.install(source, vmids)
    return [(vmid, "installed" if vmid in done else "unchanged", snippet.volume) for vmid in vmids]
