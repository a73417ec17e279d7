# SPDX-License-Identifier: Apache-2.0
"""What came of one verb on one guest; the report and the exit code are made from this alone.

Touches nothing. On failure the fields hold what was known until then.
"""

from unxen.model.definition import DefinitionChange
from unxen.model.facts import GuestFacts
from unxen.model.judgement import Judgement, Note, Verdict
from unxen.model.progress import Spent
from unxen.model.reason import Reason
from unxen.model.record import dataclass


@dataclass(frozen=True)
class Outcome:
    """One guest's result.

    `verb` is `inspect`, `plan`, `repair`, `promote`, `demote`, `undo` or `recover`.
    `dry_run`: everything but the commit was done. `entry` is the journal's number
    of this repair, for undo. `delivery` says how the hive got into the file system, empty when it did not. `changed` says whether
    any byte of a disk was changed. `definition` is what of the guest's definition on its platform was changed (`switched`), or
    would be. `after` is the judgement of the repaired disks, from the second look; None when nothing was repaired.
    """

    verb: str
    target: tuple[str, ...]
    verdict: Verdict
    facts: GuestFacts | None = None
    judgement: Judgement | None = None
    reasons: tuple[Reason, ...] = ()
    notes: tuple[Note, ...] = ()
    dry_run: bool = False
    changed: bool = False
    entry: int | None = None
    delivery: str = ""
    timings: tuple[tuple[str, float], ...] = ()
    spent: tuple[Spent, ...] = ()
    definition: tuple[DefinitionChange, ...] = ()
    switched: bool = False
    after: Judgement | None = None
