# SPDX-License-Identifier: Apache-2.0
"""Any sequence of edits on any hive that can be made keeps every cell used once or free, and changes what was asked for alone."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry.cell_hives import Key, Shape, make
from registry.edits import create_key, delete_key, delete_value, set_value
from unxen.model.registry_facts import RegistryValue
from unxen.registry.audit import audit
from unxen.registry.base_block import read_base_block
from unxen.registry.changes import expected_changes
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive
from unxen.registry.hive import Hive

NAMES = st.sampled_from(["a", "B", "Start", "StartOverride", "UpperFilters", "ü", "Ж", "xen vbd"])
DATA = st.tuples(st.sampled_from([1, 3, 4, 7]), st.one_of(st.binary(max_size=6), st.binary(min_size=20, max_size=40)))


def keys(children):
    made = {"values": st.dictionaries(NAMES, DATA, max_size=4), "keys": st.dictionaries(NAMES, children, max_size=4)}
    return st.builds(Key, **made, security=st.integers(0, 2), class_name=st.sampled_from([b"", b"c\0"]))


TREES = st.recursive(
    st.builds(Key, values=st.dictionaries(NAMES, DATA, max_size=3), security=st.integers(0, 3)), keys, max_leaves=12
)
SHAPES = st.builds(Shape, st.sampled_from([b"lh", b"lf", b"li"]), st.sampled_from([500, 2, 1]), st.integers(0, 2))


def some_edit(draw, hive):
    """One edit that fits the hive as it stands."""
    key = draw(st.sampled_from(list(hive.root.walk())))
    values = [value.name for value in key.values()]
    choices = ["set"]
    choices += ["overwrite", "delete value"] if values else []
    choices += ["delete key"] if key.path else []
    # hivex inserts into `lf` and `lh` lists only, and compares letters beyond ASCII with their case.
    choices += ["create"] if not key.subkeys() else []
    choice = draw(st.sampled_from(choices))
    if choice == "delete key":
        return delete_key(hive, key.path)
    if choice == "delete value":
        return delete_value(hive, key.path, draw(st.sampled_from(values)))
    if choice == "create":
        return create_key(f"{key.path}\\new".lstrip("\\"))
    name = draw(st.sampled_from(values)) if choice == "overwrite" else draw(st.sampled_from(["fresh", "Start"]))
    return set_value(hive, key.path, name, RegistryValue(*draw(DATA)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TREES, SHAPES, st.data())
def test_sequences_of_edits_leave_sound_hives_that_differ_as_planned(tree, shape, data):
    hive = make(tree, shape)
    assert audit(hive) == ()
    for _ in range(data.draw(st.integers(1, 5))):
        edit = some_edit(data.draw, Hive.read(hive))
        made = edit_hive(hive, (edit,))
        assert audit(made) == ()
        assert compare(hive, made) == expected_changes((edit,))
        assert read_base_block(made).primary == read_base_block(hive).primary + 1
        hive = made
