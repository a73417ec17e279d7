# SPDX-License-Identifier: Apache-2.0
"""What became of the keys that were given belongs into the answer: which volumes they opened, and that none of them fits.

Touches nothing.
"""

from collections.abc import Sequence
from dataclasses import replace

from unxen.model.judgement import Note, NoteKind
from unxen.model.outcome import Outcome
from unxen.model.reason import Reason, ReasonKind
from unxen.model.volume_facts import Partition


def with_keys_told(outcome: Outcome, opened: Sequence[Partition], keys: Sequence[str]) -> Outcome:
    """The outcome with what the keys did; as it is where none were given."""
    if not keys:
        return outcome
    names = ", ".join(f"{each.disk}:{each.number}" for each in opened)
    notes = (Note(NoteKind.OPENED_WITH_KEY, names),) if opened else ()
    return replace(outcome, notes=outcome.notes + notes, reasons=tuple(_tried(each) for each in outcome.reasons))


def _tried(reason: Reason) -> Reason:
    if reason.kind is not ReasonKind.ENCRYPTED:
        return reason
    return replace(reason, details=(*reason.details, ("key", "none-fits")))
