# SPDX-License-Identifier: Apache-2.0
"""Where clusters are not of 4 KiB our own walk down the directories finds files: the library that could would read the whole $MFT.

Reads what its walk reads. The Sleuth Kit is loaded only for content that clusters do not hold as it is (LZNT1).
"""

from collections.abc import Callable

from unxen.probe.device import Readable
from unxen.probe.files import Entry


class IndexFiles:
    """The files of one volume by a walk that is given."""

    def __init__(self, volume: Readable, walk: Callable[[str], Entry | None]) -> None:
        self._volume = volume
        self._walk = walk

    def find(self, path: str) -> Entry | None:
        """The entry at a path, None when nothing of that name is there."""
        return self._walk(path)

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Bytes of a file, decompressed."""
        from unxen.probe.files_tsk import TskFiles  # lazily: it reads the whole $MFT, and compressed files are rare

        return TskFiles(self._volume).read(path, offset, length)
