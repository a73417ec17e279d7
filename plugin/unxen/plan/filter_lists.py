# SPDX-License-Identifier: Apache-2.0
"""A filter list is bytes that somebody else also wrote: names come out without touching what stays.

Touches nothing. Foreign entries keep bytes and order, and the list keeps the ending it was found with: real hives end lists in
one empty string or in two, and backup programs in none.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum

from unxen.model.registry_facts import RegistryValue

SZ, EXPAND_SZ, MULTI_SZ = 1, 2, 7
TEXT_TYPES = (SZ, EXPAND_SZ)
SEPARATORS = re.compile(r"[\s,;\0]")
NUL = b"\0\0"


class Form(Enum):
    """What a value is as a list: names, one name as a string (edited by hand), or nothing that can be understood."""

    LIST = "list"
    ONE_NAME = "one-name"
    ODD = "odd"


def form(value: RegistryValue) -> Form:
    """How the value is to be read. Windows itself takes a string for a list of one."""
    if value.type == MULTI_SZ:
        return Form.LIST
    if value.type in TEXT_TYPES and not SEPARATORS.search(_text(value.data)):
        return Form.ONE_NAME
    return Form.ODD


def names(value: RegistryValue) -> tuple[str, ...]:
    """The names in the value, empty ones left out; an odd value is taken apart at everything that may separate."""
    kind = form(value)
    if kind is Form.ODD:
        return tuple(part for part in SEPARATORS.split(_text(value.data)) if part) if value.type in TEXT_TYPES else ()
    entries = _entries(_split(value.data)[0]) if kind is Form.LIST else [value.data]
    return tuple(name for name in map(_text, entries) if name)


def without(value: RegistryValue, unwanted: Callable[[str], bool]) -> RegistryValue | None:
    """The value after the unwanted names are cut out, None when no name is left; a value to be left alone comes back itself."""
    kind = form(value)
    if kind is Form.ODD or not any(map(unwanted, names(value))):
        return value
    if kind is Form.ONE_NAME:
        return None
    head, ending = _split(value.data)
    kept = [entry for entry in _entries(head) if not unwanted(_text(entry))]
    return RegistryValue(value.type, NUL.join(kept) + ending) if any(kept) else None


def with_names(value: RegistryValue | None, stock: Sequence[str], *, last: bool) -> RegistryValue:
    """The list with these names in it, each behind the one before it in `stock`, the first in front or, if `last`, behind all.

    None is a list that is to be made. Windows builds a stack from below in the order of the list.
    """
    if value is None:
        return RegistryValue(MULTI_SZ, "".join(f"{name}\0" for name in (*stock, "")).encode("utf-16-le"))
    head, ending = _split(value.data)
    kept = [entry for entry in _entries(head) if entry]
    at = len(kept) if last else 0
    for name in stock:
        found = next((place for place, entry in enumerate(kept) if _text(entry).casefold() == name.casefold()), None)
        if found is None:
            kept.insert(at, name.encode("utf-16-le"))
        at = at + 1 if found is None else found + 1
    return RegistryValue(value.type, NUL.join(kept) + (ending if head else NUL + NUL))


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The part up to the last letter, and the ending behind it (also half a letter, where the length is odd)."""
    end = len(data) - len(data) % 2
    while end and data[end - 2 : end] == NUL:
        end -= 2
    return data[:end], data[end:]


def _entries(head: bytes) -> list[bytes]:
    """The bytes of each name; a NUL counts only where a letter begins."""
    units = [head[at : at + 2] for at in range(0, len(head), 2)]
    entries, entry = [], bytearray()
    for unit in units:
        if unit == NUL:
            entries.append(bytes(entry))
            entry.clear()
        else:
            entry += unit
    return [*entries, bytes(entry)]


def _text(data: bytes) -> str:
    return data.decode("utf-16-le", errors="replace").rstrip("\0")
