# SPDX-License-Identifier: Apache-2.0
"""Hives are read by name without case, and hostile ones end in a refusal, never in a hang or a wrong answer."""

import struct

import pytest
from registry.cell_hives import Key, Shape, make
from unxen.errors import Refused
from unxen.registry.base_block import checksum
from unxen.registry.hive import Hive, Unreadable
from unxen.registry.types import ValueType


def hive(**keys):
    return Hive.read(make(Key(keys=keys)))


def value(kind, data):
    return hive(k=Key(values={"v": (kind, data)})).key("k").value("V")


def wide(text):
    return text.encode("utf-16-le")


def test_keys_and_values_are_found_without_case_and_spelled_as_in_the_hive():
    read = hive(Services=Key(keys={"XenVbd": Key(values={"Start": (4, b"\3\0\0\0")})}))
    key = read.key("services\\XENVBD")
    assert (key.name, key.path) == ("XenVbd", "Services\\XenVbd")
    assert key.value("sTART").name == "Start" and key.value("sTART").dword() == 3
    assert read.key("Services\\none") is None and key.value("none") is None and read.key("none\\deeper") is None


def test_empty_path_is_the_root():
    assert hive(a=Key()).key("").path == ""
    assert [each.path for each in hive(a=Key(keys={"b": Key()})).root.walk()] == ["", "a", "a\\b"]


def test_names_beyond_ascii_are_found_without_case():
    assert hive(Größe=Key()).key("GRÖßE").name == "Größe"
    assert hive(Раздел=Key()).key("раздел").name == "Раздел"


def test_name_with_a_nul_is_whole_and_does_not_pass_for_its_beginning():
    read = hive(**{"xen\0x": Key(values={"a\0b": (4, b"\0\0\0\0")})})
    assert read.key("xen") is None
    assert read.key("XEN\0X").value("a") is None
    assert read.key("XEN\0X").value("A\0B").dword() == 0


def test_name_with_a_nul_does_not_hide_the_one_it_begins_with():
    data = bytearray(make(Key(keys={"xen": Key(), "xen\0x": Key()})))
    entries = 4096 + struct.unpack_from("<I", data, Hive.read(bytes(data)).root.handle + 4 + 28)[0] + 8
    data[entries : entries + 16] = data[entries + 8 : entries + 16] + data[entries : entries + 8]
    assert Hive.read(bytes(data)).key("XEN").name == "xen"


def test_name_that_is_no_utf16_can_be_printed():
    data = bytearray(make(Key(keys={"ЖЖ": Key()})))
    at = data.index(wide("ЖЖ"))
    data[at : at + 2] = b"\0\xd8"
    (key,) = Hive.read(bytes(data)).root.subkeys()
    key.name.encode()


@pytest.mark.parametrize(
    ("data", "strings"),
    [
        (wide("a\0b\0\0"), ("a", "b")),
        (wide("a\0b\0"), ("a", "b")),
        (wide("a\0b"), ("a", "b")),
        (wide("a\0\0\0"), ("a",)),
        (wide("a\0\0b\0\0"), ("a", "b")),
        (wide("a\0\0") + b"x", ("a",)),
        (b"\0\0", ()),
        (b"\0\0\0\0", ()),
        (b"", ()),
        (b"\0\xd8\0\0", ("\ufffd",)),
    ],
)
def test_multi_strings_are_read_however_they_end(data, strings):
    assert value(ValueType.MULTI_SZ, data).strings() == strings


def test_values_of_other_types_are_not_read_as_what_they_are_not():
    assert value(ValueType.SZ, wide("a\0")).strings() is None
    assert value(ValueType.MULTI_SZ, wide("a\0\0")).text() is None
    assert value(ValueType.DWORD, b"\0\0").dword() is None
    assert value(ValueType.BINARY, b"\0\0\0\0").dword() is None


def test_text_ends_at_its_first_nul_if_it_has_one():
    assert value(ValueType.SZ, wide("abc\0def\0")).text() == "abc"
    assert value(ValueType.EXPAND_SZ, wide("abc")).text() == "abc"


def test_tree_holds_everything_below_with_relative_paths():
    read = hive(a=Key(values={"x": (4, b"1234")}, keys={"b": Key(keys={"c": Key(values={"": (1, b"")})})}))
    tree = read.key("a").tree()
    assert tree.keys == ("b", "b\\c")
    assert [(each.key, each.name) for each in tree.values] == [("", "x"), ("b\\c", "")]


def test_key_that_is_its_own_descendant_is_unreadable():
    data = bytearray(make(Key(keys={"a": Key(keys={"b": Key()})}), Shape()))
    read = Hive.read(bytes(data))
    upper, lower = read.key("a").handle, read.key("a\\b").handle
    data[lower + 4 + 20 : lower + 4 + 24] = struct.pack("<I", 1)
    data[lower + 4 + 28 : lower + 4 + 32] = data[upper + 4 + 28 : upper + 4 + 32]
    with pytest.raises(Unreadable) as error:
        list(Hive.read(bytes(data)).root.walk())
    assert error.value.cause == "met twice"


def test_value_whose_data_lies_outside_is_unreadable_and_hides_no_other():
    data = bytearray(make(Key(values={"bad": (3, b"x" * 20), "good": (4, b"\1\0\0\0")})))
    handle = Hive.read(bytes(data)).root.value("bad").handle
    struct.pack_into("<I", data, handle + 12, 0x7FFFFFF0)
    root = Hive.read(bytes(data)).root
    with pytest.raises(Unreadable) as error:
        _ = root.value("bad").data
    assert "bad" in error.value.path
    assert root.value("good").dword() == 1


def test_damaged_bins_are_refused_without_a_word_on_stderr(capfd):
    data = bytearray(make(Key()))
    data[4096:4100] = b"xxxx"
    with pytest.raises(Refused):
        Hive.read(bytes(data))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("place", range(4096 + 32, 4096 + 700, 12))
def test_any_overwritten_number_is_an_answer_a_refusal_or_unreadable(place):
    data = bytearray(make(Key(values={"v": (7, b"a\0\0\0")}, keys={"a": Key(security=1, class_name=b"c\0"), "b": Key()})))
    struct.pack_into("<I", data, place, 0xFFFFFFF8)
    struct.pack_into("<I", data, 508, checksum(data))
    try:
        for key in Hive.read(bytes(data)).root.walk():
            for each in key.values():
                each.registry_value()
    except (Refused, Unreadable):
        pass


@pytest.mark.corpus
def test_damaged_real_hive_is_refused(corpus):
    with pytest.raises(Refused):
        Hive.read(corpus.read("winxp-x86-vmware-corrupted/SYSTEM"))


@pytest.mark.corpus
def test_real_hives_are_read_to_the_last_value(corpus):
    read = Hive.read(corpus.read("win81-x64-virtualbox-dirty-nologs/SYSTEM"))
    keys = list(read.root.walk())
    assert len(keys) == 20015 and sum(len(key.values()) for key in keys) == 49779
    assert read.block.dirty


@pytest.mark.corpus
def test_malformed_hives_end_in_an_answer_or_a_refusal(corpus):
    for name in corpus.names("yarp-malformed/") + corpus.names("ez-odd/"):
        try:
            for key in Hive.read(corpus.read(name)).root.walk():
                key.values()
        except (Refused, Unreadable):
            continue


def test_key_that_is_asked_often_gives_the_same_answers(monkeypatch) -> None:
    names = [f"VEN_{number:04X}" for number in range(300)]
    data = make(Key(keys={"PCI": Key(keys={name: Key(values={"n": (1, name.encode("utf-16-le"))}) for name in names})}))
    asked = [*names[:40], "ven_0007", "VEN_FFFF", "", "VEN_0001\0x"]
    alone = [Hive.read(data).key("PCI").subkey(name) for name in asked]
    crowd = Hive.read(data).key("PCI")
    together = [crowd.subkey(name) for name in asked]
    assert together == alone
    assert [each and each.value("n").text() for each in together] == [each and each.value("n").text() for each in alone]
    calls = []
    monkeypatch.setattr(crowd.hive.library, "node_get_child", lambda *_: calls.append(1))
    assert [crowd.subkey(name).name for name in names] == names
    assert not calls
