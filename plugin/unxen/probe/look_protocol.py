# SPDX-License-Identifier: Apache-2.0
"""What goes into the parser's box and what comes out of it has one shape that both sides decode strictly.

Touches nothing. The hives' bytes travel beside the JSON, in the order of `LookAnswer.hives`.
"""

from unxen.model.facts import GuestFacts
from unxen.model.ids import DiskNumber, InstallationId
from unxen.model.record import dataclass
from unxen.probe.wanted import Wanted

OPERATION = "look"
# A table has at most 8192 rows in the megabyte that is read of it; real guests have a handful of Windows.
MOST_PARTITIONS = 8192
MOST_INSTALLATIONS = 64
MOST_HIVE_BYTES = 256 << 20


@dataclass(frozen=True)
class DiskSize:
    """A disk to look at and the size that its checked header gives it."""

    number: DiskNumber
    size: int


@dataclass(frozen=True)
class LookRequest:
    """What the parent asks; the sockets come in the order of the disks."""

    disks: tuple[DiskSize, ...]
    wanted: Wanted


@dataclass(frozen=True)
class LookAnswer:
    """What goes back: the facts, and whose hives the blobs are."""

    facts: GuestFacts
    hives: tuple[InstallationId, ...]
