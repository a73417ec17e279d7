# SPDX-License-Identifier: Apache-2.0
"""Edits happen in the cells that are there, leave a hive as Windows would, and refuse what does not fit."""

import struct
from dataclasses import replace

import pytest
from registry.cell_hives import Key, Shape, make
from registry.edits import create_key, delete_key, delete_value, dword, multi, set_value
from unxen.errors import Refused
from unxen.model.change import ChangeKind
from unxen.model.edit import Action
from unxen.model.reason import ReasonKind
from unxen.model.registry_facts import RegistryValue
from unxen.registry import cell_values
from unxen.registry.audit import audit
from unxen.registry.base_block import checksum, read_base_block
from unxen.registry.cells import NOTHING, key_cell, security_cell, value_cell
from unxen.registry.changes import expected_changes
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive
from unxen.registry.flaws import FlawKind
from unxen.registry.hive import Hive

SHAPES = [Shape(signature, most) for signature in (b"lh", b"lf", b"li") for most in (500, 2, 1)]


def service(start=3, **more):
    return Key(values={"Type": (4, b"\1\0\0\0"), "Start": (4, bytes([start, 0, 0, 0])), **more})


def edited(data, *edits):
    """The hive after the edits, known to be sound and to differ by them alone."""
    made = edit_hive(data, edits)
    assert audit(made) == audit(data) == ()
    assert compare(data, made) == expected_changes(edits)
    return made


def differing(before, after):
    return {index for index, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]}


def key_at(data, path):
    return key_cell(data, Hive.read(data).key(path).handle - 4096)


def value_at(data, path, name):
    return value_cell(data, Hive.read(data).key(path).value(name).handle - 4096)


def is_free(data, cell):
    return struct.unpack_from("<i", data, 4096 + cell)[0] > 0


def test_dword_is_changed_in_four_bytes_besides_the_stamp():
    data = make(Key(keys={"atapi": service(3)}))
    made = edited(data, set_value(data, "ATAPI", "start", dword(0)))
    assert Hive.read(made).key("atapi").value("Start").dword() == 0
    handle = Hive.read(data).key("atapi").value("Start").handle
    assert differing(data, made) - {4, 8, *range(508, 512)} == {handle + 12}


def test_dword_in_a_cell_of_its_own_stays_there():
    data = bytearray(make(Key(values={"Start": (4, b"\3\0\0\0....")})))
    handle = Hive.read(bytes(data)).root.value("Start").handle
    struct.pack_into("<I", data, handle + 8, 4)
    data = bytes(data)
    made = edited(data, set_value(data, "", "Start", dword(0)))
    assert value_at(made, "", "Start").size == 4
    assert Hive.read(made).root.value("Start").dword() == 0


def test_value_of_no_bytes_takes_up_to_four_without_room():
    data = bytearray(make(Key(values={"Empty": (7, b"")})))
    handle = Hive.read(bytes(data)).root.value("Empty").handle
    struct.pack_into("<II", data, handle + 8, 0, NOTHING)
    data = bytes(data)
    # hivex cannot read this form, which differencing hives hold, so the edit is written by hand.
    edit = replace(create_key(""), action=Action.SET_VALUE, value_name="Empty", before=RegistryValue(7, b""), after=dword(3))
    made = edit_hive(data, [edit])
    assert len(made) == len(data) and value_at(made, "", "Empty").size == 0x80000004
    assert Hive.read(made).root.value("Empty").dword() == 3
    assert key_at(made, "").largest_value_data == 4


def test_list_is_shortened_in_its_cell_and_the_rest_zeroed():
    before = RegistryValue(7, multi("XENFILT", "kbdclass", end="\0\0").data)
    data = make(Key(values={"UpperFilters": (7, before.data)}))
    made = edited(data, set_value(data, "", "UpperFilters", multi("kbdclass", end="\0\0")))
    value = value_at(made, "", "UpperFilters")
    assert value.data == value_at(data, "", "UpperFilters").data
    stood = bytes(made[4096 + value.data + 4 :][: len(before.data)])
    assert stood == multi("kbdclass", end="\0\0").data.ljust(len(before.data), b"\0")
    assert key_at(made, "").largest_value_data == len(before.data)


def test_value_grows_within_the_slack_of_its_cell_and_the_maximum_follows():
    data = make(Key(values={"Path": (1, b"a\0b\0c\0")}))
    made = edited(data, set_value(data, "", "Path", RegistryValue(2, b"a\0b\0c\0\0\0")))
    assert key_at(made, "").largest_value_data == 8
    assert len(made) == len(data)


def test_emptied_list_stands_inline_and_frees_its_data():
    data = make(Key(values={"UpperFilters": (7, multi("XENFILT").data)}))
    made = edited(data, set_value(data, "", "UpperFilters", RegistryValue(7, b"\0\0")))
    assert value_at(made, "", "UpperFilters").size == 0x80000002
    dropped = value_at(data, "", "UpperFilters").data
    assert is_free(made, dropped)
    assert not any(made[4096 + dropped + 4 :][: len(multi("XENFILT").data)])


@pytest.mark.parametrize("name", ["a", "b", "c"])
@pytest.mark.parametrize("spare", [0, 3])
def test_value_is_taken_out_of_its_list_and_the_others_keep_their_order(name, spare):
    data = make(Key(values={each: (1, f"{each} data".encode()) for each in "abc"}), Shape(spare=spare))
    gone = value_at(data, "", name)
    handle = Hive.read(data).root.value(name).handle - 4096
    made = edited(data, delete_value(data, "", name))
    assert [value.name for value in Hive.read(made).root.values()] == [each for each in "abc" if each != name]
    assert is_free(made, handle) and is_free(made, gone.data)
    spare_slot = 4096 + key_at(made, "").value_list + 4 + 2 * 4
    assert made[spare_slot : spare_slot + 4] == bytes(4)


def test_last_value_takes_list_and_maxima_with_it():
    data = make(Key(values={"only": (1, b"some data")}))
    made = edited(data, delete_value(data, "", "only"))
    key = key_at(made, "")
    assert (key.values, key.value_list, key.largest_value_name, key.largest_value_data) == (0, NOTHING, 0, 0)
    assert is_free(made, key_at(data, "").value_list)


def test_only_subkey_leaves_its_parent_as_windows_does():
    override = Key(values={"0": (4, b"\3\0\0\0"), "1": (4, b"\3\0\0\0")})
    data = make(Key(keys={"storahci": Key(values={"Start": (4, bytes(4))}, keys={"StartOverride": override})}))
    made = edited(data, delete_key(data, "storahci\\startoverride"))
    parent = key_at(made, "storahci")
    assert (parent.subkeys, parent.subkey_list, parent.largest_subkey_name, parent.largest_subkey_class) == (0, NOTHING, 0, 0)
    assert is_free(made, key_at(data, "storahci").subkey_list)
    assert parent.timestamp == key_at(data, "storahci").timestamp


def test_flags_above_the_largest_subkey_name_survive():
    data = bytearray(make(Key(keys={"a": Key(keys={"b": Key()})})))
    handle = Hive.read(bytes(data)).key("a").handle
    struct.pack_into("<I", data, handle + 4 + 52, 0x00300002)
    data = bytes(data)
    assert key_at(edited(data, delete_key(data, "a\\b")), "a").largest_subkey_name == 0x00300000


def test_stale_count_of_volatile_subkeys_keeps_the_maxima():
    data = bytearray(make(Key(keys={"a": Key(keys={"b": Key()})})))
    struct.pack_into("<I", data, Hive.read(bytes(data)).key("a").handle + 4 + 24, 1)
    data = bytes(data)
    assert key_at(edited(data, delete_key(data, "a\\b")), "a").largest_subkey_name == 2


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["a", "c", "e"])
def test_key_leaves_every_kind_of_list(shape, name):
    data = make(Key(keys={each: Key(keys={"below": service()}, class_name=b"c\0") for each in "abcde"}), shape)
    made = edited(data, delete_key(data, name))
    assert [key.name for key in Hive.read(made).root.subkeys()] == [each for each in "abcde" if each != name]


@pytest.mark.parametrize(("signature", "width"), [(b"lh", 8), (b"lf", 8), (b"li", 4)])
def test_spare_place_at_the_end_of_a_list_is_cleared(signature, width):
    data = make(Key(keys={"a": Key(), "b": Key()}), Shape(signature))
    made = edited(data, delete_key(data, "a"))
    spare = 4096 + key_at(made, "").subkey_list + 8 + width
    assert any(data[spare : spare + width]) and not any(made[spare : spare + width])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_list_of_every_kind_is_emptied_one_by_one(shape):
    data = make(Key(keys={"p": Key(keys={each: Key() for each in "abcde"})}), shape)
    for name in "cabed":
        data = edited(data, delete_key(data, f"p\\{name}"))
    assert key_at(data, "p").subkey_list == NOTHING


def test_tree_goes_with_all_its_cells():
    tree = Key(values={"v": (1, b"long data")}, keys={"x": service(), "y": Key(keys={"z": service()}, class_name=b"k\0")})
    data = make(Key(keys={"gone": tree, "stays": service()}))
    made = edited(data, delete_key(data, "gone"))
    freed = sum(is_free(made, cell - 4096) for cell in (each.handle for each in Hive.read(data).key("gone").walk()))
    assert freed == 4


def test_security_descriptor_loses_a_holder_and_goes_with_the_last():
    data = make(Key(keys={"a": Key(security=1), "b": Key(security=1), "c": Key(security=2)}))
    place = key_at(data, "a").security
    once = edited(data, delete_key(data, "a"))
    assert security_cell(once, place).references == 1
    twice = edited(once, delete_key(once, "b"))
    assert is_free(twice, place)


def test_class_name_without_a_length_is_not_freed():
    data = bytearray(make(Key(keys={"a": Key()})))
    struct.pack_into("<I", data, Hive.read(bytes(data)).key("a").handle + 4 + 48, 0x20)
    data = bytes(data)
    assert audit(edited(data, delete_key(data, "a"))) == ()


def test_same_edits_give_the_same_bytes_and_no_time_stamp_moves():
    data = make(Key(keys={"a": service(), "b": service()}))
    edits = (set_value(data, "a", "Start", dword(0)), delete_key(data, "b"))
    assert edit_hive(data, edits) == edit_hive(data, edits)
    assert ChangeKind.KEY_CHANGED not in {row.kind for row in compare(data, edit_hive(data, edits))}


def test_hive_is_stamped_past_its_own_numbers_or_with_the_number_given():
    data = make(Key(values={"Start": (4, bytes(4))}))
    edit = set_value(data, "", "Start", dword(3))
    assert read_base_block(edit_hive(data, (edit,))).primary == 8
    block = read_base_block(edit_hive(data, (edit,), 2131))
    assert (block.primary, block.secondary, block.dirty) == (2131, 2131, False)


def test_key_and_values_are_created_with_their_parents_security():
    data = make(Key(keys={"Services": Key(keys={"a": service()}, security=1)}))
    edits = (
        create_key("Services\\zz"),
        set_value(data, "Services\\zz", "Start", dword(0)),
        create_key("Services\\zz\\deeper"),
        set_value(data, "Services\\a", "Start", dword(0)),
    )
    made = edited(data, *edits)
    assert key_at(made, "Services\\zz").security == key_at(made, "Services").security


def test_longer_value_is_made_with_room_and_the_old_one_freed():
    data = make(Key(values={"List": (7, multi("a").data), "other": (4, bytes(4))}))
    made = edited(data, set_value(data, "", "list", multi("a", "a much longer name")))
    assert Hive.read(made).root.value("List").strings() == ("a", "a much longer name")


def test_creation_uses_the_tail_of_the_file_first_and_keeps_its_length():
    data = make(Key(keys={"a": service()})) + bytes(16384)
    made = edit_hive(data, (create_key("b"),))
    assert len(made) == len(data)
    assert audit(made) == ()


def test_spelling_of_key_and_value_in_the_hive_is_kept():
    data = make(Key(keys={"AtApi": service()}))
    edit = replace(set_value(data, "AtApi", "Start", dword(0)), key="ATAPI", value_name="START")
    made = edit_hive(data, (edit,))
    assert Hive.read(made).key("atapi").name == "AtApi"
    assert Hive.read(made).key("atapi").value("start").name == "Start"


def refusal(data, *edits, sequence=None):
    with pytest.raises(Refused) as error:
        edit_hive(data, edits, sequence)
    return error.value.first


BASE = make(Key(keys={"a": service(), "b": Key(keys={"c": service()})}))


@pytest.mark.parametrize(
    "edit",
    [
        replace(set_value(BASE, "a", "Start", dword(0)), before=dword(2)),
        replace(set_value(BASE, "a", "Start", dword(0)), before=None),
        replace(set_value(BASE, "a", "Start", dword(0)), value_name="none"),
        replace(set_value(BASE, "a", "Start", dword(0)), key="none"),
        replace(set_value(BASE, "a", "Start", dword(0)), after=None),
        replace(set_value(BASE, "a", "Start", dword(0)), value_name=None),
        replace(delete_value(BASE, "a", "Start"), before=dword(2)),
        replace(delete_value(BASE, "a", "Start"), value_name="none"),
        replace(delete_key(BASE, "b"), key="none"),
        replace(delete_key(BASE, "b"), key=""),
        replace(delete_key(BASE, "b"), tree=Hive.read(BASE).key("a").tree()),
        create_key("a"),
        create_key("none\\deeper"),
        set_value(BASE, "none", "Start", dword(0)),
    ],
    ids=lambda edit: f"{edit.action.value} {edit.key} {edit.value_name}",
)
def test_edit_that_does_not_fit_what_is_there_is_refused(edit):
    assert refusal(BASE, edit).kind is ReasonKind.ROLLED_BACK


def test_value_that_was_added_meanwhile_is_not_overwritten():
    added = set_value(BASE, "a", "New", dword(1))
    assert refusal(BASE, added, added).detail("cause") == "changed since it was read"


def test_edit_that_spoils_the_hive_is_not_handed_out(monkeypatch):
    monkeypatch.setattr(cell_values, "free", lambda _data, _cell: None)
    first = refusal(BASE, delete_value(BASE, "a", "Start"))
    assert first.kind is ReasonKind.ROLLED_BACK
    assert first.detail("cause").startswith("leaked")


def test_segmented_values_are_not_touched():
    data = make(Key(keys={"k": Key(values={"big": (3, b"x" * 20000), "small": (4, bytes(4))})}))
    big = RegistryValue(3, b"x" * 20000)
    assert refusal(data, set_value(data, "k", "big", RegistryValue(3, b"y" * 20000))).kind is ReasonKind.ROLLED_BACK
    assert refusal(data, delete_value(data, "k", "big")).detail("cause") == "value in segments"
    assert refusal(data, delete_key(data, "k")).detail("cause") == "value in segments"
    assert refusal(data, set_value(data, "k", "new", dword(1))).detail("cause") == "value in segments"
    assert Hive.read(edit_hive(data, (set_value(data, "k", "small", dword(1)),))).key("k").value("big").registry_value() == big


def test_two_values_of_one_name_are_not_touched():
    data = make(Key(values={"Start": (4, bytes(4)), "start": (4, bytes(4))}))
    assert refusal(data, delete_value(data, "", "Start")).detail("cause") == "two values of one name"


def test_dirty_hive_needs_somebody_who_knows_its_logs():
    data = bytearray(make(Key(values={"Start": (4, bytes(4))})))
    struct.pack_into("<I", data, 4, 8)
    struct.pack_into("<I", data, 508, checksum(data))
    edit = set_value(bytes(data), "", "Start", dword(3))
    assert refusal(bytes(data), edit).kind is ReasonKind.HIVE_DIRTY
    assert not read_base_block(edit_hive(bytes(data), (edit,), 20)).dirty


def test_hive_with_a_forbidding_flaw_is_refused_and_the_flaw_named():
    data = bytearray(make(Key(values={"Start": (4, bytes(4)), "x": (1, b"some data")})))
    struct.pack_into("<I", data, Hive.read(bytes(data)).root.handle + 4 + 36, 1)
    struct.pack_into("<I", data, Hive.read(bytes(data)).root.handle + 4 + 64, 0)
    first = refusal(bytes(data), set_value(bytes(data), "", "Start", dword(3)))
    assert (first.kind, first.detail("cause")) == (ReasonKind.HIVE_DAMAGED, FlawKind.VALUE_MAXIMUM.value)


def test_tolerated_flaws_survive_an_edit_unchanged():
    data = bytearray(make(Key(keys={"a": service(), "long name": Key()})))
    struct.pack_into("<I", data, Hive.read(bytes(data)).root.handle + 4 + 52, 2)
    data = bytes(data)
    made = edit_hive(data, (set_value(data, "a", "Start", dword(0)),))
    assert audit(made) == audit(data) != ()


@pytest.mark.parametrize("minor", [1, 2, 7])
def test_unknown_versions_are_refused(minor):
    data = make(Key(values={"Start": (4, bytes(4))}), Shape(minor=minor))
    assert refusal(data, set_value(data, "", "Start", dword(3))).detail("cause") == f"version 1.{minor}"
