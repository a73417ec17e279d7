# SPDX-License-Identifier: Apache-2.0
"""What a platform must be able to say and do, so that files, libvirt and Proxmox are three rows and not three programs.

Touches nothing: a Protocol and the values it speaks in. A platform that cannot do something says so by its `abilities`; calling it
anyway raises Refused(PLATFORM_REFUSED). Text of a platform's own configuration never leaves its module.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from unxen.model.guest import Guest
from unxen.model.ids import Bus


class Ability(Enum):
    """What not every platform has."""

    LIST = "list"
    LOCK = "lock"
    SWITCH = "switch"
    NOTE = "note"
    EVENTS = "events"
    HOOK = "hook"


class HookPhase(Enum):
    """The moments at which a platform asks; only BEFORE_START can be answered with no."""

    BEFORE_START = "before-start"
    AFTER_STOP = "after-stop"
    OTHER = "other"


@dataclass(frozen=True)
class HookCall:
    """One call of a platform's hook, parsed: about which guest, at which moment."""

    name: str
    phase: HookPhase


@dataclass(frozen=True)
class GuestEvent:
    """Something happened to a guest: it was defined, changed, started, stopped or removed."""

    name: str
    kind: str


class Platform(Protocol):
    """One place where guests come from."""

    abilities: frozenset[Ability]

    def names(self) -> Sequence[str]:
        """Every guest, by the name that `describe` takes."""

    def describe(self, targets: Sequence[str], formats: Sequence[str], /) -> Guest:
        """One guest: disks with formats, present bus, board, firmware. Reads definitions, never a disk's content."""

    def locked(self, guest: Guest, /) -> AbstractContextManager[None]:
        """Inactive, and kept from starting until the context ends; Refused(IN_USE) when it runs."""

    def switch_bus(self, guest: Guest, bus: Bus, /) -> None:
        """The guest's system disk on another bus; everything else of its definition as it was. Refused(SWITCH_FAILED)."""

    def note(self, guest: Guest, text: str, /) -> None:
        """A remark at the guest that administrators see."""

    def events(self) -> Iterator[GuestEvent]:
        """What happens from now on."""

    def hook_call(self, arguments: Sequence[str], stdin: bytes, /) -> HookCall:
        """What the platform's hook was called with."""
