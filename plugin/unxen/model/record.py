# SPDX-License-Identifier: Apache-2.0
"""Loading the values' classes was a quarter of every short call: the standard decorator writes and compiles six methods for each.

Touches nothing. `@dataclass(frozen=True)` from here means what it means in `dataclasses`, with methods that all classes share.
Fields, defaults and inheritance stay the standard library's business, so its `fields` and `replace` work on these classes, too.
What it does not have (`__post_init__`, order, slots) is a TypeError when the class is made. A value takes half a microsecond more:
a class with thousands of values is better made by the standard one.
"""

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ("dataclass",)

T = TypeVar("T")
NOTHING = dataclasses.MISSING


def _frozen(kind: type[T]) -> type[T]:
    if hasattr(kind, "__post_init__"):
        raise TypeError(f"{kind.__name__}: no __post_init__ here")
    dataclasses.dataclass(init=False, repr=False, eq=False)(kind)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]  # the line above made it one
    own: dict[str, Any] = {
        "__init__": _initialiser(kind.__name__, fields),
        "__eq__": _equality([each.name for each in fields if each.compare]),
        "__hash__": _hashing([each.name for each in fields if each.compare]),
        "__repr__": _representation([each.name for each in fields if each.repr]),
        "__setattr__": _refuse_to_set,
        "__delattr__": _refuse_to_delete,
    }
    for name, method in own.items():
        if name not in kind.__dict__ or (name == "__hash__" and kind.__dict__[name] is None):
            setattr(kind, name, method)
    return kind


def _initialiser(name: str, fields: tuple[dataclasses.Field[Any], ...]) -> Callable[..., None]:
    names = tuple(each.name for each in fields)
    known = frozenset(names)
    defaults = {each.name: each.default for each in fields if each.default is not NOTHING}
    makers = {each.name: each.default_factory for each in fields if each.default_factory is not NOTHING}

    def __init__(self: Any, *args: Any, **named: Any) -> None:  # noqa: N807
        # Past __setattr__, which refuses.
        values = self.__dict__
        if len(args) == len(names) and not named:
            values.update(zip(names, args, strict=True))
            return
        values.update(defaults)
        values.update(zip(names, args, strict=False))
        values.update(named)
        for each in makers:
            if each not in values:
                values[each] = makers[each]()
        if values.keys() != known or len(args) > len(names) or (args and named and not named.keys().isdisjoint(names[: len(args)])):
            raise TypeError(f"{name}({', '.join(names)}) made from {len(args)} values and {sorted(named)}")

    return __init__


def _equality(names: list[str]) -> Callable[[Any, object], bool]:
    values = _getter(names)

    def __eq__(self: Any, other: object) -> bool:  # noqa: N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(values(self) == values(other))

    return __eq__


def _hashing(names: list[str]) -> Callable[[Any], int]:
    values = _getter(names)

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _representation(names: list[str]) -> Callable[[Any], str]:
    def __repr__(self: Any) -> str:  # noqa: N807
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{self.__class__.__qualname__}({shown})"

    return __repr__


def _getter(names: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()


def _refuse_to_set(self: Any, name: str, _value: Any) -> None:  # noqa: ARG001
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:  # noqa: ARG001
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


if TYPE_CHECKING:
    # For whoever checks types the two are one.
    from dataclasses import dataclass
else:

    def dataclass(*, frozen: bool) -> Callable[[type[T]], type[T]]:
        """As a decorator: `@dataclass(frozen=True)`; there is no other kind here."""
        if not frozen:
            raise TypeError("only frozen ones")
        return _frozen
