# SPDX-License-Identifier: Apache-2.0
"""A repair is a walk through states of which each stands in the journal before the step that leaves it.

Touches the journal alone. A move that the table does not know is a defect and raises; nothing was recorded then.
"""

from unxen.journal.records import EntryState
from unxen.journal.store import Journal

MOVES: dict[EntryState, tuple[EntryState, ...]] = {
    EntryState.PLANNED: (EntryState.STAGED, EntryState.ROLLED_BACK),
    EntryState.STAGED: (EntryState.DELIVERED, EntryState.ROLLED_BACK),
    EntryState.DELIVERED: (EntryState.VERIFIED, EntryState.ROLLED_BACK),
    EntryState.VERIFIED: (EntryState.COMMITTING, EntryState.ROLLED_BACK),
    # Back from here only when every old byte was written back.
    EntryState.COMMITTING: (EntryState.COMMITTED, EntryState.ROLLED_BACK),
    EntryState.COMMITTED: (EntryState.SWITCHED,),
    EntryState.SWITCHED: (),
    EntryState.ROLLED_BACK: (),
}


class IllegalMove(Exception):
    """A step was taken out of order."""


class Transaction:
    """One entry of the journal on its way."""

    def __init__(self, journal: Journal, entry: int) -> None:
        self.journal = journal
        self.entry = entry
        self.state = EntryState.PLANNED

    def move(self, after: EntryState) -> None:
        """Records the next state, durably."""
        if after not in MOVES[self.state]:
            raise IllegalMove(f"{self.state.value} to {after.value}")
        self.journal.move(self.entry, self.state, after)
        self.state = after

    @property
    def unwritten(self) -> bool:
        """Whether no byte of any disk was written yet."""
        return self.state in (EntryState.PLANNED, EntryState.STAGED, EntryState.DELIVERED, EntryState.VERIFIED)
