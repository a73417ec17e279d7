# SPDX-License-Identifier: Apache-2.0
"""Hives are audited and compared in boxes of their own while the repair goes on: with two cores it hardly waits for either.

Touches those boxes alone. What a check refuses or cannot tell is raised where its result is asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from unxen.host.ledger import spending
from unxen.host.sandbox import Box
from unxen.model.progress import Part
from unxen.probe.registry_box import begin_audit, begin_proof
from unxen.registry.flaws import Flaw, Proof
from unxen.repair.verification import EditedHive

T = TypeVar("T")
Ask = Callable[[], Callable[[], T]]


class HiveChecks:
    """Both checks of all hives of a guest; nobody has asked for anything yet."""

    def __init__(self, audits: Box, proofs: Box) -> None:
        self._audits, self._proofs = audits, proofs

    def begin_audits(self, hives: Sequence[bytes]) -> Callable[[], list[tuple[Flaw, ...]]]:
        """The flaws of each hive, as it was read."""
        return _in_turn([partial(begin_audit, self._audits, hive) for hive in hives])

    def begin_proofs(self, edited: Sequence[EditedHive]) -> Callable[[], list[Proof]]:
        """What became of each hive."""
        return _in_turn([partial(begin_proof, self._proofs, each.before, each.after) for each in edited])


@contextmanager
def hive_checks() -> Iterator[HiveChecks]:
    """Two boxes that load their code while the caller does something else."""
    with Box.open(ahead="audit") as audits, Box.open(ahead="prove") as proofs:
        yield HiveChecks(audits, proofs)


def _in_turn(asks: Sequence[Ask[T]]) -> Callable[[], list[T]]:
    """The first is worked on at once; others, if there are any, when the results are wanted: a box answers one after another."""
    begun = [ask() for ask in asks[:1]]

    @spending(Part.PROOF)
    def results() -> list[T]:
        return [first() for first in begun] + [ask()() for ask in asks[1:]]

    return results
