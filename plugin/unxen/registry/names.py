# SPDX-License-Identifier: Apache-2.0
"""Key and value names are compared as Windows compares them: one UTF-16 unit at a time, upper-cased by a fixed table.

Touches nothing. Python's `upper` follows newer Unicode rules and can lengthen a text ("ß" becomes "SS"); Windows' table (the one
that NTFS stores as $UpCase, held against it by a test) maps one unit to one unit, and only where lower case leads back.
"""

from functools import lru_cache

# Letters that got an upper case only after Windows' table was made (Unicode 5), and that later tables may hold: Latin extensions,
# and what lies behind Cyrillic. Tables differ by release here, so nothing is concluded from an order or a hash of such names.
DOUBTFUL = (range(0x23F, 0x2B0), range(0x3F3, 0x3F4), range(0x500, 0x10000))


def fold(name: str) -> str:
    """The form under which two names are equal."""
    if name.isascii():
        return name.upper()
    return "".join(map(_upper, name))


def certain(name: str) -> bool:
    """Whether every Windows folds this name alike."""
    return name.isascii() or not any(ord(unit) in each for unit in name for each in DOUBTFUL)


@lru_cache(maxsize=4096)
def _upper(unit: str) -> str:
    """One unit upper-cased; what lies outside the first plane is two units in UTF-16 and never changes."""
    for raised in (unit.upper(), unit.title()):
        if len(raised) == 1 and raised.lower() == unit and max(unit, raised) <= "\uffff":
            return raised
    return unit


def split_path(path: str) -> list[str]:
    """The names of a path with backslashes; an empty path is the root."""
    return [name for name in path.split("\\") if name]
