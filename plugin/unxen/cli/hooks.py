# SPDX-License-Identifier: Apache-2.0
"""`unxen hooks`: the guard into guests of Proxmox VE and out of them again.

Writes the snippet and configurations, through the platform. libvirt's hook is one file for all domains and needs no verb.
"""

import sys
from pathlib import Path

from unxen.cli.call import Call
from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox import node as door
from unxen.platforms.proxmox.hookscript import NAME, Snippet
from unxen.platforms.proxmox.node import LocalNode, is_vmid
from unxen.report.exit_codes import DONE

# The package's place, and that of a checkout.
PLACES = (Path("/usr/share/unxen/hooks"), Path(__file__).resolve().parents[3] / "hooks")


def run(call: Call) -> int:
    """Installs, removes or lists; tells each guest on a line."""
    for each in call.targets:
        if not is_vmid(each):
            raise refused(ReasonKind.USAGE, each, verb="hooks", problem="the number of a virtual machine is expected")
    snippet = Snippet(LocalNode(door.PLACES), call.storage)
    told = {"install": _install, "remove": _remove, "status": _status}[call.action](snippet, call.targets)
    sys.stdout.write("".join(f"{line}\n" for line in told))
    return DONE


def _install(snippet: Snippet, vmids: tuple[str, ...]) -> list[str]:
    if not vmids:
        raise refused(ReasonKind.USAGE, verb="hooks", problem="name the guests that shall have it")
    source = next((place / "proxmox" / NAME for place in PLACES if (place / "proxmox" / NAME).is_file()), None)
    if source is None:
        raise refused(ReasonKind.TOOL_MISSING, NAME, tool=NAME, package="unxen")
    done = snippet.install(source, vmids)
    return [f"proxmox:{vmid}: {'installed' if vmid in done else 'had it already'} ({snippet.volume})" for vmid in vmids]


def _remove(snippet: Snippet, vmids: tuple[str, ...]) -> list[str]:
    return [f"proxmox:{vmid}: removed" for vmid in snippet.remove(vmids)]


def _status(snippet: Snippet, vmids: tuple[str, ...]) -> list[str]:
    return [f"proxmox:{vmid}: {snippet.volume}" for vmid in snippet.users() if not vmids or vmid in vmids]
