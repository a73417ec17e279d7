# SPDX-License-Identifier: Apache-2.0
"""What unxen writes into a VM's notes and tags stays in its own place and never costs anybody a word."""

from hypothesis import given
from hypothesis import strategies as st
from unxen.platforms.proxmox.notes import BEGIN, END, LONGEST, with_note, with_tag

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=400)


def test_line_goes_below_what_was_there() -> None:
    assert with_note("mine", "repaired") == f"mine\n\n{BEGIN}\n- repaired\n{END}"
    assert with_note("", "repaired") == f"{BEGIN}\n- repaired\n{END}"


def test_next_line_goes_into_the_same_section_and_what_follows_it_stays() -> None:
    first = with_note("mine", "one")
    assert first is not None
    assert with_note(first + "\nand more", "two") == f"mine\n\n{BEGIN}\n- one\n- two\n{END}\nand more"


def test_old_lines_give_way() -> None:
    text: str | None = "mine"
    for number in range(30):
        text = with_note(text or "", f"number {number}")
    assert text is not None
    assert "number 29" in text
    assert "number 19" not in text
    assert text.startswith("mine\n")


def test_section_gives_way_to_notes_that_fill_the_place() -> None:
    assert with_note("x" * (LONGEST - 20), "repaired") is None
    nearly = "x" * (LONGEST - 100)
    made = with_note(nearly, "repaired")
    assert made is not None
    assert len(made) <= LONGEST
    assert with_note(made, "y" * 20) is not None
    assert "repaired" not in (with_note(made, "y" * 20) or "")


def test_line_cannot_be_markup() -> None:
    made = with_note("", "<script>[x](y) `z` *b* _i_ | & \\ \n# head")
    assert made is not None
    (line,) = [each for each in made.split("\n") if each.startswith("- ")]
    assert not set(line[2:]) & set("<>[]`*_|&\\")


@given(TEXT, st.lists(TEXT, max_size=4))
def test_foreign_text_is_never_lost_and_the_limit_holds(description: str, lines: list[str]) -> None:
    now = description
    for line in lines:
        made = with_note(now, line)
        if made is not None:
            assert len(made) <= LONGEST
            assert made.startswith(description)
            now = made


def test_tag_is_added_once() -> None:
    assert with_tag("") == "unxen"
    assert with_tag("zed;abc") == "zed;abc;unxen"
    assert with_tag("a, UNXEN b") is None
