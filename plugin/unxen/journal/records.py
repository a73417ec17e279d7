# SPDX-License-Identifier: Apache-2.0
"""What the journal remembers of one repair or undo, as values; what the states mean is the transaction's business.

Touches nothing.
"""

from enum import Enum

from unxen.model.disk import Window
from unxen.model.ids import Bus, DiskNumber, ImageFormat
from unxen.model.record import dataclass
from unxen.model.remote import Remote


class EntryKind(Enum):
    """What an entry is about."""

    REPAIR = "repair"
    UNDO = "undo"
    REGISTRY_UNDO = "registry-undo"


class EntryState(Enum):
    """How far it came. A state stands in the journal before the step that leaves it."""

    PLANNED = "planned"
    STAGED = "staged"
    DELIVERED = "delivered"
    VERIFIED = "verified"
    COMMITTING = "committing"
    COMMITTED = "committed"
    SWITCHED = "switched"
    ROLLED_BACK = "rolled-back"
    ABANDONED = "abandoned"


OPEN_STATES = (EntryState.PLANNED, EntryState.STAGED, EntryState.DELIVERED, EntryState.VERIFIED, EntryState.COMMITTING)
DONE_STATES = (EntryState.COMMITTED, EntryState.SWITCHED)
VOID_STATES = (EntryState.ROLLED_BACK, EntryState.ABANDONED)
"""Entries that came to nothing."""


class RangeRole(Enum):
    """Why bytes are remembered: they were written, or they only witness that nobody else wrote."""

    WRITTEN = "written"
    WITNESS = "witness"


@dataclass(frozen=True)
class DiskRow:
    """One disk of an entry. `key` names its file whatever path leads to it. `size` is what a guest sees, `file_size` the file's own
    length before the repair. `work` is the directory of its overlay, `undo` the image with the old bytes; empty when they are gone.
    `final_size` is the length that a raw file is cut to when the commit is done, None for the one that it has then. `backing_dirs`
    are the directories of its backing files, which were allowed then. `window` and `remote` are those of the disk.
    """

    number: DiskNumber
    key: str
    path: str
    format: ImageFormat
    size: int
    file_size: int
    work: str = ""
    undo: str = ""
    final_size: int | None = None
    backing_dirs: tuple[str, ...] = ()
    window: Window | None = None
    remote: Remote | None = None


@dataclass(frozen=True)
class RangeRow:
    """Bytes of one disk with their SHA-256 before and after; a witness has both alike unless the repair wrote them too."""

    disk: DiskNumber
    role: RangeRole
    start: int
    length: int
    before: str
    after: str


@dataclass(frozen=True)
class DefinitionRow:
    """A guest's definition on its platform before a switch and after it; whole texts, passwords included.

    `guest` is the name that the platform itself never changes (a UUID, a VMID), with its scheme. `after` is what was planned until
    the switch is made, and then what the platform keeps. An entry that has one is done when it is SWITCHED, not before.
    """

    guest: str
    bus: Bus
    before: str
    after: str


@dataclass(frozen=True)
class Entry:
    """One line of the journal with all that belongs to it. `undoes` is the entry that an undo takes back.

    Without disks, only the guest's definition was changed.
    """

    id: int
    kind: EntryKind
    state: EntryState
    undoes: int | None
    target: tuple[str, ...]
    plan_id: str
    plan: str
    begun: float
    changed: float
    disks: tuple[DiskRow, ...]
    ranges: tuple[RangeRow, ...]
    definition: DefinitionRow | None = None
