# SPDX-License-Identifier: Apache-2.0
"""A transaction log begins with a copy of the hive's base block, which says whose log it is and where its numbers begin.

Touches only the bytes it is given; raises nothing. What makes a log useless is a value, for a person has to be told of it.
"""

from unxen.model.hive_facts import LogUse
from unxen.model.record import dataclass
from unxen.registry.base_block import MAGIC, NUMBERS, BaseBlock, unpack_base_block

SECTOR = 512
OLD_TYPES, NEW_TYPE = (1, 2), 6
_HALF = NUMBERS // 2


@dataclass(frozen=True)
class Log:
    """A log whose base block is right."""

    name: str
    data: bytes
    block: BaseBlock

    @property
    def new(self) -> bool:
        """Whether it is of the format of Windows 8.1 and later."""
        return self.block.file_type == NEW_TYPE


def read_log(name: str, data: bytes, hive: BaseBlock | None) -> Log | LogUse:
    """The log, or why it is of no use for this hive; `hive` is None when the hive's own base block is damaged."""
    if not data:
        return LogUse.EMPTY
    if len(data) < SECTOR or data[:4] != MAGIC:
        return LogUse.NO_LOG
    block = unpack_base_block(data)
    known = block.major == block.format == block.clustering == 1 and block.file_type in (*OLD_TYPES, NEW_TYPE)
    flaws = (
        (not block.checksum_right, LogUse.WRONG_CHECKSUM),
        (not known, LogUse.NO_LOG),
        (block.primary != block.secondary, LogUse.HALF_WRITTEN),
        (hive is not None and (block.name, block.root) != (hive.name, hive.root), LogUse.OTHER_HIVE),
    )
    return next((use for wrong, use in flaws if wrong), Log(name, data, block))


def precedes(earlier: int, later: int) -> bool:
    """Whether a sequence number comes before another or is the same; numbers go round at 2**32."""
    return (later - earlier) % NUMBERS < _HALF
