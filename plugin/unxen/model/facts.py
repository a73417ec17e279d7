# SPDX-License-Identifier: Apache-2.0
"""All that one look at a guest gives: its disks and every Windows installation on them.

Touches nothing. Unreadable parts are facts too: an installation whose hive cannot be read has a reason in its place.
"""

from unxen.model.hive_facts import HiveFacts
from unxen.model.ids import DiskNumber, GuestPath, InstallationId, PartitionNumber
from unxen.model.reason import Reason
from unxen.model.record import dataclass
from unxen.model.registry_facts import SystemFacts, WindowsFacts
from unxen.model.volume_facts import DiskFacts, FileRecord, Footing, Sign


@dataclass(frozen=True)
class Installation:
    r"""One Windows: `ROOT\System32\config\SYSTEM` beside `ntoskrnl.exe`.

    `hive`, `windows` and `system` are None when the hive could not be read; `troubles` says why, and holds every state that
    makes this installation unfit for a repair (dirty hive, hibernation, unclean volume, file that cannot be edited).
    `hive_path` is spelled as the directory entries are. `signs` are files that tell of work which Windows has not finished;
    `footing` is looked at only where the volume was not left clean.
    """

    id: InstallationId
    disk: DiskNumber
    partition: PartitionNumber
    root: GuestPath
    hive_path: GuestPath
    record: FileRecord | None
    hive: HiveFacts | None
    windows: WindowsFacts | None
    system: SystemFacts | None
    troubles: tuple[Reason, ...]
    signs: tuple[Sign, ...] = ()
    footing: Footing | None = None


@dataclass(frozen=True)
class GuestFacts:
    """The look at a whole guest. `stale` says that a running machine may have changed the disks meanwhile."""

    disks: tuple[DiskFacts, ...]
    installations: tuple[Installation, ...]
    stale: bool = False
