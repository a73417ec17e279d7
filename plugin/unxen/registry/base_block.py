# SPDX-License-Identifier: Apache-2.0
"""The first 4096 bytes of a hive say whether the rest may be believed; here they are read and stamped.

Touches only the bytes it is given. Reading raises Refused(HIVE_DAMAGED) when it is no hive of a kind that can be read; a wrong
checksum and differing sequence numbers are facts of the result, not errors: they mean that the newest data stands in the logs.
"""

import struct
from functools import reduce
from operator import xor

from unxen.errors import refused
from unxen.model.hive_facts import HiveFacts
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass

BLOCK_SIZE = 4096
CHECKSUM_AT = 508
MAGIC = b"regf"
FIELDS = struct.Struct("<4sIIQIIIIIII64s")
WRITTEN_AT, FIRST_BIN_TIME_AT = 12, 20
FLAGS_AT, REORGANISED_AT = 144, 168
NUMBERS = 1 << 32
# Real SYSTEM hives have 2 to 40 MB; Windows itself allowed up to 200 MB for all hives of old.
LARGEST_BINS = 192 << 20


@dataclass(frozen=True)
class BaseBlock:
    """All fields that mean something. `root` and `bins_size` count from the first bin, at 4096; times are FILETIMEs.

    `file_type` 0 is a hive (the others are logs), `clustering` is the sector size in 512 bytes, `flags` bit 0 means that
    transactions are pending.
    """

    primary: int
    secondary: int
    written: int
    major: int
    minor: int
    file_type: int
    format: int
    root: int
    bins_size: int
    clustering: int
    name: str
    flags: int
    reorganised: int
    checksum: int
    checksum_right: bool
    file_size: int

    @property
    def dirty(self) -> bool:
        """Whether the newest data stands only in the logs."""
        return self.primary != self.secondary or not self.checksum_right

    def facts(self) -> HiveFacts:
        """The part of it that travels with a look; logs and their numbers are added by whoever finds them."""
        return HiveFacts(
            size=self.file_size,
            bins_size=self.bins_size,
            version=(self.major, self.minor),
            primary=self.primary,
            secondary=self.secondary,
            checksum_right=self.checksum_right,
            highest=max(self.primary, self.secondary),
            logs=(),
            replay=None,
        )


def checksum(data: bytes | bytearray | memoryview) -> int:
    """XOR of the 127 numbers before the checksum's own place; 0 and the largest number are written as their neighbours."""
    value: int = reduce(xor, struct.unpack_from("<127I", data))
    return {0xFFFFFFFF: 0xFFFFFFFE, 0: 1}.get(value, value)


def read_base_block(data: bytes) -> BaseBlock:
    """The base block of a whole hive file; refuses what is no hive, is cut off, or is of a kind this program does not know."""
    if len(data) < 2 * BLOCK_SIZE or data[:4] != MAGIC:
        raise refused(ReasonKind.HIVE_DAMAGED, cause="no base block")
    block = unpack_base_block(data)
    _check(block)
    return block


def unpack_base_block(data: bytes) -> BaseBlock:
    """The fields of at least 512 bytes, whatever they hold."""
    _, primary, secondary, written, major, minor, kind, form, root, size, clustering, name = FIELDS.unpack_from(data)
    (stored,) = struct.unpack_from("<I", data, CHECKSUM_AT)
    return BaseBlock(
        primary=primary,
        secondary=secondary,
        written=written,
        major=major,
        minor=minor,
        file_type=kind,
        format=form,
        root=root,
        bins_size=size,
        clustering=clustering,
        name=name.decode("utf-16-le", "replace").split("\0")[0],
        flags=struct.unpack_from("<I", data, FLAGS_AT)[0],
        reorganised=struct.unpack_from("<Q", data, REORGANISED_AT)[0],
        checksum=stored,
        checksum_right=stored == checksum(data),
        file_size=len(data),
    )


def _check(block: BaseBlock) -> None:
    """Refuse what the format does not allow. Files may go on behind the bins (229 and 442 KB were seen), never end before them."""
    flaws = (
        (block.major != 1, "version"),
        (block.file_type != 0, "file type"),
        (block.format != 1, "format"),
        (block.bins_size == 0 or block.bins_size % BLOCK_SIZE != 0, "size of the bins"),
        (block.bins_size > block.file_size - BLOCK_SIZE, "cut off"),
        (block.root >= block.bins_size, "root cell"),
    )
    for wrong, what in flaws:
        if wrong:
            raise refused(ReasonKind.HIVE_DAMAGED, cause=what)


def next_sequence(block: BaseBlock) -> int:
    """The lowest number that is past both of the base block's own."""
    return (1 + max(block.primary, block.secondary)) % NUMBERS


def stamp(data: bytearray, sequence: int) -> None:
    """Mark the hive as written completely: both numbers are `sequence`, the checksum is right."""
    struct.pack_into("<II", data, 4, sequence % NUMBERS, sequence % NUMBERS)
    struct.pack_into("<I", data, CHECKSUM_AT, checksum(data))


def outdate_old_log(data: bytearray) -> None:
    """Move the time of the last write, and its copy in the first bin, on by the smallest step.

    A log of the old format belongs to the hive that has its time, so it fits this one no more. Windows sets both anew, too.
    """
    for at in (WRITTEN_AT, BLOCK_SIZE + FIRST_BIN_TIME_AT):
        (written,) = struct.unpack_from("<Q", data, at)
        if written:
            struct.pack_into("<Q", data, at, (written + 1) % (1 << 64))
