# SPDX-License-Identifier: Apache-2.0
"""Facts about services say whether the driver's file is there; the directories on the way are found once for all who ask.

Asks directories only. What cannot be known is Missing.UNREADABLE; after too many different directories nothing more is looked at.
"""

from unxen.model.ids import GuestPath, Missing
from unxen.probe.directory_index import Directory
from unxen.probe.files import Entry, parts_of
from unxen.probe.malformed import VOLUME_ERRORS
from unxen.probe.ntfs import ROOT, NtfsVolume

# A hive of a real Windows names about ten directories; a forged one could name a new one in every service.
MOST_DIRECTORIES = 256


class SeenFiles:
    """Which files exist on one volume."""

    def __init__(self, volume: NtfsVolume) -> None:
        self._volume = volume
        self._opened: dict[str, Directory | Missing] = {}

    def __call__(self, path: GuestPath) -> bool | Missing:
        """Whether a directory entry is there, compared without case."""
        found = self.entry(path)
        if isinstance(found, Entry):
            return True
        return False if found is Missing.ABSENT else found

    def entry(self, path: str) -> Entry | Missing:
        """The entry at a path; ABSENT when it is not there."""
        try:
            *parents, name = parts_of(path)
        except ValueError:
            return Missing.UNREADABLE
        return self._find(self._directory(parents), name)

    def _find(self, directory: Directory | Missing, name: str) -> Entry | Missing:
        if isinstance(directory, Missing):
            return directory
        try:
            return directory.find(name) or Missing.ABSENT
        except VOLUME_ERRORS:
            return Missing.UNREADABLE

    def _directory(self, parts: list[str]) -> Directory | Missing:
        """The directory along these names, opened once; ABSENT where one of them is not there or is a file."""
        key = "\\".join(parts).upper()
        if key not in self._opened:
            if len(self._opened) >= MOST_DIRECTORIES:
                return Missing.NOT_LOOKED_AT
            self._opened[key] = self._open(parts)
        return self._opened[key]

    def _open(self, parts: list[str]) -> Directory | Missing:
        found = self._find(self._directory(parts[:-1]), parts[-1]) if parts else Entry("", ROOT, 0, directory=True)
        if isinstance(found, Missing):
            return found
        try:
            return self._volume.directory(found.number) if found.directory else Missing.ABSENT
        except VOLUME_ERRORS:
            return Missing.UNREADABLE
