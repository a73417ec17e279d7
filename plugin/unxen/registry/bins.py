# SPDX-License-Identifier: Apache-2.0
"""A hive read through clusters that are no longer its own shows it first in its bins, each of which says where it stands.

Touches only the bytes it is given.
"""

from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.cells import BIN_HEADER, BIN_MAGIC, CELL_SIZE


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


def cells_whole(data: bytes, bins_size: int) -> bool:
    """Whether the bins are whole, and cell follows cell to the end of each."""
    at, unpack = 0, CELL_SIZE.unpack_from
    if not bins_whole(data, bins_size):
        return False
    while at < bins_size:
        cell, at = at + BIN_HEADER.size, at + BIN_HEADER.unpack_from(data, BLOCK_SIZE + at)[2]
        while cell < at:
            length = abs(unpack(data, BLOCK_SIZE + cell)[0])
            if length < 8 or length % 8 or length > at - cell:
                return False
            cell += length
    return True
