# SPDX-License-Identifier: Apache-2.0
"""libfsntfs finds files on NTFS volumes with clusters of 4 KiB, which nearly all have; with others it misses names.

Reads through the volume it is given. Imported only where there is an NTFS volume: loading the library costs 6 ms.
"""

from typing import Any

import pyfsntfs

from unxen.probe.device import FileLike, Readable
from unxen.probe.files import Entry, parts_of


class FsntfsFiles:
    """The files of one volume through libfsntfs."""

    def __init__(self, volume: Readable) -> None:
        self._file = FileLike(volume)  # the library does not keep it alive
        self._volume = pyfsntfs.volume()
        self._volume.open_file_object(self._file)

    def find(self, path: str) -> Entry | None:
        """The entry at a path, None when nothing of that name is there."""
        found = self._at(path)
        return None if found is None else _entry(found)

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Bytes of a file, decompressed."""
        found = self._at(path)
        if found is None:
            raise FileNotFoundError(path)
        return bytes(found.read_buffer_at_offset(max(0, min(length, found.size - offset)), offset))

    def _at(self, path: str) -> Any:
        return self._volume.get_file_entry_by_path("\\" + "\\".join(parts_of(path)))


def _entry(found: Any) -> Entry:
    reference = found.file_reference
    name, directory = found.name or "", found.has_directory_entries_index()
    return Entry(name, reference & (1 << 48) - 1, reference >> 48, directory)
