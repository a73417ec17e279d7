# SPDX-License-Identifier: Apache-2.0
"""The state of one hive file: clean, dirty and recovered from its logs, or dirty and older than what Windows knew.

Touches nothing. Names of logs are spelled as on the volume.
"""

from enum import Enum

from unxen.model.record import dataclass


class HiveState(Enum):
    """What the registry that is judged is made of."""

    CLEAN = "clean"
    REPLAYED = "replayed"
    DIRTY = "dirty"


class LogUse(Enum):
    """What became of one log, or why nothing could become of it."""

    NOT_NEEDED = "not-needed"
    APPLIED = "applied"
    STALE = "stale"
    NOT_FOLLOWING = "not-following"
    NO_ENTRY = "no-entry"
    EMPTY = "empty"
    NO_LOG = "no-log"
    WRONG_CHECKSUM = "wrong-checksum"
    HALF_WRITTEN = "half-written"
    OTHER_HIVE = "other-hive"
    OTHER_TIME = "other-time"
    CUT_OFF = "cut-off"
    AMBIGUOUS = "ambiguous"
    BROKEN_RESULT = "broken-result"
    TOO_LARGE = "too-large"
    UNREADABLE = "unreadable"


class LogEnd(Enum):
    """Why a replay ended where it did; the first three are what an intact log ends with."""

    NO_MORE = "no-more"
    OTHER_ROUND = "other-round"
    WHOLE = "whole"
    DAMAGED_HEADER = "damaged-header"
    DAMAGED_DATA = "damaged-data"
    IMPOSSIBLE = "impossible"
    CUT_OFF = "cut-off"
    GAP = "gap"


@dataclass(frozen=True)
class LogFacts:
    """One log beside the hive. `size` is -1 when its record cannot be read; `applied` are entries that are in the hive now."""

    name: str
    size: int
    use: LogUse
    applied: int = 0


@dataclass(frozen=True)
class ReplayFacts:
    """A replay that gave a whole hive.

    `applied` of `found` entries came in (an old log is one entry), the last with number `last`; `ended` says why no more did, in
    the log `ended_in`. `base_block_from` is the log whose copy replaced a damaged base block, empty when it was whole.
    """

    applied: int
    found: int
    last: int
    ended: LogEnd
    ended_in: str
    base_block_from: str

    @property
    def complete(self) -> bool:
        """Whether everything that the logs held for this hive came in."""
        return self.applied == self.found


@dataclass(frozen=True)
class HiveFacts:
    """The hive file's own state.

    `primary`, `secondary` and `checksum_right` are as on the disk; `size`, `bins_size` (bytes) and `version` are of the hive that
    is judged, which a replay may have made longer. `highest` is the largest sequence number in hive and logs, applied or not.
    """

    size: int
    bins_size: int
    version: tuple[int, int]
    primary: int
    secondary: int
    checksum_right: bool
    highest: int
    logs: tuple[LogFacts, ...]
    replay: ReplayFacts | None

    @property
    def dirty(self) -> bool:
        """Whether the newest data stands only in the logs (regf: numbers differ or checksum wrong)."""
        return self.primary != self.secondary or not self.checksum_right

    @property
    def state(self) -> HiveState:
        """What the registry that is judged is made of."""
        if not self.dirty:
            return HiveState.CLEAN
        return HiveState.DIRTY if self.replay is None else HiveState.REPLAYED
