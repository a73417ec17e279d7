# SPDX-License-Identifier: Apache-2.0
"""A hive is only as new as its logs: here they are found beside it, looked at cheaply, or read whole for a replay.

Reads one volume. Nothing is raised: a log that cannot be read is a fact, with size -1.
"""

from collections.abc import Sequence

from unxen.model.hive_facts import LogFacts, LogUse
from unxen.model.ids import Missing
from unxen.model.record import dataclass
from unxen.probe.file_seen import SeenFiles
from unxen.probe.files import Entry
from unxen.probe.installations import Found
from unxen.probe.malformed import VOLUME_ERRORS, Malformed
from unxen.probe.ntfs import NtfsVolume
from unxen.registry.log_numbers import highest_in_log

# Windows empties its logs into the hive long before they are as large as it; 4 MB is the largest that was met.
LARGEST_LOG = 64 << 20
# Until Windows 2003 there was one log. Its name is left over on later ones, where it is never read at a start.
OLDEST, PAIR = ".LOG", (".LOG1", ".LOG2")
WINDOW = 64 << 10


@dataclass(frozen=True)
class LogFile:
    """A log that is there. `size` is -1 when its record cannot be read; `unused` is one that this Windows does not look at."""

    path: str
    entry: Entry
    size: int
    unused: bool

    @property
    def trouble(self) -> LogUse | None:
        """Why it is not even to be opened."""
        if self.size < 0:
            return LogUse.UNREADABLE
        return LogUse.TOO_LARGE if self.size > LARGEST_LOG else None

    def facts(self, use: LogUse) -> LogFacts:
        """What is told of a log that is not replayed."""
        return LogFacts(self.entry.name, self.size, use)


def find_logs(volume: NtfsVolume, found: Found, seen: SeenFiles) -> tuple[LogFile, ...]:
    """The hive's logs, each whatever its case is; one that may be there behind a damaged directory counts as unreadable."""
    entries = {ending: seen.entry(f"{found.hive_path}{ending}") for ending in (OLDEST, *PAIR)}
    there = {ending: entry for ending, entry in entries.items() if entry is not Missing.ABSENT}
    paired = any(ending in there for ending in PAIR)
    return tuple(_log(volume, found, ending, entry, unused=paired and ending == OLDEST) for ending, entry in there.items())


def _log(volume: NtfsVolume, found: Found, ending: str, entry: Entry | Missing, *, unused: bool) -> LogFile:
    if isinstance(entry, Missing):
        unseen = Entry(f"{found.hive.name}{ending}", 0, 0, directory=False)
        return LogFile(f"{found.config}\\{unseen.name}", unseen, -1, unused=False)
    return LogFile(f"{found.config}\\{entry.name}", entry, _size(volume, entry), unused)


def _size(volume: NtfsVolume, entry: Entry) -> int:
    try:
        return volume.record(entry).size
    except VOLUME_ERRORS:
        return -1


def look_at_logs(volume: NtfsVolume, logs: Sequence[LogFile]) -> tuple[tuple[LogFacts, ...], int]:
    """What is beside a clean hive, and the largest number in it; only heads are read."""
    facts, highest = [], 0
    for log in logs:
        try:
            highest = max(highest, highest_in_log(_Windowed(volume, log).read))
            facts.append(log.facts(LogUse.NOT_NEEDED))
        except VOLUME_ERRORS:
            facts.append(log.facts(log.trouble or LogUse.UNREADABLE))
    return tuple(facts), highest


def read_log_file(volume: NtfsVolume, log: LogFile) -> bytes | LogUse:
    """All bytes of a log, or why they cannot be had."""
    if log.trouble is not None:
        return log.trouble
    try:
        data = volume.read(log.path, log.entry, 0, log.size)
    except VOLUME_ERRORS:
        return LogUse.UNREADABLE
    return data if len(data) == log.size else LogUse.UNREADABLE


class _Windowed:
    """A file read in windows, so that many small heads cost few requests. Malformed when it cannot be read."""

    def __init__(self, volume: NtfsVolume, log: LogFile) -> None:
        if log.trouble is not None:
            raise Malformed(log.path, log.trouble.value)
        self._volume, self._log = volume, log
        self._at, self._held = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes at an offset, fewer at the end of the file."""
        if not self._at <= offset <= offset + length <= self._at + len(self._held):
            wanted = max(0, min(WINDOW, self._log.size - offset))
            self._at, self._held = offset, self._volume.read(self._log.path, self._log.entry, offset, wanted)
        start = offset - self._at
        return self._held[start : start + length]
