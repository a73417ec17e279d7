# SPDX-License-Identifier: Apache-2.0
"""A hive read through clusters that are no longer its own shows it first in its bins, each of which says where it stands.

Touches only the bytes it is given.
"""

from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.cells import BIN_HEADER, BIN_MAGIC


def bins_whole(data: bytes, bins_size: int) -> bool:
    """Whether bin follows bin to the end of all, each with its signature, its own offset and a size of whole pages."""
    at = 0
    if len(data) < BLOCK_SIZE + bins_size:
        return False
    while at < bins_size:
        magic, offset, size, *_ = BIN_HEADER.unpack_from(data, BLOCK_SIZE + at)
        if magic != BIN_MAGIC or offset != at or not size or size % BLOCK_SIZE:
            return False
        at += size
    return at == bins_size > 0
