# SPDX-License-Identifier: Apache-2.0
"""Partition tables as disks have them, and as nobody should: every one is read to an end, and numbers are those of Linux."""

import json
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from generators.tables import BASIC, ESP, MIB, gpt_disk, put, row, table
from unxen.model.ids import DiskNumber
from unxen.model.volume_facts import Content, Scheme
from unxen.probe.device import Device, file_device
from unxen.probe.partitions import BITLOCKER_TO_GO, content_of, read_partitions


def disk_of(data: bytes | bytearray) -> Device:
    return Device(lambda offset, length: bytes(data[offset : offset + length]), len(data))


def read(data: bytes | bytearray):
    return read_partitions(disk_of(data), DiskNumber(1))


def boot_sector(name: bytes = b"NTFS    ") -> bytes:
    return (b"\xeb\x52\x90" + name).ljust(510, b"\0") + b"\x55\xaa"


def test_primary_partitions_keep_their_slots_and_the_active_flag():
    data = bytearray(8 * MIB)
    put(data, 0, table(row(7, 2048, 2048, 0x80), row(0, 0, 0), row(0x83, 4096, 2048)))
    put(data, MIB, boot_sector())
    scheme, found = read(data)
    assert scheme == Scheme.MBR
    assert [(each.number, each.type_id, each.start, each.length, each.active, each.content) for each in found] == [
        (1, "07", MIB, MIB, True, Content.NTFS),
        (3, "83", 2 * MIB, MIB, False, Content.OTHER),
    ]


def test_logical_partitions_are_numbered_from_five_as_sfdisk_numbers_them(tmp_path: Path):
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    script = "label: dos\nsize=4M,type=7\nsize=40M,type=f\nsize=4M,type=7\nsize=5M,type=83\nsize=6M,type=7\nsize=7M,type=7\n"
    subprocess.run(["sfdisk", "-q", path], input=script, text=True, check=True)
    said = json.loads(subprocess.run(["sfdisk", "-J", path], capture_output=True, text=True, check=True).stdout)
    listed = [(each["node"].removeprefix(str(path)), each) for each in said["partitiontable"]["partitions"]]
    expected = [(int(number), each["start"] * 512, each["size"] * 512, int(each["type"], 16)) for number, each in listed]
    _, found = read_partitions(file_device(path), DiskNumber(1))
    assert sorted((each.number, each.start, each.length, int(each.type_id, 16)) for each in found) == sorted(expected)
    assert max(each.number for each in found) == 6


def test_chain_of_logical_partitions_that_loops_is_cut():
    data = bytearray(8 * MIB)
    put(data, 0, table(row(0x0F, 2048, 8192)))
    put(data, MIB, table(row(7, 64, 64), row(5, 2048, 2048)))
    put(data, 2 * MIB, table(row(7, 64, 64), row(5, 0, 2048)))
    assert [each.number for each in read(data)[1]] == [1, 5, 6]


def test_endless_chain_of_logical_partitions_is_bounded():
    data = bytearray(8 * MIB)
    put(data, 0, table(row(5, 2048, 100000)))
    for index in range(4000):
        put(data, MIB + 512 * index, table(row(7, 1, 1), row(5, index + 1, 1)))
    assert len(read(data)[1]) <= 253


@pytest.mark.parametrize("sector", [512, 4096])
def test_gpt_with_either_sector_size(sector: int):
    first = MIB // sector
    data = gpt_disk([(0, ESP, first // 2, first - 1), (2, BASIC, first, first + 9)], sector)
    put(data, MIB, boot_sector())
    scheme, found = read(data)
    assert scheme == Scheme.GPT
    assert [(each.number, each.type_id, each.content) for each in found] == [(1, ESP, Content.OTHER), (3, BASIC, Content.NTFS)]
    assert (found[1].start, found[1].length) == (MIB, 10 * sector)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("damage", [0, 20, 4, "rows"])
def test_damaged_primary_gpt_is_replaced_by_its_backup(sector: int, damage):
    data = gpt_disk([(0, BASIC, 100, 200)], sector)
    data[2 * sector + 40 if damage == "rows" else sector + damage] ^= 0xFF
    scheme, found = read(data)
    assert (scheme, [each.number for each in found]) == (Scheme.GPT, [1])


def test_gpt_without_a_whole_copy_is_unreadable():
    data = gpt_disk([(0, BASIC, 100, 200)])
    data[512 + 20] ^= 1
    data[len(data) - 512 + 20] ^= 1
    assert read(data) == (Scheme.UNREADABLE, ())


def test_gpt_that_asks_for_gigabytes_of_rows_is_not_obeyed():
    data = gpt_disk([(0, BASIC, 100, 200)])
    for at in (512, len(data) - 512):
        put(data, at + 80, struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFF8))
        put(data, at + 16, bytes(4))
        put(data, at + 16, struct.pack("<I", zlib.crc32(data[at : at + 92])))
    assert read(data) == (Scheme.UNREADABLE, ())


def test_hybrid_table_is_read_as_gpt():
    data = gpt_disk([(0, BASIC, 100, 200), (1, BASIC, 300, 400)])
    put(data, 0, table(row(0xEE, 1, 99), row(7, 100, 101, 0x80)))
    assert read(data)[0] == Scheme.GPT
    assert len(read(data)[1]) == 2


def test_stale_gpt_behind_an_mbr_is_ignored():
    data = gpt_disk([(0, BASIC, 100, 200)])
    put(data, 0, table(row(7, 300, 100)))
    assert [each.start for each in read(data)[1]] == [300 * 512]


@pytest.mark.parametrize(("name", "content"), [(b"NTFS    ", Content.NTFS), (b"-FVE-FS-", Content.BITLOCKER)])
def test_file_system_on_the_bare_disk_is_partition_zero(name: bytes, content: Content):
    data = bytearray(MIB)
    put(data, 0, boot_sector(name))
    scheme, (whole,) = read(data)
    assert (scheme, whole.number, whole.start, whole.length, whole.content) == (Scheme.NONE, 0, 0, MIB, content)


def test_bitlocker_to_go_hides_behind_a_fat_name():
    sector = bytearray(boot_sector(b"MSWIN4.1"))
    put(sector, 424, BITLOCKER_TO_GO)
    put(sector, 82, b"FAT32   ")
    assert content_of(bytes(sector)) == Content.BITLOCKER


@pytest.mark.parametrize("variant", [12, 16, 32])
def test_fat_as_mkfs_makes_it(tmp_path: Path, variant: int):
    path = tmp_path / "fat"
    with path.open("wb") as file:
        file.truncate({12: 8, 16: 32, 32: 64}[variant] * MIB)
    subprocess.run(["mkfs.fat", "-F", str(variant), path], check=True, capture_output=True)
    scheme, (whole,) = read_partitions(file_device(path), DiskNumber(1))
    assert (scheme, whole.content) == (Scheme.NONE, Content.FAT)


@pytest.mark.parametrize(
    ("kind", "content"),
    [(0x42, Content.LDM), (0xE7, Content.STORAGE_SPACE), (0x05, Content.OTHER)],
)
def test_type_alone_tells_on_mbr(kind: int, content: Content):
    data = bytearray(4 * MIB)
    put(data, 0, table(row(kind, 2048, 2048)))
    put(data, MIB, boot_sector())
    assert read(data)[1][0].content == content


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", Content.LDM),
        ("AF9B60A0-1431-4F62-BC68-3311714A69AD", Content.LDM),
        ("E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D", Content.STORAGE_SPACE),
    ],
)
def test_type_alone_tells_on_gpt(kind: str, content: Content):
    data = gpt_disk([(0, kind, 2048, 2100)])
    put(data, MIB, boot_sector())
    assert read(data)[1][0].content == content


def test_partition_past_the_end_of_the_disk_is_unreadable():
    data = bytearray(4 * MIB)
    put(data, 0, table(row(7, 2048, 2048), row(7, 4096, 100_000_000), row(7, 4_000_000_000, 8)))
    put(data, MIB, boot_sector())
    assert [each.content for each in read(data)[1]] == [Content.NTFS, Content.UNREADABLE, Content.UNREADABLE]


def test_bad_sector_is_a_fact():
    def broken(offset: int, length: int) -> bytes:
        if offset:
            raise OSError(5, "bad sector")
        return table(row(7, 1, 4))[:length]

    assert read_partitions(Device(broken, MIB), DiskNumber(1))[1][0].content == Content.UNREADABLE


@pytest.mark.parametrize("size", [0, 100, 512, MIB])
def test_empty_disk_of_any_size_has_nothing(size: int):
    assert read(bytes(size)) == (Scheme.EMPTY, ())


def test_random_disk_has_nothing_and_costs_one_sector():
    data = bytes((index * 7919 >> 3) & 0xFF for index in range(MIB))
    disk = disk_of(data)
    assert read_partitions(disk, DiskNumber(1)) == (Scheme.EMPTY, ())
    assert (disk.requests, disk.bytes_read) == (1, 512)


def test_linux_disk_costs_the_table_and_a_sector_per_partition():
    data = bytearray(8 * MIB)
    put(data, 0, table(row(0x83, 2048, 2048), row(0x82, 4096, 2048)))
    disk = disk_of(data)
    read_partitions(disk, DiskNumber(1))
    assert disk.bytes_read == 3 * 512
