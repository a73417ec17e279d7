# SPDX-License-Identifier: Apache-2.0
"""What an administrator may configure, as one value with its defaults.

Touches nothing. `host.config` reads it from the TOML file; everything else is handed the value.
"""

from enum import Enum
from pathlib import Path

from unxen.model.fix import Fix
from unxen.model.ids import Bus
from unxen.model.record import dataclass


class Delivery(Enum):
    """How the edited hive gets into the file system."""

    AUTO = "auto"
    IN_PLACE = "in-place"
    APPLIANCE = "appliance"


class WatchPolicy(Enum):
    """What a watcher does with a stopped guest that would stop with 0x7B."""

    REPAIR = "repair"
    REPORT = "report"


class GuardPolicy(Enum):
    """What a guard does when such a guest is about to start.

    AUTO refuses with evidence of Xen and no sign of an earlier start on KVM, and else warns. REFUSE refuses whatever would stop.
    REPAIR makes it whole before the start where its bus may stay, and is AUTO where it may not. A disk that a crash left half
    written, or that unxen works on, is refused by every policy but OFF.
    """

    AUTO = "auto"
    WARN = "warn"
    REFUSE = "refuse"
    REPAIR = "repair"
    OFF = "off"


STATE_SETTING = "UNXEN_STATE_DIR"
"""The variable that puts journal, overlays and undo data elsewhere."""
DEFAULT_PREFERENCE = (Bus.SATA, Bus.IDE, Bus.VIRTIO_SCSI, Bus.VIRTIO_BLK)


@dataclass(frozen=True)
class Settings:
    """Configuration of one run. `backing_dirs`: directories besides an image's own in which backing files may lie.

    Undo data is kept for `undo_days`, and of all of it at most `undo_bytes`, the newest.
    """

    state_dir: Path
    knowledge_dir: Path = Path("/etc/unxen/knowledge.d")
    backing_dirs: tuple[Path, ...] = ()
    preference: tuple[Bus, ...] = DEFAULT_PREFERENCE
    delivery: Delivery = Delivery.AUTO
    wait_seconds: float = 0.0
    repair_guests_that_ran_on_kvm: bool = False
    undo_days: int = 30
    undo_bytes: int = 10 << 30
    watch: WatchPolicy = WatchPolicy.REPAIR
    watch_poll_seconds: float = 60.0
    watch_quiet_seconds: float = 5.0
    guard: GuardPolicy = GuardPolicy.AUTO
    guard_repair_seconds: float = 5.0
    repair_guests_with_snapshots: bool = False
    notes: bool = True
    libvirt_uri: str = "qemu:///system"
    proxmox_attach_unused: bool = True
    proxmox_start_again: bool = False
    history_days: int = 365
    metrics_dir: Path | None = None
    accept_stale_hive: bool = False
    fix: tuple[Fix, ...] = ()
