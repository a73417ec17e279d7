# SPDX-License-Identifier: Apache-2.0
"""Names in real directories: down the tree in any case, deleted names gone, and damage found instead of believed."""

import contextlib
from pathlib import Path

import pytest
from generators.disks import MIB, format_ntfs, mounted
from generators.volumes import open_volume, patch
from hypothesis import given, settings
from hypothesis import strategies as st
from unxen.model.ids import GuestPath, Missing
from unxen.probe.device import Device
from unxen.probe.directory_index import Directory, fold
from unxen.probe.file_seen import SeenFiles
from unxen.probe.malformed import VOLUME_ERRORS, Malformed
from unxen.probe.mft_record import Type
from unxen.probe.ntfs import NtfsVolume

ASCII = [f"{letter}_driver_of_some_length_{number:03}.sys" for letter in "aMz_" for number in range(200)]
OTHERS = [
    "Ärger.sys",
    "öl.SYS",
    "żółw.sys",
    "файл.sys",
    "драйвер",
    "日本.sys",
    "\u017f.sys",
    "\u0131.sys",
    "ß.sys",
    "ÿ.sys",
    "😀.sys",
]


@pytest.fixture(scope="module", params=[512, 4096, 65536])
def volume(request, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index") / "volume"
    format_ntfs(path, 24 * MIB, cluster_size=request.param)
    with mounted(path) as top:
        (top / "drivers").mkdir()
        (top / "empty").mkdir()
        for name in [*ASCII, *OTHERS, *(f"gone_{number:03}" for number in range(300))]:
            (top / "drivers" / name).touch()
        for number in range(300):
            (top / "drivers" / f"gone_{number:03}").unlink()
    return path


def drivers(opened: NtfsVolume) -> Directory:
    entry = opened.find("\\drivers")
    assert entry is not None
    return opened.directory(entry.number)


def test_every_name_is_found_in_any_case_and_with_its_record(volume: Path):
    opened = open_volume(volume)
    directory = drivers(opened)
    for name in ASCII[::7]:
        for asked in (name, name.upper(), name.lower(), name.swapcase()):
            found = directory.find(asked)
            assert found is not None
            assert (found, found.name) == (opened.find(f"\\drivers\\{name}"), name)
    for name in OTHERS:
        assert directory.find(name) is not None, name


def test_names_that_are_not_there_are_not_found(volume: Path):
    directory = drivers(open_volume(volume))
    for name in ["", "a", "gone_000", "gone_299", "zzzz", "S.sys", "I.sys", "a_driver_of_some_length_200.sys", "\uffff", "~"]:
        assert directory.find(name) is None, name


def test_all_names_are_listed_once(volume: Path):
    names = [each.name for each in drivers(open_volume(volume)).entries(10_000)]
    assert sorted(names) == sorted([*ASCII, *OTHERS])
    assert len(drivers(open_volume(volume)).entries(10)) == 10


def test_files_are_seen_by_path(volume: Path):
    seen = SeenFiles(open_volume(volume))
    expected = {
        f"\\drivers\\{ASCII[0]}": True,
        f"DRIVERS\\{ASCII[0].upper()}": True,
        "\\drivers\\none.sys": False,
        "\\none\\none.sys": False,
        f"\\drivers\\{ASCII[0]}\\below": False,
        "\\empty\\x": False,
        "\\drivers\\..\\drivers\\x": Missing.UNREADABLE,
        "\\" + "x" * 2000: Missing.UNREADABLE,
        "": Missing.UNREADABLE,
    }
    assert {path: seen(GuestPath(path)) for path in expected} == expected


def test_too_many_directories_are_not_looked_at(volume: Path):
    seen = SeenFiles(open_volume(volume))
    answers = [seen(GuestPath(f"\\drivers\\{number}\\x")) for number in range(300)]
    assert answers[0] is False
    assert answers[-1] is Missing.NOT_LOOKED_AT


def test_torn_index_block_is_unreadable_and_not_an_absent_file(volume: Path, tmp_path: Path):
    data = volume.read_bytes()
    at = data.index(b"INDX")
    copy = tmp_path / "volume"
    copy.write_bytes(data)
    while at >= 0:
        patch(copy, at + 510, b"\x77\x77")
        at = data.find(b"INDX", at + 1)
    with pytest.raises(Malformed):
        drivers(open_volume(copy)).find("zzz")
    assert SeenFiles(open_volume(copy))(GuestPath("\\drivers\\zzz")) is Missing.UNREADABLE


def test_index_that_leads_back_to_itself_ends(volume_bytes: tuple[bytes, int, int]):
    """Every entry of the first block is made a node that points at the same block again."""
    data, block, number = volume_bytes
    bent = bytearray(data)
    at = block + 24 + int.from_bytes(data[block + 24 : block + 28], "little")
    while not bent[at + 12] & 2:
        bent[at + 12] |= 1
        length = int.from_bytes(bent[at + 8 : at + 10], "little")
        bent[at + length - 8 : at + length] = bytes(8)
        at += length
    directory = opened_bytes(bent).directory(number)
    with pytest.raises(Malformed):
        directory.find("a_driver_of_some_length_000")
    with pytest.raises(Malformed):
        directory.entries(100_000)


def opened_bytes(data: bytearray) -> NtfsVolume:
    device = Device(lambda offset, length: bytes(data[offset : offset + length]), len(data))
    return NtfsVolume(device, 0, device.size)


@settings(max_examples=60, deadline=None)
@given(damage=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_index_is_malformed_or_walked_but_nothing_else(volume_bytes: tuple[bytes, int, int], damage):
    data, block, number = volume_bytes
    bent = bytearray(data)
    for at, value in damage:
        bent[block + at] = value
    with contextlib.suppress(*VOLUME_ERRORS):
        directory = opened_bytes(bent).directory(number)
        directory.find("m_driver_of_some_length_100.sys")
        directory.entries(100_000)


@pytest.fixture(scope="module")
def volume_bytes(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int, int]:
    path = tmp_path_factory.mktemp("bytes") / "volume"
    format_ntfs(path, 8 * MIB)
    with mounted(path) as top:
        (top / "drivers").mkdir()
        for name in ASCII[:300]:
            (top / "drivers" / name).touch()
    opened = open_volume(path)
    entry = opened.find("\\drivers")
    assert entry is not None
    data = path.read_bytes()
    return data, opened.source.start + first_block(opened, entry.number), entry.number


def first_block(opened: NtfsVolume, number: int) -> int:
    """Where the first index block of a directory lies."""
    blocks = opened.mft.stream(opened.mft.file(number), Type.INDEX_ALLOCATION, "$I30")
    assert blocks.extents[0].cluster is not None
    return blocks.extents[0].cluster * opened.boot.cluster_size


@given(st.text(max_size=20))
def test_folding_never_makes_a_letter_ascii(name: str):
    folded = fold(name)
    plain = name.encode("utf-16-le", "surrogatepass")
    units = [int.from_bytes(plain[at : at + 2], "little") for at in range(0, len(plain), 2)]
    assert [unit < 0x80 for unit in units] == [unit < 0x80 for unit in folded]
