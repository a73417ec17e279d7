# SPDX-License-Identifier: Apache-2.0
"""Names are equal when Windows says so; its own table is the judge."""

import struct
import subprocess

import pytest
from unxen.registry.names import certain, fold, split_path


@pytest.fixture(scope="module")
def upcase(tmp_path_factory):
    """The table that a fresh NTFS volume carries, which is Windows' own."""
    volume = tmp_path_factory.mktemp("ntfs") / "volume"
    with volume.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkntfs", "-F", "-q", "-s", "512", "-p", "0", "-H", "255", "-S", "63", volume], check=True, capture_output=True)
    table = subprocess.run(["ntfscat", volume, "$UpCase"], check=True, capture_output=True).stdout
    return struct.unpack("<65536H", table)


def test_every_certain_unit_is_upper_cased_as_windows_table_has_it(upcase):
    units = [unit for unit in range(0x10000) if not 0xD800 <= unit < 0xE000 and certain(chr(unit))]
    assert len(units) > 1000
    assert [hex(unit) for unit in units if ord(fold(chr(unit))) != upcase[unit]] == []


def test_letters_that_python_would_lengthen_or_merge_keep_themselves():
    assert fold("straße") == "STRAßE"
    assert fold("\u0131") != fold("i")
    assert fold("\u017f") != fold("s")


def test_ascii_names_are_equal_without_case():
    assert fold("XenFilt") == fold("XENFILT") == "XENFILT"


def test_names_with_younger_letters_are_not_certain():
    assert certain("Ärger") and certain("Xen")
    assert not certain("\u10d0")


def test_path_is_split_at_backslashes_and_the_root_is_empty():
    assert split_path("\\Select\\") == ["Select"]
    assert split_path("") == []
