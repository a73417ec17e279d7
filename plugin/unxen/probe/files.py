# SPDX-License-Identifier: Apache-2.0
"""Two libraries find files in two kinds of file system; here stands what both are asked for.

Touches nothing. Paths have backslashes, begin at the volume's root and are compared without case.
"""

from typing import Protocol

from unxen.model.record import dataclass


@dataclass(frozen=True)
class Entry:
    """A directory entry, its name as spelled there; `number` and `sequence` are those of the file's $MFT record on NTFS."""

    name: str
    number: int
    sequence: int
    directory: bool


class Files(Protocol):
    """The files of one volume. Every method raises one of LIBRARY_ERRORS where the volume is damaged."""

    def find(self, path: str) -> Entry | None:
        """The entry at a path, None when nothing of that name is there."""

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Bytes of a file, decompressed; fewer at its end."""


def parts_of(path: str) -> list[str]:
    """The names along a path; a path that climbs or is absurdly long has none that exists, so it is a ValueError."""
    parts = [part for part in path.split("\\") if part]
    if len(path) > 1024 or any(part in (".", "..") for part in parts):
        raise ValueError("not a path from the volume's root")
    return parts
