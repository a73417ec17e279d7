# SPDX-License-Identifier: Apache-2.0
"""Loading `dataclasses` and making the values' classes with it was a third of every short call: it compiles six methods for each.

Touches nothing. `dataclass`, `field`, `fields`, `replace` and `is_dataclass` mean here what they mean there, with methods that all
classes share, and work on classes made there, too; those that are made here are dataclasses to the standard library. What there is
none of (`__post_init__`, order, slots, `init=False`) is a TypeError when the class is made. A value takes half a microsecond more
to make, so a class with thousands of values has an `__init__` of its own. Why it is worth it: decision 027.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ("dataclass", "field", "fields", "is_dataclass", "replace")

T = TypeVar("T")
NOTHING: Any = object()
OURS, STANDARD = "__record_fields__", "__dataclass_fields__"


class _Field:
    """One field of a class."""

    def __init__(self, default: Any, default_factory: Any, repr: bool, compare: bool) -> None:
        self.name, self.type = "", NOTHING
        self.default, self.default_factory, self.repr, self.compare = default, default_factory, repr, compare


def _field(*, default: Any = NOTHING, default_factory: Any = NOTHING, repr: bool = True, compare: bool = True) -> Any:
    """A field that is more than its default."""
    return _Field(default, default_factory, repr, compare)


def _fields(kind: Any) -> tuple[Any, ...]:
    """The fields of a class, or of a value's, in their order; each has at least `name` and `type`."""
    if hasattr(kind, OURS):
        return tuple(getattr(kind, OURS).values())
    import dataclasses

    return dataclasses.fields(kind)


def _is_dataclass(kind: Any) -> bool:
    """Whether it is such a class, or a value of one."""
    return hasattr(kind, OURS) or hasattr(kind, STANDARD)


def _replace(value: T, /, **changes: Any) -> T:
    """The same value but for the changes."""
    same = {each.name: getattr(value, each.name) for each in _fields(value)}
    return type(value)(**{**same, **changes})


def _make(kind: type[T], *, frozen: bool) -> type[T]:
    if hasattr(kind, "__post_init__") or "__slots__" in kind.__dict__:
        raise TypeError(f"{kind.__name__}: neither __post_init__ nor slots here")
    made = _collected(kind)
    compared = [each.name for each in made.values() if each.compare]
    own: dict[str, Any] = {
        "__init__": _initialiser(kind.__name__, tuple(made.values())),
        "__repr__": _representation([each.name for each in made.values() if each.repr]),
        "__eq__": _equality(compared),
        "__match_args__": tuple(made),
    }
    for name, method in own.items():
        if name not in kind.__dict__:
            setattr(kind, name, method)
    setattr(kind, "__hash__", _hashing(compared) if frozen else None)  # noqa: B010  # mypy has its own idea of these
    if frozen:
        setattr(kind, "__setattr__", _refuse_to_set)  # noqa: B010
        setattr(kind, "__delattr__", _refuse_to_delete)  # noqa: B010
    setattr(kind, OURS, made)
    setattr(kind, STANDARD, _Translated(frozen))
    return kind


def _collected(kind: type) -> dict[str, _Field]:
    """The fields of the classes above, and its own."""
    found: dict[str, _Field] = {}
    for each in reversed(kind.__mro__[1:]):
        found.update(each.__dict__.get(OURS, {}))
    # `inspect`, which knows a nicer way, is most of what loading `dataclasses` costs.
    for name, hint in kind.__dict__.get("__annotations__", {}).items():  # noqa: RUF063
        given = kind.__dict__.get(name, NOTHING)
        made = given if isinstance(given, _Field) else _Field(given, NOTHING, True, True)
        made.name, made.type = name, hint
        if made.default is NOTHING and given is made:
            delattr(kind, name)
        elif given is made:
            setattr(kind, name, made.default)
        found[name] = made
    return found


def _initialiser(name: str, made: tuple[_Field, ...]) -> Callable[..., None]:
    names = tuple(each.name for each in made)
    known = frozenset(names)
    defaults = {each.name: each.default for each in made if each.default is not NOTHING}
    makers = {each.name: each.default_factory for each in made if each.default_factory is not NOTHING}

    def __init__(self: Any, /, *args: Any, **named: Any) -> None:  # noqa: N807
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


def _refuse_to_set(_self: Any, name: str, _value: Any) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: Any, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


class _Translated:
    """The fields as the standard library wants them, made when it asks for the first time."""

    def __init__(self, frozen: bool) -> None:
        self._frozen = frozen

    def __get__(self, _value: Any, kind: type) -> Any:
        import dataclasses

        rows = []
        for each in getattr(kind, OURS).values():
            given = {"default": each.default, "default_factory": each.default_factory}
            more = {name: value for name, value in given.items() if value is not NOTHING}
            rows.append((each.name, each.type, dataclasses.field(repr=each.repr, compare=each.compare, kw_only=False, **more)))
        found = getattr(dataclasses.make_dataclass(kind.__name__, rows, frozen=self._frozen), STANDARD)
        setattr(kind, STANDARD, found)
        return found


if TYPE_CHECKING:
    # For whoever checks types both are one.
    from dataclasses import dataclass, field, fields, is_dataclass, replace
else:

    def dataclass(kind: Any = None, /, *, frozen: bool = False) -> Any:
        """As a decorator, with or without `frozen`."""
        return _make(kind, frozen=frozen) if kind else lambda kind: _make(kind, frozen=frozen)

    field, fields, is_dataclass, replace = _field, _fields, _is_dataclass, _replace
