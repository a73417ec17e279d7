# SPDX-License-Identifier: Apache-2.0
"""The grammar of xl configuration files, by our own reading: libvirt's parser exists only on a host that runs Xen.

Touches nothing. Settings stand on lines or between semicolons; values are strings, numbers and lists, which may go over lines.
Raises Unreadable with the line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from unxen.platforms.xen.unreadable import Unreadable

Value = str | int | list["Value"]
MOST_DEPTH = 8
LONGEST_NUMBER = 20
_TOKENS = re.compile(
    r"""(?P<blank>[ \t\r\f]+|\\\r?\n|\#[^\n]*)
      | (?P<end>[\n;])
      | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
      | (?P<number>-?(?:0[xX][0-9a-fA-F]+|[0-9]+)(?![\w.]))
      | (?P<name>[A-Za-z_]\w*)
      | (?P<mark>\+=|[=\[\],])
      | (?P<other>.)""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", '"': '"', "\\": "\\"}


@dataclass(frozen=True)
class Setting:
    """One assignment and the line on which it begins."""

    name: str
    value: Value
    line: int


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


def read_settings(text: str) -> list[Setting]:
    """All settings in order; `+=` adds to what stood before, as xl does."""
    tokens = _Tokens(text)
    found: dict[str, Setting] = {}
    while not tokens.at_end():
        name = tokens.take("name", "the name of an option")
        sign = tokens.take("mark", "= after the name of an option")
        if sign.text not in ("=", "+="):
            tokens.complain(sign, "= after the name of an option")
        value = _value(tokens, 0)
        tokens.end_of_setting()
        before = found.pop(name.text, None) if sign.text == "+=" else None
        found[name.text] = Setting(name.text, _joined(before, value, name.line), before.line if before else name.line)
    return list(found.values())


def _joined(before: Setting | None, value: Value, line: int) -> Value:
    if before is None:
        return value
    if isinstance(before.value, list) and isinstance(value, list):
        return [*before.value, *value]
    if isinstance(before.value, str) and isinstance(value, str):
        return before.value + value
    raise Unreadable("+= joins lists with lists and strings with strings", line)


class _Tokens:
    """The tokens that mean something, one ahead."""

    def __init__(self, text: str) -> None:
        self._stream = _tokens(text)
        self._next = next(self._stream)

    def at_end(self) -> bool:
        """Whether only ends are left."""
        self._skip("end")
        return self._next.kind == "eof"

    def peek(self) -> _Token:
        """The next token, which stays."""
        return self._next

    def pop(self) -> _Token:
        """The next token."""
        token = self._next
        if token.kind != "eof":
            self._next = next(self._stream)
        return token

    def take(self, kind: str, expected: str) -> _Token:
        """The next token, of this kind."""
        token = self.pop()
        if token.kind != kind:
            self.complain(token, expected)
        return token

    def inside_list(self) -> _Token:
        """The next token of a list, in which lines do not count."""
        while self._next.kind == "end" and self._next.text == "\n":
            self.pop()
        return self._next

    def end_of_setting(self) -> None:
        """A setting ends with its line, a semicolon, or the file."""
        if self._next.kind not in ("end", "eof"):
            self.complain(self._next, "the end of the line")

    def complain(self, token: _Token, expected: str) -> NoReturn:
        """Says what was expected and what stands there."""
        found = (
            "the end of the file" if token.kind == "eof" else "the end of the line" if token.text == "\n" else repr(token.text[:40])
        )
        raise Unreadable(f"{expected} is expected, not {found}", token.line)

    def _skip(self, kind: str) -> None:
        while self._next.kind == kind:
            self.pop()


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKENS.finditer(text):
        kind = match.lastgroup or "other"
        if kind != "blank":
            yield _Token(kind, match[0], line)
        line += match[0].count("\n")
    yield _Token("eof", "", line)


def _value(tokens: _Tokens, depth: int) -> Value:
    token = tokens.pop()
    if token.kind == "string":
        return _unquoted(token)
    if token.kind == "number":
        return _number(token)
    if token.text != "[" or depth >= MOST_DEPTH:
        tokens.complain(token, "a string, a number or a list")
    return _list(tokens, depth)


def _list(tokens: _Tokens, depth: int) -> list[Value]:
    values: list[Value] = []
    while tokens.inside_list().text != "]":
        values.append(_value(tokens, depth + 1))
        after = tokens.inside_list()
        if after.text == ",":
            tokens.pop()
        elif after.text != "]":
            tokens.complain(after, "a comma or ] in a list")
    tokens.pop()
    return values


def _number(token: _Token) -> int:
    """As C's strtoull reads it: 0x is hexadecimal, a leading zero octal, where the digits are."""
    digits = token.text.lstrip("-")
    if len(digits) > LONGEST_NUMBER:
        raise Unreadable("a number is too long", token.line)
    octal = digits.isdecimal() and digits.startswith("0") and not set(digits) & {"8", "9"}
    number = int(digits, 8) if octal else int(digits) if digits.isdecimal() else int(digits, 16)
    return -number if token.text.startswith("-") else number


def _unquoted(token: _Token) -> str:
    def letter(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "x" and len(code) == 3:
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8) & 0xFF)
        if code not in _ESCAPES:
            raise Unreadable(rf"\{code} is no escape", token.line)
        return _ESCAPES[code]

    return _ESCAPE.sub(letter, token.text[1:-1])
