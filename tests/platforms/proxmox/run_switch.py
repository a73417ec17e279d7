# SPDX-License-Identifier: Apache-2.0
"""The part of a repair that speaks to Proxmox, without a look at any disk: ROOT. Lock, switch to SATA, note, unlock.

A process of its own, so that it can lose its power in the middle.
"""

import os
import sys
from pathlib import Path

from unxen.host import process
from unxen.host.config import load_settings
from unxen.model.ids import Bus
from unxen.platforms.proxmox import node
from unxen.platforms.proxmox.remote import boot_disk_to
from unxen.platforms.schemes import make

root = Path(sys.argv[1])
(root / "unxen.pid").write_text(str(os.getpid()))
process.PATH = f"{root / 'bin'}:{process.PATH}"
node.PLACES = node.Places(root / "etc" / "pve", root / "lock" / "qemu-server", root / "run" / "qemu-server")
platform = make("proxmox", load_settings())
guest = platform.describe(("proxmox:100",), ())
with platform.locked(guest):
    platform.switch(guest, platform.plan_switch(guest, boot_disk_to(Bus.SATA)))
    platform.note(guest, "switched")
