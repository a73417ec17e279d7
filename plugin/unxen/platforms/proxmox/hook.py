# SPDX-License-Identifier: Apache-2.0
"""How Proxmox calls a hookscript, and which starts are none of a guard's business.

Reads the environment. A phase that is not known is one that nothing is said to: later versions may have more of them.
"""

import os
from collections.abc import Sequence

from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.platforms.base import HookPhase
from unxen.platforms.proxmox.config import VmConfig
from unxen.platforms.proxmox.node import is_vmid

PHASES = {"pre-start": HookPhase.BEFORE_START, "post-stop": HookPhase.AFTER_STOP}
# Set by Proxmox on the node that a live migration arrives at.
MIGRATED_FROM = "PVE_MIGRATED_FROM"


def parse_call(arguments: Sequence[str]) -> tuple[str, HookPhase]:
    """The VM and the moment; Refused(USAGE) for what is no call of a hookscript."""
    if len(arguments) != 2 or not is_vmid(arguments[0]):
        raise refused(ReasonKind.USAGE, verb="hook", problem="a hookscript is called with VMID and phase")
    return arguments[0], PHASES.get(arguments[1], HookPhase.OTHER)


def passes(config: VmConfig) -> bool:
    """A start that continues something: a migration, a backup, a restore, a sleep. Refusing it would break that."""
    return bool(config.lock) or config.has_memory_image or config.is_template or MIGRATED_FROM in os.environ
