# SPDX-License-Identifier: Apache-2.0
"""The way back, value by value: what goes back, what is left alone and why, for every kind of edit."""

import pytest
from unxen.model.edit import Action, Edit
from unxen.model.ids import ControlSetNumber, KeyPath
from unxen.model.registry_facts import KeyTree, NamedValue, RegistryValue
from unxen.model.standing import Standing
from unxen.plan.reverse import Reversal, reverse
from unxen.report.finding_messages import CAUSE_WORDS

KEY = r"ControlSet001\Services\xenbus"


def number(value: int) -> RegistryValue:
    return RegistryValue(4, value.to_bytes(4, "little"))


def edit(action: Action, key: str = KEY, name: str | None = None, before=None, after=None, tree=None) -> Edit:
    return Edit(action, ControlSetNumber(1), KeyPath(key), name, before, after, tree, "rule", "why", "source", True)


SET = edit(Action.SET_VALUE, name="Start", before=number(0), after=number(4))
ADDED = edit(Action.SET_VALUE, name="New", after=number(1))
DROPPED = edit(Action.DELETE_VALUE, name="UpperFilters", before=number(7))
TREE = KeyTree((r"a\b", "a"), (NamedValue(r"a\b", "deep", number(2)), NamedValue("", "0", number(3))))
CUT = edit(Action.DELETE_KEY, tree=TREE)
MADE = edit(Action.CREATE_KEY)


def one(each: Edit, now: Standing) -> Reversal:
    return reverse([each], [now])


def causes(found: Reversal) -> list[str]:
    return [dict(each.details)["cause"] for each in found.left]


def shape(found: Reversal) -> list[tuple]:
    return [(each.action, each.key, each.value_name, each.before, each.after) for each in found.edits]


ROWS = {
    "value as left": (SET, Standing(True, True, number(4)), [(Action.SET_VALUE, KEY, "Start", number(4), number(0))], []),
    "value changed": (SET, Standing(True, True, number(2)), [], ["changed-since"]),
    "value of another type": (SET, Standing(True, True, RegistryValue(1, number(4).data)), [], ["changed-since"]),
    "value back already": (SET, Standing(True, True, number(0)), [], []),
    "value gone": (SET, Standing(True, True, None), [], ["changed-since"]),
    "key of the value gone": (SET, Standing(False, True), [], ["key-gone"]),
    "added value as left": (ADDED, Standing(True, True, number(1)), [(Action.DELETE_VALUE, KEY, "New", number(1), None)], []),
    "added value gone": (ADDED, Standing(True, True, None), [], []),
    "added value with its key gone": (ADDED, Standing(False, False), [], []),
    "deleted value": (DROPPED, Standing(True, True), [(Action.SET_VALUE, KEY, "UpperFilters", None, number(7))], []),
    "deleted value there again": (DROPPED, Standing(True, True, number(7)), [], []),
    "deleted value written anew": (DROPPED, Standing(True, True, number(8)), [], ["changed-since"]),
    "deleted value with its key gone": (DROPPED, Standing(False, True), [], ["key-gone"]),
    "deleted key": (
        CUT,
        Standing(False, True),
        [
            (Action.CREATE_KEY, KEY, None, None, None),
            (Action.CREATE_KEY, rf"{KEY}\a", None, None, None),
            (Action.CREATE_KEY, rf"{KEY}\a\b", None, None, None),
            (Action.SET_VALUE, rf"{KEY}\a\b", "deep", None, number(2)),
            (Action.SET_VALUE, KEY, "0", None, number(3)),
        ],
        [],
    ),
    "deleted key made again alike": (
        CUT,
        Standing(True, True, tree=KeyTree(("A", r"A\b"), tuple(reversed(TREE.values)))),
        [],
        [],
    ),
    "deleted key made again otherwise": (CUT, Standing(True, True, tree=KeyTree((), ())), [], ["there-again"]),
    "deleted key without a place": (CUT, Standing(False, False), [], ["key-gone"]),
    "made key, empty": (MADE, Standing(True, True, tree=KeyTree((), ())), [(Action.DELETE_KEY, KEY, None, None, None)], []),
    "made key, gone": (MADE, Standing(False, True), [], []),
    "made key with more in it": (
        MADE,
        Standing(True, True, tree=KeyTree((), (NamedValue("", "foreign", number(1)),))),
        [],
        ["more-in-it"],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_place_of_one_edit(name) -> None:
    given, now, edits, why = ROWS[name]
    found = one(given, now)
    assert shape(found) == edits
    assert causes(found) == why
    assert all(cause in CAUSE_WORDS for cause in why)


def test_made_key_goes_with_all_that_was_put_into_it() -> None:
    inner = edit(Action.CREATE_KEY, rf"{KEY}\Parameters")
    value = edit(Action.SET_VALUE, rf"{KEY}\Parameters", "BusType", None, number(1))
    below = KeyTree(("Parameters",), (NamedValue("Parameters", "BusType", number(1)),))
    inside = KeyTree((), (NamedValue("", "BusType", number(1)),))
    standing = [Standing(True, True, tree=below), Standing(True, True, tree=inside), Standing(True, True, number(1))]
    found = reverse([MADE, inner, value], standing)
    assert shape(found) == [(Action.DELETE_KEY, KEY, None, None, None)]
    assert found.edits[0].tree == below
    assert found.left == ()


def test_made_key_that_must_stay_still_loses_what_was_put_into_it() -> None:
    value = edit(Action.SET_VALUE, KEY, "BusType", None, number(1))
    there = KeyTree((), (NamedValue("", "BusType", number(1)), NamedValue("", "foreign", number(5))))
    found = reverse([MADE, value], [Standing(True, True, tree=there), Standing(True, True, number(1))])
    assert shape(found) == [(Action.DELETE_VALUE, KEY, "BusType", number(1), None)]
    assert causes(found) == ["more-in-it"]


def test_last_edit_is_taken_back_first() -> None:
    found = reverse([SET, DROPPED], [Standing(True, True, number(4)), Standing(True, True)])
    assert [each.value_name for each in found.edits] == ["UpperFilters", "Start"]
