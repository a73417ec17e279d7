# SPDX-License-Identifier: Apache-2.0
"""Real NTFS volumes of every layout that a hive can have: its bytes and its record come out as they were written."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from generators.disks import MIB, format_ntfs, mounted
from generators.volumes import change_attribute, open_volume, patch, pattern_hive, record_place, write_backwards
from unxen.model.hive_facts import LogUse
from unxen.model.ids import Missing
from unxen.model.reason import ReasonKind
from unxen.probe.file_seen import SeenFiles
from unxen.probe.files import Entry
from unxen.probe.hive_file import HiveFile, read_hive_file
from unxen.probe.installations import find_installations
from unxen.probe.malformed import VOLUME_ERRORS, Malformed
from unxen.probe.ntfs import NtfsVolume

HIVE = pattern_hive(2 * MIB)
PATH = "\\Windows\\System32\\config\\SYSTEM"
DATA = 0x80


def make(
    volume: Path,
    hive: bytes | None = HIVE,
    *,
    cluster_size: int = 4096,
    size: int = 24 * MIB,
    before: Callable[[Path], None] = lambda top: None,
    options: tuple[str, ...] = (),
) -> Path:
    """A volume with the least Windows; `before` runs when the directories are there and the hive is not."""
    format_ntfs(volume, size, cluster_size=cluster_size)
    with mounted(volume, *options) as top:
        config = top / "Windows" / "System32" / "config"
        config.mkdir(parents=True)
        (config.parent / "ntoskrnl.exe").write_bytes(b"MZ")
        before(top)
        if hive is not None:
            (config / "SYSTEM").write_bytes(hive)
    return volume


def look(volume: Path) -> HiveFile:
    opened = open_volume(volume)
    (found,) = find_installations(opened)
    return read_hive_file(opened, found, SeenFiles(opened), "here")


def whats(hive: HiveFile) -> list[str]:
    return [each.detail("what") for each in hive.troubles if each.kind == ReasonKind.HIVE_FILE_NOT_EDITABLE]


def by_runs(volume: Path, hive: HiveFile) -> bytes:
    """The file read from the raw volume by the reported runs alone."""
    size = open_volume(volume).boot.cluster_size
    data = volume.read_bytes()
    assert hive.record is not None
    pieces = (data[run.cluster * size : (run.cluster + run.count) * size] for run in hive.record.runs)
    return b"".join(pieces)[: hive.record.size]


def in_pieces(top: Path, piece: int) -> None:
    """Writes the hive so that it lies in many pieces."""
    write_backwards(top / "Windows/System32/config/SYSTEM", HIVE, piece)


def by_library(volume: Path) -> bytes:
    return open_volume(volume).files.read(PATH, 0, 1 << 30)


@pytest.mark.parametrize("cluster_size", [512, 1024, 2048, 4096, 8192, 16384, 65536])
def test_hive_on_any_cluster_size(tmp_path: Path, cluster_size: int):
    def crowd(top: Path) -> None:
        """Enough names that the directory is a tree of several blocks, which one library cannot walk above 4 KiB."""
        for index in range(300):
            (top / "Windows" / "System32" / f"a_library_with_a_long_name_{index:04}.dll").touch()

    volume = make(tmp_path / "volume", cluster_size=cluster_size, before=crowd)
    hive = look(volume)
    assert hive.troubles == ()
    assert hive.data == by_runs(volume, hive) == by_library(volume) == HIVE
    assert hive.record is not None
    assert (hive.record.size, hive.record.initialised, hive.record.complete) == (len(HIVE), len(HIVE), True)
    assert subprocess.run(["ntfscat", "-q", "-f", volume, "Windows/System32/config/SYSTEM"], capture_output=True).stdout == HIVE


def test_record_and_runs_are_those_that_ntfscluster_and_ntfsinfo_report(tmp_path: Path):
    volume = make(tmp_path / "volume", None, before=lambda top: in_pieces(top, 65536))
    record = look(volume).record
    assert record is not None
    dumped = subprocess.run(["ntfscluster", "-F", "Windows/System32/config/SYSTEM", volume], capture_output=True, text=True).stdout
    rows = [line.split() for line in dumped.split("0x80", 1)[1].splitlines()[2:] if line.strip()]
    assert [(run.cluster, run.count) for run in record.runs] == [(int(cluster), int(count)) for _, cluster, count in rows]
    command = ["ntfsinfo", "-vF", "/Windows/System32/config/SYSTEM", volume]
    described = subprocess.run(command, capture_output=True, text=True).stdout
    assert f"$DATA (0x80) from mft record {record.number} " in described
    raw = volume.read_bytes()[record.record_offset : record.record_offset + 1024]
    assert raw[:4] == b"FILE"
    assert "SYSTEM".encode("utf-16-le") in raw


def test_fragmented_hive_comes_in_order(tmp_path: Path):
    volume = make(tmp_path / "volume", None, before=lambda top: in_pieces(top, 65536))
    hive = look(volume)
    assert hive.record is not None
    assert len(hive.record.runs) > 20
    assert hive.data == by_runs(volume, hive) == by_library(volume) == HIVE
    assert hive.troubles == ()


def test_hive_whose_record_goes_on_elsewhere_is_followed_completely(tmp_path: Path):
    volume = make(tmp_path / "volume", None, before=lambda top: in_pieces(top, 4096))
    hive = look(volume)
    assert hive.record is not None
    assert hive.record.attribute_list
    assert hive.record.complete
    assert len(hive.record.runs) > 300
    assert hive.data == by_runs(volume, hive) == by_library(volume) == HIVE
    assert hive.troubles == ()


def test_hive_whose_continuation_is_lost_is_damaged_and_never_half_read(tmp_path: Path):
    volume = make(tmp_path / "volume", None, before=lambda top: in_pieces(top, 4096))
    opened = open_volume(volume)
    entry = opened.find(PATH)
    assert entry is not None
    others = [number for number in range(24, 2500) if base_of(opened, number) == entry.number]
    patch(volume, record_place(volume, others[-1]), b"BAAD")
    hive = look(volume)
    assert hive.data is None
    assert hive.troubles[0].kind == ReasonKind.HIVE_DAMAGED


def base_of(volume: NtfsVolume, number: int) -> int:
    try:
        return volume.mft.record(number).base
    except VOLUME_ERRORS:
        return 0


def test_continuation_of_an_earlier_file_is_not_believed(tmp_path: Path):
    volume = make(tmp_path / "volume", None, before=lambda top: in_pieces(top, 4096))
    opened = open_volume(volume)
    entry = opened.find(PATH)
    assert entry is not None
    others = [number for number in range(24, 2500) if base_of(opened, number) == entry.number]
    patch(volume, record_place(volume, others[-1]) + 32 + 6, b"\x63\x00")
    assert look(volume).data is None


def test_record_of_another_file_than_the_directory_means_is_not_believed(tmp_path: Path):
    volume = make(tmp_path / "volume")
    patch(volume, record_place(volume, PATH) + 16, b"\x63\x00")
    hive = look(volume)
    assert hive.data is None
    assert [each.kind for each in hive.troubles] == [ReasonKind.HIVE_DAMAGED]


def test_runs_that_leave_the_volume_are_no_facts(tmp_path: Path):
    volume = make(tmp_path / "volume")
    number = open_volume(volume).find(PATH).number
    change_attribute(volume, PATH, DATA, 0x40, b"\x32\x00\x02\xff\xff\x00\x00")
    with pytest.raises(Malformed, match="cluster 66046 of"):
        open_volume(volume).mft.file_record(number)


def test_compressed_hive_is_read_and_not_editable(tmp_path: Path):
    zeros = HIVE[: 1 << 20] + bytes(1 << 20)

    def compress(top: Path) -> None:
        config = top / "Windows" / "System32" / "config"
        attributes = int.from_bytes(os.getxattr(config, "system.ntfs_attrib_be")) | 0x800
        os.setxattr(config, "system.ntfs_attrib_be", attributes.to_bytes(4))

    volume = make(tmp_path / "volume", zeros, before=compress, options=("compression",))
    hive = look(volume)
    assert hive.data == zeros
    assert "compressed" in whats(hive)
    assert hive.record is not None
    assert not hive.record.complete


def test_sparse_hive_is_read_and_not_editable(tmp_path: Path):
    def write(top: Path) -> None:
        with (top / "Windows/System32/config/SYSTEM").open("wb") as file:
            file.write(HIVE[: 1 << 19])
            file.seek(len(HIVE) - 4096)
            file.write(HIVE[-4096:])

    volume = make(tmp_path / "volume", None, before=write)
    hive = look(volume)
    assert hive.data == HIVE[: 1 << 19] + bytes(len(HIVE) - (1 << 19) - 4096) + HIVE[-4096:]
    assert whats(hive) == ["sparse"]
    assert hive.record is not None
    assert (hive.record.runs, hive.record.complete) == ((), False)


def test_encrypted_hive_is_not_editable(tmp_path: Path):
    volume = make(tmp_path / "volume")
    change_attribute(volume, PATH, DATA, 12, b"\x00\x40")
    assert "encrypted" in whats(look(volume))


def test_hive_that_lies_in_its_record_is_no_hive(tmp_path: Path):
    hive = look(make(tmp_path / "volume", b"regf" + bytes(200)))
    assert {each.kind for each in hive.troubles} == {ReasonKind.HIVE_DAMAGED, ReasonKind.HIVE_FILE_NOT_EDITABLE}
    assert whats(hive) == ["resident"]
    assert hive.data is None


def test_hive_behind_a_reparse_point_is_not_editable(tmp_path: Path):
    def overlay(top: Path) -> None:
        path = top / "Windows/System32/config/SYSTEM"
        path.write_bytes(HIVE)
        os.setxattr(path, "system.ntfs_reparse_data", (0x80000017).to_bytes(4, "little") + b"\x10\x00\x00\x00" + bytes(16))

    volume = make(tmp_path / "volume", None, before=overlay)
    assert "wof" in whats(look(volume))


def test_hive_with_a_wof_stream_is_not_editable(tmp_path: Path):
    def stream(top: Path) -> None:
        path = top / "Windows/System32/config/SYSTEM"
        path.write_bytes(HIVE)
        os.setxattr(path, "user.WofCompressedData", b"x" * 100)

    volume = make(tmp_path / "volume", None, before=stream, options=("streams_interface=xattr",))
    assert whats(look(volume)) == ["wof"]


def test_bytes_that_were_never_written_read_as_zeros(tmp_path: Path):
    volume = make(tmp_path / "volume")
    change_attribute(volume, PATH, DATA, 56, (MIB).to_bytes(8, "little"))
    hive = look(volume)
    assert hive.record is not None
    assert hive.record.initialised == MIB
    assert hive.data == by_library(volume) == HIVE[:MIB] + bytes(MIB)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (0x18, (99).to_bytes(8, "little")),
        (0x20, (1 << 62).to_bytes(8, "little")),
        (0x30, (1 << 62).to_bytes(8, "little")),
        (0x38, (1 << 40).to_bytes(8, "little")),
        (0x40, b"\x31\xff\xff\xff\x7f"),
    ],
    ids=["last cluster", "runs offset", "size", "initialised", "outside the volume"],
)
def test_record_that_lies_is_a_damaged_hive_and_not_wrong_bytes(tmp_path: Path, at: int, data: bytes):
    volume = make(tmp_path / "volume")
    change_attribute(volume, PATH, DATA, at, data)
    hive = look(volume)
    assert hive.data is None
    assert hive.troubles[0].kind == ReasonKind.HIVE_DAMAGED


def test_torn_record_is_a_damaged_hive(tmp_path: Path):
    volume = make(tmp_path / "volume")
    patch(volume, record_place(volume, PATH) + 1022, b"\x77\x77")
    opened = open_volume(volume)
    try:
        installations = find_installations(opened)
    except VOLUME_ERRORS:
        return
    hive = read_hive_file(opened, installations[0], SeenFiles(opened), "here")
    assert [each.kind for each in hive.troubles] == [ReasonKind.HIVE_DAMAGED]


@pytest.mark.parametrize(
    ("hive", "kinds"),
    [
        (pattern_hive(MIB, primary=8), [ReasonKind.HIVE_DIRTY]),
        (HIVE[:508] + b"abcd" + HIVE[512:], [ReasonKind.HIVE_DAMAGED]),
        (b"x" * MIB, [ReasonKind.HIVE_DAMAGED]),
        (HIVE[:MIB], [ReasonKind.HIVE_DAMAGED]),
        (b"", [ReasonKind.HIVE_DAMAGED, ReasonKind.HIVE_FILE_NOT_EDITABLE]),
    ],
    ids=["dirty", "check sum", "no hive", "cut off", "empty"],
)
def test_hive_counts_only_when_its_base_block_is_right(tmp_path: Path, hive: bytes, kinds: list[ReasonKind]):
    assert [each.kind for each in look(make(tmp_path / "volume", hive, size=12 * MIB)).troubles] == kinds


def test_logs_are_facts_with_their_own_spelling(tmp_path: Path):
    def logs(top: Path) -> None:
        config = top / "Windows" / "System32" / "config"
        (config / "system.LOG1").write_bytes(bytes(5000))
        (config / "SYSTEM.LOG2").write_bytes(b"")

    hive = look(make(tmp_path / "volume", before=logs))
    assert hive.facts is not None
    assert [(each.name, each.size) for each in hive.facts.logs] == [("system.LOG1", 5000), ("SYSTEM.LOG2", 0)]


def test_log_behind_a_damaged_directory_is_not_taken_for_absent(tmp_path: Path):
    class Blind(SeenFiles):
        def entry(self, path: str) -> Entry | Missing:
            return Missing.UNREADABLE if path.endswith("LOG2") else super().entry(path)

    opened = open_volume(make(tmp_path / "volume"))
    (found,) = find_installations(opened)
    hive = read_hive_file(opened, found, Blind(opened), "here")
    assert hive.facts is not None
    assert [(each.name, each.use) for each in hive.facts.logs] == [("SYSTEM.LOG2", LogUse.UNREADABLE)]
    assert [each.kind for each in hive.troubles] == [ReasonKind.HIVE_DAMAGED]
