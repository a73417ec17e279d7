# SPDX-License-Identifier: Apache-2.0
"""A frozen value of ours is what the standard library's is, in everything that it has."""

import dataclasses
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from unxen.model import record

PLUGIN = str(Path(record.__file__).parents[2])


def made_by(module: ModuleType, **how: bool) -> tuple[type, type]:
    """A class with every kind of field, and one that inherits it."""

    @module.dataclass(**how)
    class Value:
        """A value."""

        number: int
        text: str = "default"
        unseen: object = module.field(default=None, repr=False, compare=False)
        rows: dict = module.field(default_factory=dict, compare=False)

        def __str__(self) -> str:
            return f"<{self.number}>"

    @module.dataclass(**how)
    class Longer(Value):
        """One more."""

        more: int = 4

    return Value, Longer


KINDS = [
    (ours, theirs)
    for how in ({"frozen": True}, {"frozen": False}, {})
    for ours, theirs in zip(made_by(record, **how), made_by(dataclasses, **how), strict=True)
]
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
    lambda kind: hash(kind(1)) == hash(kind(1)),
    lambda kind: record.replace(kind(1), text="b"),
    lambda kind: record.replace(kind(1), unknown=2),
    lambda kind: [(each.name, each.type) for each in record.fields(kind)],
    lambda kind: [(each.name, each.type) for each in record.fields(kind(3))],
    lambda kind: (record.is_dataclass(kind), record.is_dataclass(kind(1)), record.is_dataclass(3)),
    lambda kind: (dataclasses.is_dataclass(kind), dataclasses.is_dataclass(kind(1))),
    lambda kind: dataclasses.asdict(kind(1)),
    lambda kind: kind.text,
    lambda kind: kind.number,
)


def told(call: Callable[[type], object], kind: type) -> object:
    """What comes out, or what is raised."""
    try:
        found = call(kind)
    except (TypeError, AttributeError) as error:
        return type(error)
    return repr(found)


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("number", range(len(CALLS)))
def test_it_does_what_the_standard_one_does(number: int, kinds: tuple[type, type]) -> None:
    ours, theirs = kinds
    assert told(CALLS[number], ours) == told(CALLS[number], theirs)


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


def test_a_field_may_have_any_name() -> None:
    @record.dataclass(frozen=True)
    class Named:
        value: int
        kind: int = 2
        cls: int = 3

    assert record.replace(Named(1), value=4, kind=5, cls=6) == Named(4, kind=5, cls=6) == Named(value=4, kind=5, cls=6)


def test_an_own_initialiser_is_used() -> None:
    @record.dataclass(frozen=True)
    class Many:
        number: int

        def __init__(self, number: int) -> None:
            self.__dict__.update(number=number + 1)

    assert (Many(1).number, Many(1), record.replace(Many(1), number=5).number) == (2, Many(1), 6)


def test_what_it_cannot_do_is_an_error_when_the_class_is_made() -> None:
    class Checked:
        def __post_init__(self) -> None:
            pass

    with pytest.raises(TypeError, match="__post_init__"):
        record.dataclass(frozen=True)(Checked)


LOADED = ("unxen.cli.main", "unxen.workflow.repair", "unxen.probe.child", "unxen.probe.look_inside", "unxen.probe.registry_answers")


@pytest.mark.parametrize("module", LOADED)
def test_neither_a_look_nor_its_boxes_load_what_is_slow_to_load(module: str) -> None:
    """Each costs as much as all our classes together."""
    program = f"import sys; sys.path[:0] = [{PLUGIN!r}, '/usr/lib/python3/dist-packages']; import {module}; print(*sys.modules)"
    command = ["/usr/bin/python3", "-I", "-S", "-c", program]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"dataclasses", "inspect"} & set(loaded)
