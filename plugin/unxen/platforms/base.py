# SPDX-License-Identifier: Apache-2.0
"""What a platform must be able to say and do, so that files, libvirt and Proxmox are three rows and not three programs.

Touches nothing: a Protocol and the values it speaks in. A platform that cannot do something says so by its `abilities`; calling it
anyway raises Refused(PLATFORM_REFUSED). Text of a platform's own configuration never leaves its module but as a value that only it
understands (`Switch`).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol, runtime_checkable

from unxen.model.definition import Switch, Wish
from unxen.model.disk import Disk
from unxen.model.guest import Guest
from unxen.model.reason import Reason
from unxen.model.record import dataclass


class Ability(Enum):
    """What not every platform has."""

    LIST = "list"
    LOCK = "lock"
    SWITCH = "switch"
    NOTE = "note"
    EVENTS = "events"
    HOOK = "hook"
    FIRMWARE = "firmware"


class HookPhase(Enum):
    """The moments at which a platform asks; only BEFORE_START can be answered with no."""

    BEFORE_START = "before-start"
    AFTER_STOP = "after-stop"
    OTHER = "other"


@dataclass(frozen=True)
class HookCall:
    """One call of a platform's hook, parsed. `guest` is what is about to start, None for any other moment.

    `known_fine`: the platform itself says that this start must not be meddled with (an incoming migration, a restore).
    `resumes`: it goes on from saved memory, so no boot path is walked, and its disks must stay as that memory knows them.
    """

    name: str
    phase: HookPhase
    guest: Guest | None = None
    known_fine: bool = False
    resumes: bool = False


@dataclass(frozen=True)
class GuestState:
    """What a watcher compares. `stamp` changes with everything of the definition but our own notes; equal stamps, nothing new."""

    stamp: str
    stopped: bool


StillStopped = Callable[[], None]
"""Asks the platform once more; Refused(IN_USE) when the guest was started meanwhile."""


@runtime_checkable
class Starting(Protocol):
    """A platform that can start a guest whose start its guard refused."""

    def start(self, name: str, /) -> None:
        """Starts the guest of that name behind the scheme, as a person would."""


@runtime_checkable
class Completing(Protocol):
    """A platform that keeps another text than it was given."""

    def kept(self, guest: Guest, given: str, /) -> str:
        """The definition as it stands, if it can be what the platform made of that text; else empty."""


@runtime_checkable
class Settling(Protocol):
    """A platform on which a crash can leave a guest locked."""

    def settle(self, guest: Guest, /) -> None:
        """Takes our lock away where a crash left it; to be called only when no disk of the guest is half written."""


class Platform(Protocol):
    """One place where guests come from."""

    abilities: frozenset[Ability]

    def describe(self, targets: Sequence[str], formats: Sequence[str], /) -> Guest:
        """One guest: disks with formats, present bus, board, firmware. Reads definitions, never a disk's content."""

    def obstacles(self, guest: Guest, /) -> tuple[Reason, ...]:
        """What in its definition or its state on the platform forbids a repair, its running apart: saved state, shared disks."""

    def neighbours(self, guest: Guest, /) -> tuple[Disk, ...]:
        """Disks of other guests, as far as they are files of this host: one of them may be built on a disk of this guest."""

    def locked(self, guest: Guest, /) -> AbstractContextManager[StillStopped]:
        """Inactive, without obstacles, and as far as the platform can, kept from starting until the context ends.

        Refused(IN_USE) when it runs, and with its obstacles. What it gives is called again once
        the disks are held: a start that slipped in is seen then.
        """

    def plan_switch(self, guest: Guest, wish: Wish, /) -> Switch:
        """The definition as it stands now and as it should be for this Windows; changes nothing. Refused when it cannot be."""

    def switch(self, guest: Guest, switch: Switch, /) -> str:
        """Puts `after` in the place of `before` and gives the definition as the platform keeps it now.

        Refused(SWITCH_FAILED), the definition being as it was, when it is not `before` any more (but for our notes) or when the
        platform says no. The way back is the same with both texts exchanged.
        """

    def stands(self, guest: Guest, definition: str, /) -> bool:
        """Whether the guest is defined as in this text, our own notes apart."""

    def note(self, guest: Guest, text: str, /) -> None:
        """A remark at the guest that administrators see; a hint, never proof. Without a place for it nothing happens."""

    def states(self) -> Mapping[str, GuestState]:
        """Every guest by the name that stands behind the scheme in a TARGET; cheap, because it is asked again and again."""

    def wait(self, seconds: float, /) -> frozenset[str]:
        """Names of guests to which something happened, as soon as it does; empty after `seconds`. Reconnects by itself."""

    def hook_call(self, arguments: Sequence[str], stdin: bytes, /) -> HookCall:
        """What the platform's hook was called with; asks nobody, for the platform waits for the answer."""
