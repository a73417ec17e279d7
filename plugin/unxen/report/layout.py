# SPDX-License-Identifier: Apache-2.0
"""How text sits on a terminal: width, colours and marks, decided once by the command line and handed down.

Touches nothing. Colours are only ever added around finished, escaped text, so no guest's string can open or close one.
"""

import textwrap
from collections.abc import Iterable, Mapping
from enum import Enum

from unxen.model.record import dataclass, field


class Tone(Enum):
    """What a piece of text means; the number is the terminal's (ECMA-48) rendition."""

    GOOD = "32"
    BAD = "31"
    DOUBT = "33"
    STRONG = "1"
    QUIET = "2"


@dataclass(frozen=True)
class Style:
    """`hard` breaks words that are longer than a line (a person looks; in a pipe a path stays whole)."""

    width: int = 80
    colour: bool = False
    unicode: bool = True
    hard: bool = False

    def paint(self, text: str, tone: Tone) -> str:
        """The text in its tone, where colours are wanted."""
        return f"\x1b[{tone.value}m{text}\x1b[0m" if self.colour and text else text

    def mark(self, name: str) -> str:
        """A painted mark: good, bad, doubt, arrow."""
        sign, plain, tone = _MARKS[name]
        shown = sign if self.unicode else plain
        return self.paint(shown, tone) if tone else shown


_MARKS: dict[str, tuple[str, str, Tone | None]] = {
    "good": ("✓", "+", Tone.GOOD),
    "bad": ("✗", "x", Tone.BAD),
    "doubt": ("?", "?", Tone.DOUBT),
    "arrow": ("→", "->", None),
    "dot": ("·", "-", None),
}


LEAST_ROOM, BELOW = 24, 4
"""Columns that text needs behind a label, and by how much more than its label it is indented where they are not there."""


@dataclass(frozen=True)
class Context:
    """What a report needs beside the outcome: the style, names of driver families, options to repeat in commands."""

    style: Style = field(default_factory=Style)
    families: Mapping[str, str] = field(default_factory=dict)
    options: str = ""
    full: bool = False


def wrapped(style: Style, text: str, first: str, later: str | None = None) -> list[str]:
    """Lines of the text behind an indent; `first` may hold a label, `later` is the indent of what follows.

    Text hangs behind its label; where that would leave it no room it goes on below.
    """
    rest = later
    if rest is None and style.width - len(first) >= LEAST_ROOM:
        rest = " " * len(first)
    elif rest is None:
        rest = " " * (BELOW + (len(first) - len(first.lstrip()) if first.strip() else BELOW))
        first = first if first.strip() else rest
    return textwrap.wrap(
        text,
        style.width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=style.hard,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def labelled(style: Style, label: str, text: str, indent: int = 2, column: int = 18) -> list[str]:
    """`  label       text`, the text wrapped in its column."""
    return wrapped(style, text, f"{' ' * indent}{label:<{column}}")


def heading(style: Style, text: str, indent: int = 2) -> list[str]:
    """An empty line and a title."""
    return ["", " " * indent + style.paint(text, Tone.STRONG)]


def joined(names: Iterable[str]) -> str:
    """Names once each, in their order, with commas; what differs in case only is one name to Windows."""
    once: dict[str, str] = {}
    for name in names:
        once.setdefault(name.casefold(), name)
    return ", ".join(once.values())
