# SPDX-License-Identifier: Apache-2.0
"""A TOML document becomes rows, and nothing of another type, no unknown word and no control character gets through.

Touches nothing. Raises `Wrong`, which names the field and the problem; the loader adds file and row.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any

from unxen.knowledge.layout import DEFAULTS, Row, Table
from unxen.knowledge.tables import NEWEST, NtVersion
from unxen.model.record import fields

VERSION = re.compile(r"\d{1,2}\.\d{1,2}(\.\d{1,6})?")
LONGEST = 300
Decoder = Callable[[Any], Any]


class Wrong(Exception):
    """A field of a row is not what it must be."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field, self.problem = field, problem


def decode_row(table: Table, document: object) -> Row:
    """The row that a TOML table says."""
    if not isinstance(document, dict):
        raise Wrong("", f"must be a table below [[{table.heading}]]")
    decoders = _decoders(table.kind)
    for name in document:
        if name not in decoders:
            raise Wrong(name, "is not a field of this table")
    return table.kind(**{name: _field(name, decoder, document) for name, decoder in decoders.items()})


@cache
def _decoders(kind: type) -> Mapping[str, Decoder]:
    return {field.name: VERSIONS.get(field.name) or _decoder(field.type) for field in fields(kind)}


def _field(name: str, decoder: Decoder, document: Mapping[str, Any]) -> Any:
    if name not in document:
        if name in DEFAULTS:
            return DEFAULTS[name]
        raise Wrong(name, "is missing")
    try:
        return decoder(document[name])
    except ValueError as error:
        raise Wrong(name, str(error)) from error


def _decoder(kind: Any) -> Decoder:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda given: _enum(kind, given)
    return DECODERS[kind]


def _text(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise ValueError("must be a text that is not empty")
    if len(given) > LONGEST:
        raise ValueError(f"must not be longer than {LONGEST} characters")
    if not given.isprintable():
        raise ValueError("must not hold control characters or line breaks")
    return given


def _texts(given: object) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise ValueError("must be a list of texts")
    texts = tuple(map(_text, given))
    if len({each.casefold() for each in texts}) != len(texts):
        raise ValueError("names something twice")
    return texts


def _number(given: object) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError("must be a whole number")
    return given


def _truth(given: object) -> bool:
    if not isinstance(given, bool):
        raise ValueError("must be true or false")
    return given


def _enum(kind: type[Enum], given: object) -> Enum:
    try:
        return kind(given)
    except ValueError:
        raise ValueError("must be one of " + ", ".join(str(each.value) for each in kind)) from None


def _lowest(given: object) -> NtVersion:
    return _version(given, 0)


def _highest(given: object) -> NtVersion:
    return _version(given, NEWEST[2])


def _version(given: object, build: int) -> NtVersion:
    """Major, minor and build; without a build, the first or the last one of that version."""
    if not isinstance(given, str) or not VERSION.fullmatch(given):
        raise ValueError('must be a version such as "6.1" or "10.0.20348"')
    parts = [int(part) for part in given.split(".")]
    return parts[0], parts[1], parts[2] if len(parts) == 3 else build


DECODERS: Mapping[Any, Decoder] = {
    str: _text,
    str | None: _text,
    tuple[str, ...]: _texts,
    int: _number,
    int | None: _number,
    bool: _truth,
}
# Both are triples of numbers; only their names tell which end of a range they are.
VERSIONS: Mapping[str, Decoder] = {"nt_from": _lowest, "nt_to": _highest}
