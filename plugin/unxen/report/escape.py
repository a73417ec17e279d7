# SPDX-License-Identifier: Apache-2.0
r"""Names that a guest chose must not steer a terminal, so everything printed passes here and shows what it really is.

Touches nothing, never fails. Control characters, ESC, line breaks, bidirectional marks, invisible separators and lone surrogates
become `\x1b`, `\u202e`, `\U000e0001`; letters of every script stay. Text and JSON alike: `jq -r` prints on terminals too. A literal
backslash stays one, because registry paths are full of them; the exact bytes of a value stand beside it in hexadecimal.
"""


def visible(text: str) -> str:
    """The same text with every character that is not printable written as an escape."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    code = ord(letter)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def clipped(text: str, limit: int = 300) -> str:
    """Visible text, cut in the middle when a guest made it absurdly long; both ends tell more than one."""
    shown = visible(text)
    if len(shown) <= limit:
        return shown
    half = (limit - 5) // 2
    return f"{shown[:half]} ... {shown[-half:]}"
