# SPDX-License-Identifier: Apache-2.0
"""What libvirt's hook is called with: a name, an operation, and the definition that is about to start.

Asks libvirt nothing, for it waits for the answer with the domain locked. A definition that cannot be read raises Refused, which the
guard takes for "not judged". Arguments beyond the third have grown over versions and are not looked at.
"""

from collections.abc import Sequence
from pathlib import Path

from unxen.model.guest import Guest
from unxen.platforms.base import HookCall, HookPhase
from unxen.platforms.libvirt.domain_xml import parse_domain
from unxen.platforms.libvirt.guest_disks import guest_disks, sniffed_format
from unxen.platforms.libvirt.leftovers import leftovers
from unxen.platforms.libvirt.machine import machine_of
from unxen.platforms.libvirt.pool_files import all_directories, volume_path

SAVED = Path("/var/lib/libvirt/qemu/save")
"""Where the system's daemon keeps memory of managed saves, until a start has taken it up."""
PHASES = {("prepare", "begin"): HookPhase.BEFORE_START, ("release", "end"): HookPhase.AFTER_STOP}


def hook_call(arguments: Sequence[str], stdin: bytes) -> HookCall:
    """The call; a guest only where something can be answered."""
    name, operation, moment = (*arguments, "", "", "")[:3]
    phase = PHASES.get((operation, moment), HookPhase.OTHER)
    if phase is not HookPhase.BEFORE_START:
        return HookCall(name, phase)
    root = parse_domain(stdin)
    machine = machine_of(root, leftovers(root, lambda disk: sniffed_format(disk, volume_path)))
    # Without the platform's id: no waiting switch is asked for, which would need a definition that nobody may ask for now.
    guest = Guest((f"libvirt:{name}",), guest_disks(root, volume_path), machine, backing_dirs=all_directories())
    return HookCall(name, phase, guest, resumes=(SAVED / f"{name}.save").exists())
