# SPDX-License-Identifier: Apache-2.0
"""What became of guests in the past, as the reports of the time told it.

Touches nothing.
"""

from typing import Any

from unxen.model.record import dataclass


@dataclass(frozen=True)
class PastOutcome:
    """One remembered report. `at` is seconds since 1970, `document` what `report/outcome.schema.json` describes, escaped."""

    number: int
    at: float
    document: dict[str, Any]

    @property
    def guest(self) -> tuple[str, ...]:
        """The target as it was given; equal targets are the same guest."""
        return tuple(self.document["target"])

    @property
    def verdict(self) -> str:
        """The verdict's word."""
        return str(self.document["verdict"])


def newest_of_each(outcomes: tuple[PastOutcome, ...]) -> tuple[PastOutcome, ...]:
    """The last outcome of every guest, the newest first."""
    found: dict[tuple[str, ...], PastOutcome] = {}
    for each in sorted(outcomes, key=lambda one: (one.at, one.number)):
        found[each.guest] = each
    return tuple(sorted(found.values(), key=lambda one: (-one.at, -one.number)))
