# SPDX-License-Identifier: Apache-2.0
"""A guest that a crash left locked on its platform is let go, as soon as none of its disks is half written.

Asks the journal, and changes nothing but that lock. What cannot be let go is logged: a locked guest does no harm and can be told.
"""

import logging

from unxen.errors import Refused
from unxen.journal.unfinished import unfinished_commits
from unxen.model.guest import Guest
from unxen.model.settings import Settings
from unxen.platforms.base import Platform, Settling
from unxen.platforms.proxmox.own_lock import left_marks
from unxen.platforms.schemes import make

LOG = logging.getLogger(__name__)
PROXMOX = "proxmox"


def settle(platform: Platform, guest: Guest, settings: Settings) -> None:
    """One guest."""
    if not isinstance(platform, Settling) or unfinished_commits(settings.state_dir, [each.path for each in guest.disks]):
        return
    try:
        platform.settle(guest)
    except Refused as error:
        LOG.warning("%s stays locked: %s", " + ".join(guest.target), error)


def settle_all(settings: Settings) -> None:
    """Every guest with a mark of ours; on a host where nothing was ever locked this asks nobody."""
    for name in left_marks(settings.state_dir):
        platform = make(PROXMOX, settings)
        try:
            settle(platform, platform.describe((f"{PROXMOX}:{name}",), ()), settings)
        except Refused as error:
            LOG.info("%s:%s: %s", PROXMOX, name, error)
