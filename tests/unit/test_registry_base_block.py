# SPDX-License-Identifier: Apache-2.0
"""The base block decides whether a hive may be believed."""

import struct

import pytest
from registry.cell_hives import Key, make
from unxen.errors import Refused
from unxen.model.reason import ReasonKind
from unxen.registry.base_block import checksum, next_sequence, read_base_block, stamp

HIVE = make(Key(values={"a": (4, b"\1\0\0\0")}))


def changed(offset, form, *values):
    data = bytearray(HIVE)
    struct.pack_into(form, data, offset, *values)
    struct.pack_into("<I", data, 508, checksum(data))
    return bytes(data)


def test_all_fields_are_read():
    block = read_base_block(HIVE)
    assert (block.primary, block.secondary, block.major, block.minor, block.name) == (7, 7, 1, 5, "made")
    assert (block.bins_size, block.file_size, block.root, block.clustering) == (4096, 8192, 32, 1)
    assert block.checksum_right and not block.dirty
    assert block.facts().dirty is False


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "no base block"),
        (b"regf" + bytes(100), "no base block"),
        (b"x" * 8192, "no base block"),
        (changed(20, "<I", 2), "version"),
        (changed(28, "<I", 6), "file type"),
        (changed(32, "<I", 0), "format"),
        (changed(40, "<I", 0), "size of the bins"),
        (changed(40, "<I", 4097), "size of the bins"),
        (changed(40, "<I", 8192), "cut off"),
        (changed(36, "<I", 0xFFFFFFFF), "root cell"),
    ],
)
def test_what_is_no_hive_is_refused_with_its_cause(data, cause):
    with pytest.raises(Refused) as refusal:
        read_base_block(data)
    assert refusal.value.first.kind is ReasonKind.HIVE_DAMAGED
    assert refusal.value.first.detail("cause") == cause


def test_differing_numbers_and_wrong_checksum_mean_dirty_and_are_read():
    assert read_base_block(changed(4, "<I", 8)).dirty
    wrong = bytearray(HIVE)
    wrong[508] ^= 1
    block = read_base_block(bytes(wrong))
    assert block.dirty and not block.checksum_right


@pytest.mark.parametrize(("numbers", "written"), [((0xFFFFFFFF,), 0xFFFFFFFE), ((0,), 1), ((5,), 5)])
def test_checksum_never_is_zero_or_all_ones(numbers, written):
    assert checksum(struct.pack("<I", *numbers).ljust(512, b"\0")) == written


def test_stamp_makes_a_dirty_hive_clean_and_touches_twelve_bytes():
    before = changed(4, "<I", 8)
    data = bytearray(before)
    stamp(data, 9)
    block = read_base_block(bytes(data))
    assert (block.primary, block.secondary, block.dirty) == (9, 9, False)
    assert {index for index, pair in enumerate(zip(before, data, strict=True)) if len(set(pair)) > 1} <= {4, 8, *range(508, 512)}


def test_next_sequence_is_past_both_numbers_and_wraps():
    assert next_sequence(read_base_block(changed(4, "<II", 12, 9))) == 13
    assert next_sequence(read_base_block(changed(4, "<II", 0xFFFFFFFF, 1))) == 0
