# SPDX-License-Identifier: Apache-2.0
"""What was seen of partitions, volumes and files on a disk; nothing judged.

Touches nothing. Offsets and lengths are bytes on the guest's disk unless a name says otherwise.
"""

from enum import Enum

from unxen.model.ids import DiskNumber, Firmware, GuestPath, Missing, Offset, PartitionNumber
from unxen.model.record import dataclass


class Scheme(Enum):
    """How a disk is divided; NONE is a file system on the bare disk, EMPTY a first sector without any signature."""

    MBR = "mbr"
    GPT = "gpt"
    NONE = "none"
    EMPTY = "empty"
    UNREADABLE = "unreadable"


class Content(Enum):
    """What a partition's first sector (or its type) says it holds."""

    NTFS = "ntfs"
    FAT = "fat"
    BITLOCKER = "bitlocker"
    LDM = "ldm"
    STORAGE_SPACE = "storage-space"
    OTHER = "other"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Partition:
    """One row of a partition table. `type_id` is two hex digits (MBR) or an upper-case GUID (GPT)."""

    disk: DiskNumber
    number: PartitionNumber
    type_id: str
    start: Offset
    length: int
    active: bool
    content: Content


@dataclass(frozen=True)
class Opening:
    """What the keys did: the partitions that one of them opened, and what cryptsetup said of each other one."""

    opened: tuple[Partition, ...] = ()
    locked: tuple[tuple[str, str], ...] = ()


NOTHING_OPENED = Opening()


class JournalState(Enum):
    """State of NTFS' $LogFile (facts: restart pages, version, client list)."""

    CLEAN = "clean"
    EMPTY = "empty"
    UNCLEAN = "unclean"
    VERSION_2 = "version-2"
    UNREADABLE = "unreadable"


HARMLESS_JOURNALS = (JournalState.CLEAN, JournalState.EMPTY)
"""Nothing is left to do for whoever mounts the volume next."""


class Hibernation(Enum):
    r"""What the first bytes of \hiberfil.sys say."""

    ABSENT = "absent"
    UNUSED = "unused"
    RESUMED = "resumed"
    HIBERNATED = "hibernated"
    INTERRUPTED = "interrupted"
    UNREADABLE = "unreadable"


class PendingWork(Enum):
    """What an unclean journal would still do when Windows mounts the volume, as far as it concerns one file."""

    ELSEWHERE = "elsewhere"
    HERE = "here"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Footing:
    """How surely a hive's clusters are its own on a volume that Windows has not let go of.

    `bins_whole`: every bin read through the runs is one of a hive, at its place. `clusters_in_use`: $Bitmap has them all.
    """

    bins_whole: bool
    clusters_in_use: bool
    pending: PendingWork


class Sign(Enum):
    """A file beside a Windows that tells what it has begun and not finished, or that its hive has a second copy."""

    SERVICING_PENDING = "servicing-pending"
    UPGRADE_BEGUN = "upgrade-begun"
    UPGRADE_READY = "upgrade-ready"
    SECOND_HIVE = "second-hive"


@dataclass(frozen=True)
class Volume:
    """One NTFS volume. `heads` is the boot sector's BIOS geometry field, which NT 5 needs right."""

    disk: DiskNumber
    partition: PartitionNumber
    start: Offset
    length: int
    cluster_size: int
    sector_size: int
    heads: int
    serial: str
    dirty: bool | Missing
    journal: JournalState
    hibernation: Hibernation


@dataclass(frozen=True)
class Run:
    """Clusters of a file in one piece; `cluster` counts from the volume's start."""

    cluster: int
    count: int


@dataclass(frozen=True)
class FileRecord:
    """A file's own $MFT record: where its bytes lie and what forbids writing them.

    `record_offset` is where the record lies on the disk. `runs` is empty for a resident file. `attribute_list` says that the
    record goes on elsewhere; `complete` that `runs` nevertheless cover the whole file.
    """

    number: int
    sequence: int
    record_offset: Offset
    size: int
    allocated: int
    initialised: int
    runs: tuple[Run, ...]
    resident: bool
    compressed: bool
    encrypted: bool
    sparse: bool
    wof: bool
    attribute_list: bool
    complete: bool


@dataclass(frozen=True)
class BootFile:
    """A file by which firmware or boot loader starts a Windows."""

    disk: DiskNumber
    partition: PartitionNumber
    path: GuestPath
    firmware: Firmware


@dataclass(frozen=True)
class DiskFacts:
    """One disk: how it is divided and what lies on it."""

    number: DiskNumber
    size: int
    scheme: Scheme
    partitions: tuple[Partition, ...]
    volumes: tuple[Volume, ...]
    boot_files: tuple[BootFile, ...]
