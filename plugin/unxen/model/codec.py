# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses become JSON and come back, strictly: nothing coerced, nothing unknown let through.

Touches nothing. What comes out of a sandbox is decoded here, so every deviation raises CodecError and costs at most the size
of its input. Bytes are hexadecimal text; enums their values; a Missing is `{"missing": "absent"}`; tuples are lists.
"""

from collections.abc import Callable, Hashable
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from unxen.model.ids import Missing
from unxen.model.record import fields, is_dataclass

T = TypeVar("T")
Decoder = Callable[[Any, str], Any]


class CodecError(ValueError):
    """A document is not of the shape asked for; `place` is the path inside it."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place or '.'}: {problem}")
        self.place = place
        self.problem = problem


def encode(value: Any) -> Any:
    """The JSON form of a value of the model: only dicts, lists, strings, numbers, booleans and None."""
    if isinstance(value, Missing):
        return {"missing": value.value}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple | list):
        return [encode(each) for each in value]
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"no JSON form for {type(value).__name__}")


def decode(kind: type[T], document: Any) -> T:
    """A value of `kind` from its JSON form; raises CodecError at the first deviation."""
    made: T = _decoder(cast(Hashable, kind))(document, "")
    return made


@cache
def _decoder(kind: Any) -> Decoder:
    """The decoder of one type hint."""
    if isinstance(kind, NewType):
        return _decoder(kind.__supertype__)
    if kind is Missing:
        return _decode_missing
    if kind is bytes:
        return _decode_bytes
    if kind is float:
        return _decode_float
    if kind in (str, int, bool, NoneType):
        return _plain_decoder(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_decoder(kind)
    if is_dataclass(kind):
        return _dataclass_decoder(kind)
    return _generic_decoder(kind)


def _generic_decoder(kind: Any) -> Decoder:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _union_decoder(get_args(kind))
    if origin is tuple:
        parts = get_args(kind)
        return _list_decoder(parts[0]) if parts[1:] == (...,) else _tuple_decoder(parts)
    raise TypeError(f"no decoder for {kind!r}")


def _plain_decoder(kind: type) -> Decoder:
    def run(document: Any, place: str) -> Any:
        if type(document) is not kind:
            raise CodecError(place, f"{kind.__name__} expected")
        return document

    return run


def _decode_float(document: Any, place: str) -> float:
    if type(document) not in (int, float):
        raise CodecError(place, "number expected")
    return float(document)


def _decode_bytes(document: Any, place: str) -> bytes:
    try:
        return bytes.fromhex(document)
    except (TypeError, ValueError) as error:
        raise CodecError(place, "hexadecimal bytes expected") from error


def _decode_missing(document: Any, place: str) -> Missing:
    if type(document) is not dict or set(document) != {"missing"}:
        raise CodecError(place, "a missing value expected")
    try:
        return Missing(document["missing"])
    except ValueError as error:
        raise CodecError(place, "unknown kind of missing value") from error


def _enum_decoder(kind: type[Enum]) -> Decoder:
    def run(document: Any, place: str) -> Any:
        try:
            return kind(document)
        except ValueError as error:
            raise CodecError(place, f"no {kind.__name__}") from error

    return run


def _union_decoder(parts: tuple[Any, ...]) -> Decoder:
    decoders = [_decoder(part) for part in parts]

    def run(document: Any, place: str) -> Any:
        for each in decoders:
            try:
                return each(document, place)
            except CodecError as error:
                last = error
        raise last

    return run


def _list_decoder(part: Any) -> Decoder:
    inner = _decoder(part)

    def run(document: Any, place: str) -> Any:
        if type(document) is not list:
            raise CodecError(place, "list expected")
        return tuple(inner(each, f"{place}[{index}]") for index, each in enumerate(document))

    return run


def _tuple_decoder(parts: tuple[Any, ...]) -> Decoder:
    decoders = [_decoder(part) for part in parts]

    def run(document: Any, place: str) -> Any:
        if type(document) is not list or len(document) != len(decoders):
            raise CodecError(place, f"list of {len(decoders)} expected")
        return tuple(inner(each, f"{place}[{index}]") for index, (inner, each) in enumerate(zip(decoders, document, strict=True)))

    return run


def _dataclass_decoder(kind: Any) -> Decoder:
    hints = get_type_hints(kind)
    decoders = {field.name: _decoder(hints[field.name]) for field in fields(kind)}

    def run(document: Any, place: str) -> Any:
        if type(document) is not dict:
            raise CodecError(place, f"{kind.__name__} expected")
        if document.keys() != decoders.keys():
            odd = sorted(document.keys() ^ decoders.keys(), key=str)
            raise CodecError(place, f"{kind.__name__}: keys missing or unknown: {', '.join(map(repr, odd[:5]))}")
        return kind(**{name: inner(document[name], f"{place}.{name}") for name, inner in decoders.items()})

    return run
