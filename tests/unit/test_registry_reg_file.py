# SPDX-License-Identifier: Apache-2.0
"""The .reg file is what regedit itself would write, and no name from a guest can smuggle a line into it."""

from dataclasses import replace

import pytest
from registry.cell_hives import Key, make
from registry.edits import create_key, delete_key, delete_value, dword, multi, set_value
from unxen.errors import Refused
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import RegistryValue
from unxen.registry.reg_file import write_reg

ROOT = "HKEY_LOCAL_MACHINE\\Temp"
DATA = make(
    Key(
        keys={
            "s": Key(
                values={"Start": (4, b"\3\0\0\0"), "UpperFilters": (7, multi("XENFILT").data)},
                keys={"StartOverride": Key(values={"0": (4, b"\3\0\0\0")})},
            )
        }
    )
)


def lines(*edits, root=ROOT):
    data = write_reg(edits, root)
    assert data.startswith(b"\xff\xfe")
    text = data[2:].decode("utf-16-le")
    assert "\n" not in text.replace("\r\n", "")
    return text.split("\r\n")


def line(value, name="v"):
    edit = set_value(DATA, "s", name, value)
    return lines(edit)[4:-2]


def test_file_begins_as_regedit_asks_and_ends_with_an_empty_line():
    assert lines()[:2] == ["Windows Registry Editor Version 5.00", ""]
    assert lines(set_value(DATA, "s", "Start", dword(0))) == [
        "Windows Registry Editor Version 5.00",
        "",
        "; Start: why (rule)",
        "[HKEY_LOCAL_MACHINE\\Temp\\s]",
        '"Start"=dword:00000000',
        "",
        "",
    ]


def test_deletions_stand_before_what_is_set_in_the_same_key():
    edits = set_value(DATA, "s", "Start", dword(0)), delete_value(DATA, "s", "UpperFilters"), delete_key(DATA, "s\\StartOverride")
    text = [each for each in lines(*edits) if each and not each.startswith(";")][1:]
    assert text == [
        "[HKEY_LOCAL_MACHINE\\Temp\\s]",
        '"UpperFilters"=-',
        '"Start"=dword:00000000',
        "[-HKEY_LOCAL_MACHINE\\Temp\\s\\StartOverride]",
    ]


def test_key_that_is_deleted_and_made_again_is_deleted_first():
    again = create_key("s\\StartOverride"), delete_key(DATA, "s\\StartOverride")
    text = [each for each in lines(*again) if each.startswith("[")]
    assert text == ["[-HKEY_LOCAL_MACHINE\\Temp\\s\\StartOverride]", "[HKEY_LOCAL_MACHINE\\Temp\\s\\StartOverride]"]


def test_root_may_end_in_a_backslash():
    assert lines(create_key("s2"), root=ROOT + "\\")[3] == "[HKEY_LOCAL_MACHINE\\Temp\\s2]"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (dword(0x10), ['"v"=dword:00000010']),
        (RegistryValue(4, b"\1\0"), ['"v"=hex(4):01,00']),
        (RegistryValue(1, 'C:\\a "b"\0'.encode("utf-16-le")), ['"v"="C:\\\\a \\"b\\""']),
        (RegistryValue(1, "a".encode("utf-16-le")), ['"v"=hex(1):61,00']),
        (RegistryValue(1, "a\r\n[-x]\0".encode("utf-16-le")), None),
        (RegistryValue(2, b"a\0\0\0"), ['"v"=hex(2):61,00,00,00']),
        (RegistryValue(3, b"\x01\xff"), ['"v"=hex:01,ff']),
        (RegistryValue(7, b""), ['"v"=hex(7):']),
        (RegistryValue(0xFFFF0012, b"\1"), ['"v"=hex(ffff0012):01']),
    ],
)
def test_values_are_written_by_type(value, written):
    found = line(value)
    if written is None:
        assert found[0].startswith('"v"=hex(1):')
    else:
        assert found == written


def test_default_value_has_no_name():
    assert line(dword(1), name="") == ["@=dword:00000001"]


def test_long_bytes_are_broken_before_the_eightieth_column():
    found = line(RegistryValue(3, bytes(range(100))))
    assert all(len(each) <= 79 for each in found)
    assert all(each.endswith(",\\") for each in found[:-1]) and not found[-1].endswith("\\")
    assert all(each.startswith("  ") and not each.startswith("   ") for each in found[1:])
    joined = "".join(each.strip().rstrip("\\") for each in found)
    assert joined == '"v"=hex:' + ",".join(f"{each:02x}" for each in range(100))
    # One byte more would not have fitted.
    assert len(found[0]) + 3 > 79


def test_comment_stays_on_its_line():
    edit = replace(set_value(DATA, "s", "Start", dword(0)), why="first\r\n[-HKEY_LOCAL_MACHINE\\X]\x07")
    assert lines(edit)[2] == "; Start: first [-HKEY_LOCAL_MACHINE\\X]? (rule)"


@pytest.mark.parametrize(
    "edit",
    [
        replace(set_value(DATA, "s", "Start", dword(0)), key="s]\r\n[-HKEY_LOCAL_MACHINE\\Temp"),
        replace(set_value(DATA, "s", "Start", dword(0)), value_name='a"=-\r\n"b'),
        replace(delete_key(DATA, "s"), key="s\0"),
    ],
)
def test_name_that_would_break_its_line_is_refused(edit):
    with pytest.raises(Refused) as refusal:
        write_reg([edit], ROOT)
    assert refusal.value.first.kind is ReasonKind.HIVE_DAMAGED
