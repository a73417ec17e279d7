# SPDX-License-Identifier: Apache-2.0
"""Hives are audited and compared in a box of their own while the repair goes on: with two cores it hardly waits for either.

Touches that box alone. What a check refuses or cannot tell is raised where its result is asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from unxen.host.ledger import spending
from unxen.host.sandbox import Box
from unxen.model.progress import Part
from unxen.probe.registry_box import begin_audit, begin_proof
from unxen.registry.flaws import Flaw, Proof
from unxen.repair.verification import EditedHive

T = TypeVar("T")


class HiveChecks:
    """Both checks of all hives of a guest; nobody has asked for anything yet.

    One box makes both, because what an audit learns of a hive makes the comparison with the edited one short.
    """

    def __init__(self, box: Box) -> None:
        self._box = box

    def begin_audits(self, hives: Sequence[bytes]) -> Callable[[], list[tuple[Flaw, ...]]]:
        """The flaws of each hive, as it was read."""
        return _awaited([begin_audit(self._box, hive) for hive in hives])

    def begin_proofs(self, edited: Sequence[EditedHive]) -> Callable[[], list[Proof]]:
        """What became of each hive."""
        return _awaited([begin_proof(self._box, each.before, each.after) for each in edited])


@contextmanager
def hive_checks() -> Iterator[HiveChecks]:
    """The box loads its code while the caller does something else."""
    with Box.open(ahead="audit") as box:
        yield HiveChecks(box)


def _awaited(begun: Sequence[Callable[[], T]]) -> Callable[[], list[T]]:
    @spending(Part.PROOF)
    def results() -> list[T]:
        return [each() for each in begun]

    return results
