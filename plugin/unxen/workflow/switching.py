# SPDX-License-Identifier: Apache-2.0
"""The disk is one half of a guest: its definition on the platform is the other, and goes the same way: planned, kept, changed.

Reads and changes definitions through the platform, and the journal. The definition as it was stands in the journal before anything
of the repair is done. A switch that fails leaves a good disk and the old definition; the entry stays COMMITTED and is tried again.
"""

from unxen.errors import Refused
from unxen.host.signals import uninterrupted
from unxen.journal.place import has_journal
from unxen.journal.records import VOID_STATES, DefinitionRow, Entry, EntryKind, EntryState
from unxen.journal.store import Journal, open_journal
from unxen.model.definition import Switch
from unxen.model.guest import Guest
from unxen.model.ids import Bus
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.settings import Settings
from unxen.platforms.base import Completing, Platform


def row_of(guest: Guest, bus: Bus, switch: Switch) -> DefinitionRow | None:
    """What the journal keeps of a switch to be made; nothing for guests without a definition."""
    return DefinitionRow(guest.id, bus, switch.before, switch.after) if guest.id and switch.changes else None


def begin_switch(journal: Journal, guest: Guest, row: DefinitionRow, undoes: int | None = None) -> int:
    """An entry for a change of the definition alone: there is no disk that it could wait for."""
    kind = EntryKind.REPAIR if undoes is None else EntryKind.UNDO
    entry = journal.begin(kind, guest.target, "", "", (), undoes, row)
    journal.move(entry, EntryState.PLANNED, EntryState.COMMITTED)
    return entry


def perform(journal: Journal, platform: Platform, guest: Guest, entry: int, switch: Switch) -> None:
    """Makes the switch of an entry in COMMITTED. When it is refused the entry waits for another try."""
    # Whoever interrupts waits until the journal knows what the platform did.
    with uninterrupted():
        kept = platform.switch(guest, switch)
        journal.set_definition(entry, kept)
        journal.move(entry, EntryState.COMMITTED, EntryState.SWITCHED)


def failed_switch(error: Refused, guest: Guest, bus: Bus) -> tuple[Reason, ...]:
    """Whatever kept a switch from being made, told as that."""
    if error.first.kind is ReasonKind.SWITCH_FAILED:
        return error.reasons
    told = reason(ReasonKind.SWITCH_FAILED, " + ".join(guest.target), bus=bus.value, cause=error.first.detail("cause"))
    return (told, *error.reasons)


def pending(journal: Journal, platform: Platform, guest: Guest) -> Entry | None:
    """The newest entry of this guest when its switch was not made and the definition still is as it was then.

    One whose switch was made and only not told any more is told now: whoever asked for it was killed before the platform's answer
    was in the journal. A definition that somebody else changed since is theirs.
    """
    newest = newest_of(journal, guest)
    if newest is None or newest.definition is None or newest.state is not EntryState.COMMITTED:
        return None
    if platform.stands(guest, newest.definition.before):
        return newest
    if kept := _kept(platform, guest, newest.definition.after):
        journal.set_definition(newest.id, kept)
        journal.move(newest.id, EntryState.COMMITTED, EntryState.SWITCHED)
    return None


def _kept(platform: Platform, guest: Guest, planned: str) -> str:
    """The definition as it stands, if it is the planned one or what the platform made of it; else empty."""
    if isinstance(platform, Completing):
        return platform.kept(guest, planned)
    return planned if platform.stands(guest, planned) else ""


def newest_of(journal: Journal, guest: Guest) -> Entry | None:
    """The newest entry of this guest that came to something."""
    entries = journal.of_guest(guest.id) if guest.id else ()
    return next((each for each in entries if each.state not in VOID_STATES), None)


def waiting_bus(guest: Guest, platform: Platform, settings: Settings) -> Bus | None:
    """The bus that an earlier repair of this guest was for, when its switch was not made."""
    if not guest.id or not has_journal(settings.state_dir):
        return None
    with open_journal(settings.state_dir) as journal:
        waiting = pending(journal, platform, guest)
    bus = waiting.definition.bus if waiting and waiting.definition and waiting.kind is EntryKind.REPAIR else Bus.UNKNOWN
    return None if bus is Bus.UNKNOWN else bus


def was_switched(guest: Guest, settings: Settings) -> bool:
    """Whether the last thing that happened to this guest is that its definition was changed from here."""
    if not has_journal(settings.state_dir):
        return False
    with open_journal(settings.state_dir) as journal:
        newest = newest_of(journal, guest)
    return newest is not None and newest.state is EntryState.SWITCHED


def was_undone(guest: Guest, settings: Settings) -> bool:
    """Whether the last thing that happened to this guest is that somebody took its repair back."""
    if not has_journal(settings.state_dir):
        return False
    with open_journal(settings.state_dir) as journal:
        newest = newest_of(journal, guest)
    return newest is not None and newest.kind is EntryKind.UNDO
