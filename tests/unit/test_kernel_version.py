# SPDX-License-Identifier: Apache-2.0
"""The version resource of a kernel, read in pieces: what is right is told, what lies tells nothing and costs little."""

import pytest
from generators.kernels import kernel
from hypothesis import given, settings
from hypothesis import strategies as st
from unxen.model.ids import Architecture
from unxen.probe.kernel_version import read_kernel

GOOD = kernel((10, 0, 19041))


def read(data: bytes) -> tuple[tuple[int, int, int] | None, Architecture]:
    return read_kernel(lambda offset, length: data[offset : offset + length])


@pytest.mark.parametrize(
    ("version", "machine", "architecture"),
    [
        ((5, 1, 2600), "x86", Architecture.X86),
        ((6, 1, 7601), "amd64", Architecture.AMD64),
        ((10, 0, 26100), "arm64", Architecture.ARM64),
    ],
)
def test_version_and_machine(version: tuple[int, int, int], machine: str, architecture: Architecture):
    assert read(kernel(version, machine)) == (version, architecture)


@pytest.mark.parametrize(
    "data", [b"", b"MZ", b"MZ" + bytes(100), GOOD[:0x90], b"x" * 5000], ids=["empty", "two", "zeros", "cut", "other"]
)
def test_no_kernel_has_no_version(data: bytes):
    assert read(data) == (None, Architecture.UNKNOWN)


def test_kernel_without_its_resources_still_has_a_machine():
    assert read(GOOD[:0x400]) == (None, Architecture.AMD64)


def test_little_is_read():
    wanted: list[int] = []

    def counting(offset: int, length: int) -> bytes:
        wanted.append(length)
        return GOOD[offset : offset + length]

    assert read_kernel(counting)[0] == (10, 0, 19041)
    assert sum(wanted) < 5000


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_image_never_raises(damage: list[tuple[int, int]]):
    data = bytearray(GOOD)
    for at, value in damage:
        data[at] = value
    read(bytes(data))
