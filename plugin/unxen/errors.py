# SPDX-License-Identifier: Apache-2.0
"""Errors travel as one exception that carries a reason; no sentence is made here.

Touches nothing. Raise with `from` where another exception is the cause.
"""

from unxen.model.reason import Reason, ReasonKind, reason


class Refused(Exception):
    """Something cannot or must not be done; nothing that matters was changed.

    `reasons` has at least one element, the most telling first.
    """

    def __init__(self, *reasons: Reason) -> None:
        super().__init__(", ".join(f"{each.kind.value} {each.subject}".strip() for each in reasons))
        self.reasons = reasons

    @property
    def first(self) -> Reason:
        """The reason that decides the exit code."""
        return self.reasons[0]


def refused(kind: ReasonKind, subject: str = "", **details: object) -> Refused:
    """A refusal with one reason, its details given as keywords."""
    return Refused(reason(kind, subject, **details))
