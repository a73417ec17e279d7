# SPDX-License-Identifier: Apache-2.0
"""A frozen value of ours is what the standard library's is, in everything that it has."""

import dataclasses
import pickle
from collections.abc import Callable

import pytest
from unxen.model import record


def made_by(decorator: Callable) -> tuple[type, type]:
    """A class with every kind of field, and one that inherits it."""

    @decorator
    class Value:
        """A value."""

        number: int
        text: str = "default"
        unseen: object = dataclasses.field(default=None, repr=False, compare=False)
        rows: dict = dataclasses.field(default_factory=dict, compare=False)

        def __str__(self) -> str:
            return f"<{self.number}>"

    @decorator
    class Longer(Value):
        """One more."""

        more: int = 4

    return Value, Longer


OURS, STANDARD = (made_by(each(frozen=True)) for each in (record.dataclass, dataclasses.dataclass))
CALLS: tuple[Callable[[type], object], ...] = (
    lambda kind: kind(1),
    lambda kind: kind(1, "a", 2, {}),
    lambda kind: kind(text="a", number=1),
    lambda kind: kind(1, rows={3: 4}),
    lambda kind: str(kind(5)),
    lambda kind: kind(1) == kind(1, unseen=3),
    lambda kind: kind(1) == kind(2),
    lambda kind: kind(1) == (1, "default"),
    lambda kind: len({kind(1), kind(1, "default", 9), kind(2)}),
    lambda kind: dataclasses.replace(kind(1), text="b"),
    lambda kind: [(each.name, each.compare) for each in dataclasses.fields(kind)],
    lambda kind: kind.__match_args__,
    lambda kind: kind(1).rows is not kind(1).rows,
    lambda kind: kind(),
    lambda kind: kind(1, "a", 2, {}, 5, 6),
    lambda kind: kind(1, number=2),
    lambda kind: kind(1, unknown=2),
    lambda kind: dataclasses.replace(kind(1), unknown=2),
    lambda kind: setattr(kind(1), "number", 2),
    lambda kind: setattr(kind(1), "other", 2),
    lambda kind: delattr(kind(1), "number"),
)


def told(call: Callable[[type], object], kind: type) -> object:
    """What comes out, or what is raised."""
    try:
        found = call(kind)
    except (TypeError, AttributeError) as error:
        return type(error)
    return repr(found)


@pytest.mark.parametrize("place", [0, 1], ids=["value", "inherits"])
@pytest.mark.parametrize("number", range(len(CALLS)))
def test_it_does_what_the_standard_one_does(number: int, place: int) -> None:
    assert told(CALLS[number], OURS[place]) == told(CALLS[number], STANDARD[place])


@record.dataclass(frozen=True)
class Travelled:
    """What a worker sends home."""

    number: int


def test_a_value_travels_between_processes() -> None:
    assert pickle.loads(pickle.dumps(Travelled(3))) == Travelled(3)


def test_own_methods_stay() -> None:
    @record.dataclass(frozen=True)
    class Own:
        number: int

        def __eq__(self, other: object) -> bool:
            return True

        def __repr__(self) -> str:
            return "own"

    assert Own(1) == 2
    assert repr(Own(1)) == "own"


def test_what_it_cannot_do_is_an_error_when_the_class_is_made() -> None:
    with pytest.raises(TypeError):
        record.dataclass(frozen=False)

    class Checked:
        def __post_init__(self) -> None:
            pass

    with pytest.raises(TypeError, match="__post_init__"):
        record.dataclass(frozen=True)(Checked)
