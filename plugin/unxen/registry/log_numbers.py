# SPDX-License-Identifier: Apache-2.0
"""A hive that is written back must be past every number in its logs, or Windows may lay their old pages over it one day.

Reads through the function it is given: the first sector and one small head per entry, so that a clean hive's logs cost next to
nothing. Raises nothing for what a log holds.
"""

from unxen.registry.base_block import MAGIC, unpack_base_block
from unxen.registry.log_block import SECTOR
from unxen.registry.log_new import Read, walk_numbers

MOST = (1 << 31) - 1
"""Above it, whether an old number comes before or after depends on who compares. A flush a second takes 68 years to get there."""


def highest_in_log(read: Read) -> int:
    """The largest number of base block and entries that Windows would ever believe; 0 where there is none."""
    head = read(0, SECTOR)
    if len(head) < SECTOR or head[:4] != MAGIC:
        return 0
    block = unpack_base_block(head)
    own = max(block.primary, block.secondary) if block.checksum_right else 0
    return max(own, *walk_numbers(read), 0)


def highest_in_bytes(data: bytes) -> int:
    """The same for a log that was read whole."""
    return highest_in_log(lambda at, length: data[at : at + length])
