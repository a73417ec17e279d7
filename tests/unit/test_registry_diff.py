# SPDX-License-Identifier: Apache-2.0
"""Nothing that differs between two registries goes unseen, and what a plan expects is spelled out the same way."""

import struct
from dataclasses import replace

import pytest
from registry.cell_hives import Key, Shape, make
from registry.edits import create_key, delete_key, delete_value, dword, set_value
from unxen.errors import Refused
from unxen.model.change import ChangeKind
from unxen.model.registry_facts import RegistryValue
from unxen.registry.changes import deviations, expected_changes
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive
from unxen.registry.hive import Hive


def tree(**values):
    return make(Key(keys={"k": Key(values=values)}))


def test_equal_trees_have_no_difference_whatever_their_layout():
    root = Key(values={"a": (1, b"data!"), "b": (4, bytes(4))}, keys={"x": Key(), "y": Key()})
    assert compare(make(root), make(root, Shape(b"lf", 1, spare=2))) == ()


def test_order_of_values_means_nothing():
    assert compare(tree(a=(4, bytes(4)), b=(4, bytes(4))), tree(b=(4, bytes(4)), a=(4, bytes(4)))) == ()


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (tree(a=(4, bytes(4))), tree(), [ChangeKind.VALUE_REMOVED]),
        (tree(), tree(a=(4, bytes(4))), [ChangeKind.VALUE_ADDED]),
        (tree(a=(4, bytes(4))), tree(a=(3, bytes(4))), [ChangeKind.VALUE_CHANGED]),
        (tree(a=(1, b"a\0\0\0")), tree(a=(1, b"a\0")), [ChangeKind.VALUE_CHANGED]),
        (tree(a=(4, bytes(4))), make(Key()), [ChangeKind.KEY_REMOVED, ChangeKind.VALUE_REMOVED]),
        (make(Key()), tree(a=(4, bytes(4))), [ChangeKind.KEY_ADDED, ChangeKind.VALUE_ADDED]),
        (tree(a=(4, bytes(4))), tree(A=(4, bytes(4))), [ChangeKind.VALUE_ADDED, ChangeKind.VALUE_REMOVED]),
    ],
)
def test_each_difference_is_one_row(before, after, kinds):
    assert [row.kind for row in compare(before, after)] == kinds


def test_moved_time_stamp_is_a_changed_key():
    before = tree(a=(4, bytes(4)))
    after = bytearray(before)
    struct.pack_into("<Q", after, Hive.read(before).key("k").handle + 8, 0x01D5C0DE00000001)
    (row,) = compare(before, bytes(after))
    assert (row.kind, row.key) == (ChangeKind.KEY_CHANGED, "k")
    assert (row.before.data[0], row.after.data[0]) == (0, 1)


def test_repeated_names_of_hostile_hives_are_all_compared():
    before = bytearray(make(Key(keys={"a": Key(), "b": Key(values={"x": (4, bytes(4))})})))
    at = Hive.read(bytes(before)).key("b").handle
    before[at + 80 : at + 81] = b"a"
    after = bytearray(before)
    value = Hive.read(bytes(before)).root.subkeys()[1].value("x").handle
    after[value + 12] = 1
    assert [row.kind for row in compare(bytes(before), bytes(after))] == [ChangeKind.VALUE_CHANGED]


def test_what_cannot_be_read_is_not_equal():
    before = tree(a=(1, b"some data"))
    after = bytearray(before)
    struct.pack_into("<I", after, Hive.read(before).key("k").value("a").handle + 12, 0x7FFFFFF0)
    with pytest.raises(Refused):
        compare(before, bytes(after))


def test_expected_changes_are_what_each_action_does():
    value = RegistryValue(4, bytes(4))
    data = make(Key(keys={"k": Key(values={"a": (4, bytes(4))}, keys={"sub": Key(values={"b": (4, bytes(4))})})}))
    rows = [(row.kind.value, row.key, row.value_name) for row in expected_changes([delete_key(data, "k")])]
    assert rows == [
        ("key-removed", "k", None),
        ("value-removed", "k", "a"),
        ("key-removed", "k\\sub", None),
        ("value-removed", "k\\sub", "b"),
    ]
    (row,) = expected_changes([delete_value(data, "k", "a")])
    assert (row.kind, row.before, row.after) == (ChangeKind.VALUE_REMOVED, value, None)
    assert [row.kind for row in expected_changes([create_key("n"), set_value(data, "n", "x", dword(1))])] == [
        ChangeKind.KEY_ADDED,
        ChangeKind.VALUE_ADDED,
    ]
    assert expected_changes([set_value(data, "k", "a", dword(0))]) == ()


def test_deviations_are_rows_of_one_side_only_and_case_is_none():
    data = make(Key(keys={"Services": Key(keys={"a": Key(values={"Start": (4, bytes(4)), "Type": (4, bytes(4))})})}))
    edit = set_value(data, "services\\a", "start", dword(3))
    shouted = replace(edit, key=edit.key.upper(), value_name="START")
    made = edit_hive(data, (edit, set_value(data, "Services\\a", "Type", dword(1))))
    (row,) = deviations(compare(data, made), expected_changes([shouted]))
    assert row.value_name == "Type"
    (row,) = deviations(compare(data, data), expected_changes([shouted]))
    assert row.value_name == "START"
