# SPDX-License-Identifier: Apache-2.0
"""What the audit of a hive can find, and which of it forbids an edit.

Touches nothing.
"""

from collections.abc import Sequence
from enum import Enum

from unxen.errors import refused
from unxen.model.change import RegistryChange
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass

MAX_FLAWS = 1000
"""A hive that is damaged all over is not described to the end."""


class FlawKind(Enum):
    """One kind of deviation from the format."""

    BIN = "bin"
    CELL_SIZE = "cell-size"
    REFERENCE = "reference"
    SHARED = "shared"
    LEAKED = "leaked"
    SIGNATURE = "signature"
    CELL_TOO_SMALL = "cell-too-small"
    PARENT = "parent"
    NAME = "name"
    SUBKEY_COUNT = "subkey-count"
    SUBKEY_LIST = "subkey-list"
    ORDER = "order"
    HASH = "hash"
    DATA_SIZE = "data-size"
    BIG_DATA = "big-data"
    EMPTY_LIST = "empty-list"
    SUBKEY_MAXIMUM = "subkey-maximum"
    VALUE_MAXIMUM = "value-maximum"
    SECURITY_RING = "security-ring"
    SECURITY_COUNT = "security-count"
    TOO_MANY = "too-many"


@dataclass(frozen=True)
class Flaw:
    """One deviation: the cell that it was seen at (counted from the first bin), and what was found there."""

    kind: FlawKind
    cell: int
    detail: str


def leak(cell: int, size: int) -> Flaw:
    """An allocated cell of `size` bytes that nothing refers to."""
    return Flaw(FlawKind.LEAKED, cell, f"{size} bytes")


# Kinds that do not forbid an edit, each with its reason. Everything else does.
TOLERATED: dict[FlawKind, str] = {
    FlawKind.LEAKED: "a cell that nothing refers to is never met; a hive that Windows 10 itself recovered holds eight such keys",
    FlawKind.SUBKEY_MAXIMUM: "sizes a caller's buffer and nothing else; the hives of XP and 2003 come so (1 to 24 keys each)",
    FlawKind.EMPTY_LIST: "a list under a count of 0 is never read; hivex leaves one behind when it deletes an only subkey",
}


def forbidding(flaws: Sequence[Flaw]) -> tuple[Flaw, ...]:
    """Those flaws on which no edit may be built."""
    return tuple(each for each in flaws if each.kind not in TOLERATED)


def refuse_forbidding(flaws: Sequence[Flaw], subject: str = "") -> None:
    """Refused(HIVE_DAMAGED) for the first flaw on which no edit may be built."""
    for each in forbidding(flaws)[:1]:
        raise refused(ReasonKind.HIVE_DAMAGED, subject, cause=each.kind.value, cell=hex(each.cell), found=each.detail)


@dataclass(frozen=True)
class Proof:
    """What an edit did: every difference between two registries, and every flaw of the second."""

    changes: tuple[RegistryChange, ...]
    flaws: tuple[Flaw, ...]
