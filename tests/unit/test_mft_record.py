# SPDX-License-Identifier: Apache-2.0
"""One $MFT record, decoded: what is right comes out as it stands, what is wrong is Malformed and never anything else."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unxen.probe.malformed import Malformed
from unxen.probe.mft_record import Extent, decode_record, decode_runs, undo_fixups

RUNS = bytes.fromhex("2110e80311f0f0010831010040 10".replace(" ", "")) + b"\0"


def non_resident(runs: bytes = RUNS, *, highest: int = 16 + 240 + 8 + 1 - 1, flags: int = 0, lowest: int = 0) -> bytes:
    size = (highest - lowest + 1) * 4096
    body = struct.pack("<qqHHIqqq", lowest, highest, 64, 0, 0, size, size - 5, size - 5) + runs
    length = 16 + len(body) + (-(16 + len(body)) % 8)
    return (struct.pack("<IIBBHHH", 0x80, length, 1, 0, 64, flags, 3) + body).ljust(length, b"\0")


def resident(value: bytes, name: str = "") -> bytes:
    packed = name.encode("utf-16-le")
    at = 24 + len(packed) + (-len(packed) % 8)
    length = at + len(value) + (-(at + len(value)) % 8)
    head = struct.pack("<IIBBHHHIHH", 0x80, length, 0, len(name), 24, 0, 4, len(value), at, 0)
    return ((head + packed).ljust(at, b"\0") + value).ljust(length, b"\0")


def record(*attributes: bytes, size: int = 1024, base: int = 0) -> bytearray:
    body = b"".join(attributes) + b"\xff\xff\xff\xff\0\0\0\0"
    head = struct.pack("<4sHHQHHHHIIQHHI", b"FILE", 48, size // 512 + 1, 0, 7, 1, 56, 1, 56 + len(body), size, base, 5, 0, 9)
    data = bytearray((head.ljust(56, b"\0") + body).ljust(size, b"\0"))
    for index in range(1, size // 512 + 1):
        data[48 + 2 * index : 50 + 2 * index] = data[512 * index - 2 : 512 * index]
        data[512 * index - 2 : 512 * index] = b"\x2a\x17"
    data[48:50] = b"\x2a\x17"
    return data


def test_runs_with_negative_offset_and_hole():
    assert list(decode_runs(RUNS, "test")) == [Extent(1000, 16), Extent(984, 240), Extent(None, 8), Extent(984 + 0x104000, 1)]


def test_attributes_come_out_with_their_sizes():
    found = decode_record(bytes(record(resident(b"hello", "stream"), non_resident(flags=0x4001))), "record 9")
    small, large = found.attributes
    assert (small.name, small.value, small.instance) == ("stream", b"hello", 4)
    assert (large.size, large.allocated, large.initialised, large.flags) == (265 * 4096 - 5, 265 * 4096, 265 * 4096 - 5, 0x4001)
    assert (found.sequence, found.in_use, found.directory, found.base) == (7, True, False, 0)


def test_reference_to_a_base_record_is_taken_apart():
    found = decode_record(bytes(record(base=3 << 48 | 77)), "record 9")
    assert (found.base, found.base_sequence) == (77, 3)


def test_fixups_are_undone():
    whole = record(resident(bytes(range(256)) * 3))
    assert decode_record(bytes(whole), "record 9").attributes[0].value == bytes(range(256)) * 3


@pytest.mark.parametrize("at", [0, 510, 1022])
def test_torn_record_is_found(at: int):
    data = record(non_resident())
    data[at] ^= 1
    with pytest.raises(Malformed):
        decode_record(bytes(data), "record 9")


@pytest.mark.parametrize("count", [0, 1, 2, 4, 0xFFFF])
def test_wrong_number_of_fixups_is_refused(count: int):
    data = record(non_resident())
    data[6:8] = struct.pack("<H", count)
    with pytest.raises(Malformed):
        undo_fixups(bytes(data), b"FILE", "record 9")


@pytest.mark.parametrize(
    "runs",
    [b"\x21\x10\xe8", b"\x10", b"\x91" + bytes(10), b"\x11\x00\x05\x00", b"\x11\x05\x80\x00", b"\x19" + bytes(12)],
    ids=["cut off", "no length", "offset of 9 bytes", "empty run", "before the volume", "length of 9 bytes"],
)
def test_impossible_runs_are_refused(runs: bytes):
    with pytest.raises(Malformed):
        list(decode_runs(runs, "test"))


@pytest.mark.parametrize("highest", [-1, 0, 263, 265, 1 << 60])
def test_runs_that_do_not_cover_what_they_claim_are_refused(highest: int):
    attribute = bytearray(non_resident())
    attribute[24:32] = struct.pack("<q", highest)
    with pytest.raises(Malformed):
        decode_record(bytes(record(bytes(attribute))), "record 9")


@pytest.mark.parametrize("length", [0, 8, 23, 25, 2000, 0xFFFFFFF8])
def test_attribute_of_impossible_length_is_refused(length: int):
    attribute = bytearray(non_resident())
    attribute[4:8] = struct.pack("<I", length)
    with pytest.raises(Malformed):
        decode_record(bytes(record(bytes(attribute))), "record 9")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1023), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_record_is_malformed_or_decoded_but_nothing_else(damage: list[tuple[int, int]]):
    data = record(resident(b"hello", "name"), non_resident(), non_resident(lowest=265, highest=529))
    for at, value in damage:
        data[at] = value
    with contextlib.suppress(Malformed):
        decode_record(bytes(data), "record 9")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_as_runs_end(data: bytes):
    with contextlib.suppress(Malformed):
        assert all(each.count > 0 for each in decode_runs(data, "test"))
