# SPDX-License-Identifier: Apache-2.0
"""The Sleuth Kit finds files on FAT, and decompresses those of NTFS volumes whose clusters are not of 4 KiB.

Reads through the volume it is given. Imported only where there is such a volume: it loads 10 ms long and reads the whole $MFT.
Image and file system objects are kept alive as long as anything of them is used: dropping one early is a use-after-free that
ended 58 % of runs (measured with libtsk 4.11.1).
"""

from collections.abc import Iterator
from typing import Any

import pytsk3

from unxen.probe.device import Readable
from unxen.probe.files import Entry, parts_of

# A directory of a real Windows has some thousand entries; the bound is for a forged one.
MOST_ENTRIES = 200_000


class _Image(pytsk3.Img_Info):  # type: ignore[misc]  # no stubs
    """A volume as the library's own kind of image."""

    def __init__(self, volume: Readable) -> None:
        self._volume = volume
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def close(self) -> None:
        """Nothing is held open."""

    def read(self, offset: int, size: int) -> bytes:
        """Called by the library."""
        return self._volume.read(offset, size)

    def get_size(self) -> int:
        """Called by the library."""
        return self._volume.size


class TskFiles:
    """The files of one volume through the Sleuth Kit; directories are listed once and remembered."""

    def __init__(self, volume: Readable) -> None:
        self._image = _Image(volume)
        self._fs = pytsk3.FS_Info(self._image)
        self._listed: dict[int, dict[str, Entry]] = {}

    def find(self, path: str) -> Entry | None:
        """The entry at a path, None when nothing of that name is there."""
        found = Entry("", self._fs.info.root_inum, 0, directory=True)
        for part in parts_of(path):
            below = self._list(found.number).get(part.casefold()) if found.directory else None
            if below is None:
                return None
            found = below
        return found

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Bytes of a file, decompressed."""
        entry = self.find(path)
        if entry is None:
            raise FileNotFoundError(path)
        file = self._fs.open_meta(inode=entry.number)
        length = max(0, min(length, file.info.meta.size - offset))
        return bytes(file.read_random(offset, length)) if length else b""

    def _list(self, number: int) -> dict[str, Entry]:
        if number not in self._listed:
            entries = list(_entries(self._fs.open_dir(inode=number)))
            self._listed[number] = {each.name.casefold(): each for each in entries}
        return self._listed[number]


def _entries(directory: Any) -> Iterator[Entry]:
    for _, each in zip(range(MOST_ENTRIES), directory, strict=False):
        name = each.info.name
        text = _text(name.name)
        if text is None or text in (".", "..") or not int(name.flags) & int(pytsk3.TSK_FS_NAME_FLAG_ALLOC):
            continue
        yield Entry(text, name.meta_addr, name.meta_seq, _is_directory(each))


def _is_directory(each: Any) -> bool:
    """The type that stands beside a name is undefined for some entries of large NTFS directories; the file's own then tells."""
    meta = each.info.meta
    by_name = each.info.name.type == pytsk3.TSK_FS_NAME_TYPE_DIR
    return bool(by_name or (meta is not None and meta.type == pytsk3.TSK_FS_META_TYPE_DIR))


def _text(name: bytes) -> str | None:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None
