# SPDX-License-Identifier: Apache-2.0
"""Bends bytes and documents the way parsers are broken: edges of numbers, lengths that lie, pieces in the wrong place.

Touches nothing; the same seed bends in the same way.
"""

import copy
import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

EDGES = (0, 1, 2, 3, 4, 7, 8, 15, 16, 0x7F, 0x80, 0xFF, 0x100, 0x1FF, 0x200, 0x1000, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
LARGE = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
WIDTHS = {"<B": 1, "<H": 2, ">H": 2, "<I": 4, ">I": 4, "<Q": 8, ">Q": 8}
STRINGS = (
    "",
    "\0",
    "a\nb",
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "<script>alert(1)</script>",
    "\u202egnp.exe",
    "\ud800",
    "\udcff",
    "x" * 3000,
    "\\" * 600,
    "..\\..\\x",
    "/",
    "%s{}",
    "1:1:\\Windows",
    "hex(7):00",
    "]\r\n[-HKEY_LOCAL_MACHINE\\SYSTEM]",
    "1e999",
    "İ",
)


def bend(data: bytes, rng: Random, places: Callable[[Random, int], int] | None = None) -> bytes:
    """The bytes with one to six changes; `places` says where they are likely to matter."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        wanted = places(rng, len(made)) if places else rng.randrange(len(made) or 1)
        where = max(0, min(wanted, len(made) - 1))
        rng.choice(BENDS)(made, where, rng)
    return bytes(made)


def _number(made: bytearray, where: int, rng: Random) -> None:
    """A whole number of any width becomes an edge, or a neighbour of what it was."""
    form = rng.choice(tuple(WIDTHS))
    width = WIDTHS[form]
    where -= where % width
    if where + width > len(made):
        return
    limit = 1 << 8 * width
    (was,) = struct.unpack_from(form, made, where)
    value = rng.choice(
        (rng.choice(EDGES), rng.choice(LARGE), was + rng.choice((-8, -2, -1, 1, 2, 8)), was ^ 1 << rng.randrange(8 * width))
    )
    struct.pack_into(form, made, where, value % limit)


def _byte(made: bytearray, where: int, rng: Random) -> None:
    if made:
        made[where] = rng.randrange(256)


def _noise(made: bytearray, where: int, rng: Random) -> None:
    length = min(rng.choice((2, 4, 16, 64)), len(made) - where)
    made[where : where + length] = rng.randbytes(length)


def _copy(made: bytearray, where: int, rng: Random) -> None:
    """A piece of the same data in another place, or of zeros."""
    length = min(rng.choice((4, 8, 16, 64, 512)), len(made) - where)
    start = rng.randrange(len(made) - length + 1)
    made[where : where + length] = made[start : start + length] if rng.random() < 0.8 else bytes(length)


def _cut(made: bytearray, where: int, rng: Random) -> None:
    if rng.random() < 0.3:
        del made[where:]


def _grow(made: bytearray, where: int, rng: Random) -> None:
    if rng.random() < 0.3:
        made[where:where] = rng.randbytes(rng.choice((1, 2, 7, 64)))


BENDS = (_number, _number, _number, _byte, _noise, _copy, _cut, _grow)


def bend_document(text: bytes, rng: Random) -> bytes:
    """A JSON document with one to four of its parts replaced, removed, doubled, or taken from elsewhere in it."""
    document = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _replace(*_some_place(document, rng), document, rng)
    return json.dumps(document).encode()


def _some_place(document: Any, rng: Random) -> tuple[Any, Any]:
    """What holds a place and its key there, found from the top down, so that small parts are met as often as large ones."""
    held, key = {"": document}, ""
    while isinstance(held[key], dict | list) and held[key] and rng.random() < 0.97:
        held = held[key]
        key = rng.choice(list(held)) if isinstance(held, dict) else rng.randrange(len(held))
    return held, key


def _replace(holder: Any, key: Any, document: Any, rng: Random) -> None:
    was = holder[key]
    kind = rng.randrange(30)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(was))
    elif kind == 2:
        other, place = _some_place(document, rng)
        holder[key] = copy.deepcopy(other[place])
    elif kind == 3:
        holder[key] = rng.choice(
            (None, True, False, 1.5, [], {}, "", {"missing": "absent"}, {"missing": "not-looked-at"}, -1, 10**30)
        )
    else:
        holder[key] = _of_its_kind(was, rng)


def _of_its_kind(was: Any, rng: Random) -> Any:
    """Another value that a strict decoder lets through."""
    if isinstance(was, bool):
        return not was
    if isinstance(was, int):
        return rng.choice((*EDGES, *LARGE, -1, was + 1, was - 1))
    if isinstance(was, str):
        return rng.choice((*STRINGS, was.upper(), was + rng.choice(STRINGS), was[: len(was) // 2], rng.randbytes(8).hex()))
    if isinstance(was, list):
        return rng.choice((was * 2, was[:-1], was[::-1], was * 50 if len(was) < 20 else []))
    return was
