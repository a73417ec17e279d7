# SPDX-License-Identifier: Apache-2.0
"""Facts about services say whether the driver's file is there; a directory is listed once for all who ask.

Asks directories only. What cannot be known is Missing.UNREADABLE; after too many different directories nothing more is looked at.
"""

from unxen.model.ids import GuestPath, Missing
from unxen.probe.directory_index import list_directory
from unxen.probe.files import Entry, parts_of
from unxen.probe.malformed import VOLUME_ERRORS
from unxen.probe.ntfs import NtfsVolume

# A hive of a real Windows names about ten directories; a forged one could name a new one in every service.
MOST_DIRECTORIES = 256


class SeenFiles:
    """Whether files exist on one volume."""

    def __init__(self, volume: NtfsVolume) -> None:
        self._volume = volume
        self._listed: dict[str, dict[str, Entry] | Missing] = {}

    def __call__(self, path: GuestPath) -> bool | Missing:
        """Whether a directory entry is there, compared without case."""
        try:
            *parents, name = parts_of(path)
        except ValueError:
            return Missing.UNREADABLE
        entries = self.entries("\\" + "\\".join(parents))
        return entries if isinstance(entries, Missing) else name.upper() in entries

    def entries(self, directory: str) -> dict[str, Entry] | Missing:
        """The entries of a directory by upper-cased name; one that does not exist has none."""
        key = directory.upper()
        if key not in self._listed:
            if len(self._listed) >= MOST_DIRECTORIES:
                return Missing.NOT_LOOKED_AT
            self._listed[key] = self._list(directory)
        return self._listed[key]

    def _list(self, directory: str) -> dict[str, Entry] | Missing:
        try:
            found = self._volume.find(directory)
            if found is None or not found.directory:
                return {}
            return list_directory(self._volume.mft, self._volume.boot.cluster_size, found.number)
        except VOLUME_ERRORS:
            return Missing.UNREADABLE
