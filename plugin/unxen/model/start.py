# SPDX-License-Identifier: Apache-2.0
"""The answer to a machine that is about to start, as a value.

Touches nothing; `report` phrases it.
"""

from enum import Enum

from unxen.model.reason import Details
from unxen.model.record import dataclass


class Answer(Enum):
    """What the guard says to the platform."""

    ALLOW = "allow"
    WARN = "warn"
    REFUSE = "refuse"


class StartRisk(Enum):
    """What was found about this start."""

    NONE = "none"
    NOT_JUDGED = "not-judged"
    BEING_REPAIRED = "being-repaired"
    HALF_WRITTEN = "half-written"
    JOURNAL_UNREADABLE = "journal-unreadable"
    WOULD_STOP = "would-stop"
    DEFINED_FOR_XEN = "defined-for-xen"
    REPAIRED_NOW = "repaired-now"


@dataclass(frozen=True)
class StartJudgement:
    """One start judged; `details` are the fields of its sentence."""

    answer: Answer
    risk: StartRisk
    target: str
    details: Details = ()
