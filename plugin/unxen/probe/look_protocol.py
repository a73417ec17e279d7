# SPDX-License-Identifier: Apache-2.0
"""What goes into the parser's box and what comes out of it has one shape that both sides decode strictly.

Touches nothing. The hives' bytes travel beside the JSON, in the order of `LookAnswer.hives`.
"""

from collections.abc import Sequence
from enum import Enum

from unxen.model.facts import GuestFacts
from unxen.model.ids import DiskNumber, InstallationId
from unxen.model.record import dataclass
from unxen.model.volume_facts import Content, DiskFacts, Partition
from unxen.probe.wanted import Wanted

OPERATION = "look"
PARTITIONS = "partitions"
LOAD = "load"
# A table has at most 8192 rows in the megabyte that is read of it; real guests have a handful of Windows.
MOST_PARTITIONS = 8192
MOST_INSTALLATIONS = 64
MOST_HIVE_BYTES = 256 << 20


@dataclass(frozen=True)
class DiskSize:
    """A disk to look at and the size that its checked header gives it."""

    number: DiskNumber
    size: int


class Code(Enum):
    """What the box can load ahead: what opens a disk, and all that reads a Windows besides."""

    DISKS = "disks"
    WINDOWS = "windows"


def may_hold_windows(partitions: Sequence[Partition]) -> bool:
    """Whether there is anything to look for; boot files elsewhere mean nothing without it."""
    return any(each.content is Content.NTFS for each in partitions)


@dataclass(frozen=True)
class PartitionsRequest:
    """What the parent asks first where it may be enough; the sockets come in the order of the disks."""

    disks: tuple[DiskSize, ...]


@dataclass(frozen=True)
class LookRequest:
    """What the parent asks; the sockets come in the order of the disks, or none does: those of the question before serve on."""

    disks: tuple[DiskSize, ...]
    wanted: Wanted


@dataclass(frozen=True)
class PartitionsAnswer:
    """What goes back for the first question: the disks with their partitions alone."""

    disks: tuple[DiskFacts, ...]


@dataclass(frozen=True)
class LookAnswer:
    """What goes back: the facts, and whose hives the blobs are."""

    facts: GuestFacts
    hives: tuple[InstallationId, ...]
