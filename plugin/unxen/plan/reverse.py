# SPDX-License-Identifier: Apache-2.0
"""A repair is taken back value by value: what still stands as it left it goes back, what anybody changed since is theirs.

Touches nothing: edits and what stands in their places go in, edits and remarks come out. An edit whose place is already as before
needs neither.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unxen.model.edit import Action, Edit
from unxen.model.ids import KeyPath
from unxen.model.judgement import Note, NoteKind
from unxen.model.registry_facts import KeyTree, NamedValue
from unxen.model.standing import Standing
from unxen.plan.names import fold

WHY = "as it was before the repair"


@dataclass(frozen=True)
class Reversal:
    """The edits that take a repair back, in the order in which they are to be made, and what is left alone."""

    edits: tuple[Edit, ...]
    left: tuple[Note, ...]


def reverse(edits: Sequence[Edit], standing: Sequence[Standing]) -> Reversal:
    """The last edit first, as one walks back; keys that go as a whole before what was in them."""
    pairs = list(zip(edits, standing, strict=True))[::-1]
    made: list[Edit] = []
    left: list[Note] = []
    gone: list[str] = []
    for edit, now in sorted(pairs, key=lambda pair: pair[0].action is not Action.CREATE_KEY):
        if edit.action is not Action.CREATE_KEY and any(_is_below(edit.key, each) for each in gone):
            continue
        back, cause = _REVERSERS[edit.action](edit, now, edits)
        made += back
        gone += [each.key for each in back if each.action is Action.DELETE_KEY]
        if cause:
            left.append(_left_alone(edit, cause))
    return Reversal(tuple(_outermost(made)), tuple(left))


_Back = tuple[Sequence[Edit], str]


def _set(edit: Edit, now: Standing, _all: Sequence[Edit]) -> _Back:
    if now.value == edit.before and (now.key or edit.before is None):
        return (), ""
    if not now.key or now.value != edit.after:
        return (), _why_not(now)
    return (_edit(edit, Action.SET_VALUE if edit.before else Action.DELETE_VALUE),), ""


def _delete_value(edit: Edit, now: Standing, _all: Sequence[Edit]) -> _Back:
    if now.value == edit.before:
        return (), ""
    if not now.key or now.value is not None:
        return (), _why_not(now)
    return (_edit(edit, Action.SET_VALUE),), ""


def _delete_key(edit: Edit, now: Standing, _all: Sequence[Edit]) -> _Back:
    if now.key:
        same = now.tree is not None and edit.tree is not None and _sorted(now.tree) == _sorted(edit.tree)
        return (), "" if same else "there-again"
    if not now.above or edit.tree is None:
        return (), "key-gone"
    return tuple(_recreated(edit, edit.tree)), ""


def _create_key(edit: Edit, now: Standing, everything: Sequence[Edit]) -> _Back:
    """The key goes with what the repair put into it, if nothing else is in it by now."""
    if not now.key or now.tree is None:
        return (), ""
    if _sorted(now.tree) != _sorted(_made_below(edit.key, everything)):
        return (), "more-in-it"
    return (_edit(edit, Action.DELETE_KEY, tree=now.tree),), ""


_REVERSERS = {
    Action.SET_VALUE: _set,
    Action.DELETE_VALUE: _delete_value,
    Action.DELETE_KEY: _delete_key,
    Action.CREATE_KEY: _create_key,
}


def _why_not(now: Standing) -> str:
    return "changed-since" if now.key else "key-gone"


def _edit(edit: Edit, action: Action, tree: KeyTree | None = None) -> Edit:
    values = (None, None) if edit.value_name is None else (edit.after, edit.before)
    return Edit(action, edit.control_set, edit.key, edit.value_name, *values, tree, edit.rule, WHY, edit.source, edit.required)


def _recreated(edit: Edit, tree: KeyTree) -> Iterator[Edit]:
    """The key, those below from the top down, and all values."""
    below = sorted(tree.keys, key=lambda each: (each.count("\\"), each))
    for path in ("", *below):
        yield _new(edit, Action.CREATE_KEY, _joined(edit.key, path))
    for each in tree.values:
        yield _new(edit, Action.SET_VALUE, _joined(edit.key, each.key), each)


def _new(edit: Edit, action: Action, key: KeyPath, value: NamedValue | None = None) -> Edit:
    name, after = (value.name, value.value) if value else (None, None)
    return Edit(action, edit.control_set, key, name, None, after, None, edit.rule, WHY, edit.source, edit.required)


def _made_below(key: KeyPath, edits: Sequence[Edit]) -> KeyTree:
    """What a plan itself put below a key that it made."""
    inside = [each for each in edits if _is_below(each.key, key)]
    keys = [each.key[len(key) + 1 :] for each in inside if each.action is Action.CREATE_KEY and fold(each.key) != fold(key)]
    values = [
        NamedValue(each.key[len(key) + 1 :], each.value_name, each.after)
        for each in inside
        if each.action is Action.SET_VALUE and each.value_name is not None and each.after is not None
    ]
    return KeyTree(tuple(keys), tuple(values))


def _sorted(tree: KeyTree) -> tuple[object, ...]:
    """The same tree whoever walked and spelled it."""
    values = sorted((fold(each.key), fold(each.name), each.value.type, each.value.data) for each in tree.values)
    return tuple(sorted(map(fold, tree.keys))), tuple(values)


def _outermost(edits: Sequence[Edit]) -> Iterator[Edit]:
    """Keys that go with one above them need no edit of their own."""
    gone = [each.key for each in edits if each.action is Action.DELETE_KEY]
    for each in edits:
        if not any(fold(each.key) != fold(key) and _is_below(each.key, key) for key in gone):
            yield each


def _is_below(path: str, key: str) -> bool:
    """Whether a key is that key or lies in it."""
    return fold(path) == fold(key) or fold(path).startswith(f"{fold(key)}\\")


def _joined(key: KeyPath, below: str) -> KeyPath:
    return KeyPath(f"{key}\\{below}") if below else key


def _left_alone(edit: Edit, cause: str) -> Note:
    place = edit.key if edit.value_name is None else f"{edit.key}: {edit.value_name or '(Default)'}"
    return Note(NoteKind.LEFT_ALONE, place, (("cause", cause),))
