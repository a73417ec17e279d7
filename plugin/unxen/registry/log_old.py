# SPDX-License-Identifier: Apache-2.0
"""Logs up to Windows 8 hold the changed sectors of one flush behind a bitmap that says where they belong.

Touches only the bytes it is given; raises nothing for what a log holds. Nothing in such a log is hashed: it belongs to a hive when
it has the hive's time of the last write, and whether it was torn shows only in the bins that come of it.
"""

import struct

from unxen.model.hive_facts import LogUse
from unxen.model.record import dataclass
from unxen.registry.base_block import BLOCK_SIZE, FIRST_BIN_TIME_AT, LARGEST_BINS, BaseBlock
from unxen.registry.log_block import SECTOR, Log

DIRT = b"DIRT"
BITMAP_AT = SECTOR + 4


@dataclass(frozen=True)
class OldLog:
    """A log that can be applied: which sectors of the bins it holds, in order, and where in the log they begin."""

    log: Log
    sectors: tuple[int, ...]
    data_at: int

    @property
    def content(self) -> tuple[tuple[int, ...], bytes]:
        """All that it would do to a hive."""
        end = self.data_at + SECTOR * len(self.sectors)
        return self.sectors, self.log.data[self.data_at : end]


def read_old_log(log: Log, hive: BaseBlock | None, primary: bytes) -> OldLog | LogUse:
    """The log, if it is whole and of this state of the hive."""
    if log.block.written != _written(hive, primary) or log.block.written == 0:
        return LogUse.OTHER_TIME
    size, data = log.block.bins_size, log.data
    if data[SECTOR:BITMAP_AT] != DIRT or size % BLOCK_SIZE or not 0 < size <= LARGEST_BINS:
        return LogUse.NO_LOG
    behind = BITMAP_AT + size // BLOCK_SIZE
    bitmap = data[BITMAP_AT:behind]
    sectors = tuple(8 * index + bit for index, byte in enumerate(bitmap) if byte for bit in range(8) if byte >> bit & 1)
    data_at = -(-behind // SECTOR) * SECTOR
    if len(data) < data_at + SECTOR * len(sectors):
        return LogUse.CUT_OFF
    return OldLog(log, sectors, data_at) if sectors else LogUse.NO_ENTRY


def _written(hive: BaseBlock | None, primary: bytes) -> int:
    """When the hive was written; the first bin keeps a copy for the day when the base block is damaged."""
    if hive is not None:
        return hive.written
    if len(primary) < 2 * BLOCK_SIZE:
        return 0
    (written,) = struct.unpack_from("<Q", primary, BLOCK_SIZE + FIRST_BIN_TIME_AT)
    return int(written)


def apply_old_log(hive: bytearray, old: OldLog) -> None:
    """Its sectors over the hive, which grows when the bins do."""
    hive.extend(bytes(max(0, BLOCK_SIZE + old.log.block.bins_size - len(hive))))
    for index, sector in enumerate(old.sectors):
        at, place = old.data_at + SECTOR * index, BLOCK_SIZE + SECTOR * sector
        hive[place : place + SECTOR] = old.log.data[at : at + SECTOR]
