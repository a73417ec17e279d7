# SPDX-License-Identifier: Apache-2.0
"""What is known of a VM whose disks are out of reach: its definition, what forbids to change it, and unxen's marks there.

Touches nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from unxen.model.definition import DefinitionChange
from unxen.model.guest import Machine
from unxen.model.ids import Bus
from unxen.model.reason import Reason


@dataclass(frozen=True)
class Slot:
    """One hard disk of a definition: `place` is its slot, or its key among the unused ones; then no bus shows it."""

    place: str
    volume: str
    bus: Bus | None


@dataclass(frozen=True)
class Marked:
    """A VM as its cluster lists it, with unxen's lines in its notes, the oldest first, and whether it has unxen's tag."""

    target: str
    name: str
    node: str
    running: bool
    tagged: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SeenDefinition:
    """All that is known without a look at its disks. `against` forbids a change now; `lacking` are the privileges that whoever asks
    does not have, by the task that would need them.
    """

    marked: Marked
    machine: Machine
    slots: tuple[Slot, ...]
    against: tuple[Reason, ...]
    lacking: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Switched:
    """What was changed, or would be; `entry` of the journal when it was."""

    changes: tuple[DefinitionChange, ...]
    entry: int | None = None
