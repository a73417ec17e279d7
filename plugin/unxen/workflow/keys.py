# SPDX-License-Identifier: Apache-2.0
"""What became of the keys that were given belongs into the answer: which volumes they opened, and why others stayed closed.

Touches nothing.
"""

import re
from collections.abc import Sequence

from unxen.model.judgement import Note, NoteKind
from unxen.model.outcome import Outcome
from unxen.model.reason import Reason, ReasonKind
from unxen.model.record import replace
from unxen.model.volume_facts import Opening

NO_KEY = "No key available"
# What cryptsetup says comes behind the name of the call and its exit status.
BEFORE = re.compile(r"^.*exited with status \d+: *", re.DOTALL)


def with_keys_told(outcome: Outcome, opening: Opening, keys: Sequence[str]) -> Outcome:
    """The outcome with what the keys did; as it is where none were given."""
    if not keys:
        return outcome
    names = ", ".join(f"{each.disk}:{each.number}" for each in opening.opened)
    notes = (Note(NoteKind.OPENED_WITH_KEY, names),) if names else ()
    said = dict(opening.locked)
    return replace(outcome, notes=outcome.notes + notes, reasons=tuple(_tried(each, said) for each in outcome.reasons))


def _tried(reason: Reason, said: dict[str, str]) -> Reason:
    """A volume that stayed closed: no key fits, or cryptsetup has another cause."""
    if reason.kind is not ReasonKind.ENCRYPTED or reason.subject not in said:
        return reason
    cause = said[reason.subject]
    more = ("key", "none-fits") if NO_KEY in cause else ("cause", BEFORE.sub("", cause).strip())
    return replace(reason, details=(*reason.details, more))
