# SPDX-License-Identifier: Apache-2.0
"""What is mended only when somebody asks for it: nothing of it keeps Windows from starting, or it was not Xen that broke it.

Touches nothing.
"""

from collections.abc import Iterable
from enum import Enum

from unxen.model.record import dataclass


class Fix(Enum):
    """One kind of mend, by the name that `--fix` and the configuration know."""

    DATA_DISKS = "data-disks"
    CLOCK = "clock"
    CRASH_SCREEN = "crash-screen"
    STOCK_FILTERS = "stock-filters"


@dataclass(frozen=True)
class Fixes:
    """What is to be mended beside the boot path.

    `asked` on the command line is reason enough for a repair. `riding` comes from the configuration: done along with a repair that
    is made anyway, never the cause of one, so that no watcher works on a guest again and again for it, and only where it needs no
    room that the registry has not.
    """

    asked: frozenset[Fix] = frozenset()
    riding: frozenset[Fix] = frozenset()

    def __contains__(self, fix: Fix) -> bool:
        """Whether it is to be mended at all."""
        return fix in self.asked or fix in self.riding


NO_FIXES = Fixes()


def fixes(asked: Iterable[Fix], configured: Iterable[Fix]) -> Fixes:
    """What was asked for now, and of what is configured the rest."""
    return Fixes(frozenset(asked), frozenset(configured) - frozenset(asked))
