# SPDX-License-Identifier: Apache-2.0
"""Volumes that Windows and the Linux kernel made: every name and every file comes out as two other readers see it."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from generators.volumes import open_volume
from unxen.model.volume_facts import Content, JournalState
from unxen.probe.device import Slice, file_device
from unxen.probe.files import Entry, Files
from unxen.probe.files_fsntfs import FsntfsFiles
from unxen.probe.files_tsk import TskFiles
from unxen.probe.ntfs import ROOT, NtfsVolume
from unxen.probe.partitions import content_of
from unxen.probe.volume_state import read_dirty, read_journal

VOLUMES = ("ntfs-ntfs3/ntfs3.raw", "ntfs-ntfs3-attrlist/ntfs3_attrlist.raw", "ntfs-compressed/test.ntfs.dd")


def readers(path: Path) -> tuple[NtfsVolume, Files, Files]:
    device = file_device(path)
    whole = Slice(device, 0, device.size)
    return open_volume(path), FsntfsFiles(whole), TskFiles(whole)


def walk(volume: NtfsVolume, number: int = ROOT, path: str = "") -> Iterator[tuple[str, Entry]]:
    """Every entry of the volume with its path, but those of NTFS itself."""
    for entry in volume.directory(number).entries(10_000):
        if entry.name == "." or (number == ROOT and entry.name.startswith("$")):
            continue
        yield f"{path}\\{entry.name}", entry
        if entry.directory:
            yield from walk(volume, entry.number, f"{path}\\{entry.name}")


@pytest.mark.corpus
@pytest.mark.parametrize("name", VOLUMES)
def test_every_name_leads_all_readers_to_the_same_record(corpus, name: str):
    volume, fsntfs, tsk = readers(corpus.path(name))
    seen = dict(walk(volume))
    assert seen
    for path, entry in seen.items():
        for reader in (fsntfs, tsk):
            found = reader.find(path)
            assert found is not None, path
            assert (found.number, found.sequence, found.directory) == (entry.number, entry.sequence, entry.directory), path
        shouted = path.swapcase()
        directory, _, last = shouted.rpartition("\\")
        above = volume.directory(fsntfs.find(directory).number if directory else ROOT)
        assert above.find(last) == entry
        assert above.find(last + "x") is None


@pytest.mark.corpus
@pytest.mark.parametrize("name", VOLUMES)
def test_every_file_reads_as_other_readers_read_it(corpus, name: str):
    volume, fsntfs, tsk = readers(corpus.path(name))
    files = [(path, entry) for path, entry in walk(volume) if not entry.directory]
    assert files
    for path, entry in files:
        size = volume.record(entry).size
        data = volume.read(path, entry, 0, size)
        assert len(data) == size
        assert data == fsntfs.read(path, 0, size) == tsk.read(path, 0, size), path


@pytest.mark.corpus
def test_compressed_file_of_windows_is_recognised(corpus):
    volume, *_ = readers(corpus.path("ntfs-compressed/test.ntfs.dd"))
    records = {path: volume.record(entry) for path, entry in walk(volume) if not entry.directory}
    ones = next(record for path, record in records.items() if path.endswith("ones.bin"))
    assert (ones.compressed, ones.complete, ones.runs) == (True, False, ())
    assert any(record.resident for record in records.values())
    assert {read_journal(volume), read_dirty(volume)} == {JournalState.UNCLEAN, False}


@pytest.mark.corpus
def test_attribute_list_of_the_kernel_driver_is_followed(corpus):
    volume, *_ = readers(corpus.path("ntfs-ntfs3-attrlist/ntfs3_attrlist.raw"))
    record = volume.mft.file_record(27)
    assert record.attribute_list
    assert record.complete


@pytest.mark.corpus
def test_bitlocker_volumes_of_windows_are_recognised(corpus):
    seen = []
    with tarfile.open(corpus.path("bitlocker-cryptsetup/bitlk-images.tar.xz"), "r|xz") as archive:
        for member in archive:
            if member.name.endswith(".img"):
                file = archive.extractfile(member)
                assert file is not None
                assert content_of(file.read(512)) == Content.BITLOCKER, member.name
                seen.append(member.name)
    assert len(seen) == 21
    assert any("togo" in name for name in seen)
