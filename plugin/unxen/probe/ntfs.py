# SPDX-License-Identifier: Apache-2.0
"""One NTFS volume, as the rest of the probe sees it: a library or our own walk finds a file, our decoder says where it lies.

Reads through the disk it is given. Raises one of VOLUME_ERRORS where the volume is damaged. A file that both name must be the same
for both: the sequence number of the directory entry has to be that of the record.
"""

from functools import cached_property

from unxen.model.volume_facts import FileRecord
from unxen.probe.boot_sector import read_boot_sector
from unxen.probe.device import Readable, Slice
from unxen.probe.directory_index import Directory
from unxen.probe.files import Entry, Files, parts_of
from unxen.probe.files_index import IndexFiles
from unxen.probe.malformed import LIBRARY_ERRORS, Malformed
from unxen.probe.mft import Mft
from unxen.probe.mft_record import Type

# The only size of clusters with which libfsntfs walks every directory. Above it, it multiplies the numbers of index blocks wrongly
# and says so; below it, it misses names without a word: 672 of 800 with clusters of 512 bytes, which a volume converted from FAT
# has (measured with 20200921).
FSNTFS_CLUSTER = 4096
ROOT = 5


class NtfsVolume:
    """A volume by its place on the disk; opening reads the boot sector and record 0."""

    def __init__(self, disk: Readable, start: int, length: int) -> None:
        self.source = Slice(disk, start, length)
        self.boot = read_boot_sector(self.source.read(0, 512))
        self.mft = Mft(self.source, self.boot)

    @cached_property
    def files(self) -> Files:
        """Who walks this volume's directories."""
        if self.boot.cluster_size == self.boot.index_size == FSNTFS_CLUSTER:
            from unxen.probe.files_fsntfs import FsntfsFiles

            return FsntfsFiles(self.source)
        return IndexFiles(self.source, self._find_by_index)

    def find(self, path: str) -> Entry | None:
        """The entry at a path, compared without case.

        The library reads a file's record to say that it exists; where that is damaged, or the library finds nothing, the
        directories themselves are asked: a damaged hive shall be reported as damaged, and no Windows shall be overlooked.
        """
        try:
            found = self.files.find(path)
        except LIBRARY_ERRORS:
            found = None
        return found or self._find_by_index(path)

    def _find_by_index(self, path: str) -> Entry | None:
        found: Entry | None = Entry("", ROOT, ROOT, directory=True)
        for part in parts_of(path):
            if found is None or not found.directory:
                return None
            found = self.directory(found.number).find(part)
        return found

    def directory(self, number: int) -> Directory:
        """The index of the directory with this record."""
        return Directory(self.mft, self.boot.cluster_size, number)

    def record(self, entry: Entry) -> FileRecord:
        """The facts of the entry's own record."""
        found = self.mft.file_record(entry.number)
        if found.sequence != entry.sequence:
            raise Malformed(f"record {entry.number}", f"sequence {found.sequence}, directory entry {entry.sequence}")
        return found

    def read(self, path: str, entry: Entry, offset: int, length: int) -> bytes:
        """Bytes of a file: by its clusters where they hold them plainly, else through the library.

        A file of which a record is lost is never read: libfsntfs gives zeros for what that record mapped, without a word.
        """
        file = self.mft.file(entry.number)
        stream = self.mft.stream(file, Type.DATA)
        if not stream.complete:
            raise Malformed(f"record {entry.number}", "a record that continues it is lost")
        if stream.plain and not file.elsewhere:
            return self.mft.read(stream, offset, length, cached=length < 1 << 20)
        return self.files.read(path, offset, max(0, min(length, stream.size - offset)))
