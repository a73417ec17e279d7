# SPDX-License-Identifier: Apache-2.0
"""What a guest calls its things is shown, not obeyed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unxen.report.escape import clipped, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Ünïcode Юникод 日本", "Ünïcode Юникод 日本"),
        (r"\Windows\System32", r"\Windows\System32"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\nb\r\t", "a\\x0ab\\x0d\\x09"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\ud800", "\\ud800"),
        ("\x9b31m", "\\x9b31m"),
        ("\U000e0041", "\\U000e0041"),
        ("\u2028", "\\u2028"),
    ],
)
def test_steering_characters_become_escapes(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(alphabet=st.characters()))
def test_nothing_unprintable_is_left(text: str) -> None:
    assert visible(text).isprintable()
    assert clipped(text, 40).isprintable()
    assert len(clipped(text, 40)) <= 40


def test_both_ends_of_a_long_name_stay() -> None:
    assert clipped("begin" + "x" * 1000 + "end", 50).startswith("beginxx")
    assert clipped("begin" + "x" * 1000 + "end", 50).endswith("xxend")
