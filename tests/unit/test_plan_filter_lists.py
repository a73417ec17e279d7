# SPDX-License-Identifier: Apache-2.0
"""Names come out of a filter list without touching a byte of what stays."""

import pytest
from unit.facts_builder import dword, multi, string
from unxen.model.registry_facts import RegistryValue
from unxen.plan.filter_lists import Form, form, names, without


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def is_xen(name: str) -> bool:
    return name.casefold() == "xenfilt"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("XENFILT\0other\0\0", "other\0\0"),
        ("other\0XenFilt\0\0", "other\0\0"),
        ("a\0xenfilt\0B\0\0", "a\0B\0\0"),
        ("XENFILT\0xenfilt\0other\0\0", "other\0\0"),
        ("other\0XENFILT\0\0\0", "other\0\0\0"),
        ("other\0XENFILT\0", "other\0"),
        ("other\0XENFILT", "other"),
        ("a\0\0XENFILT\0\0", "a\0\0\0"),
        ("ÄÖ漢\0XENFILT\0\0", "ÄÖ漢\0\0"),
    ],
)
def test_other_names_keep_bytes_order_and_ending(before: str, after: str) -> None:
    assert without(RegistryValue(7, wide(before)), is_xen) == RegistryValue(7, wide(after))


def test_half_a_letter_at_the_end_stays() -> None:
    assert without(RegistryValue(7, wide("XENFILT\0other\0\0") + b"\x01"), is_xen) == RegistryValue(7, wide("other\0\0") + b"\x01")


@pytest.mark.parametrize("text", ["XENFILT\0\0", "XENFILT", "xenfilt\0XENFILT\0\0\0", "\0XENFILT\0\0"])
def test_a_list_without_other_names_is_gone(text: str) -> None:
    assert without(RegistryValue(7, wide(text)), is_xen) is None


@pytest.mark.parametrize("text", ["MaxEntries\0\0", "xenfilter\0\0", "myxenfilt\0\0", "", "\0\0"])
def test_substrings_and_empty_lists_are_left_alone(text: str) -> None:
    value = RegistryValue(7, wide(text))
    assert without(value, is_xen) is value


def test_a_letter_whose_low_byte_is_zero_does_not_separate() -> None:
    value = RegistryValue(7, wide("aĀb\0xenfilt\0\0"))
    assert names(value) == ("aĀb", "xenfilt")
    assert without(value, is_xen) == RegistryValue(7, wide("aĀb\0\0"))


def test_a_string_of_one_xen_name_is_gone_and_of_another_stays() -> None:
    assert without(string("XENFILT"), is_xen) is None
    assert without(string("other"), is_xen) == string("other")


@pytest.mark.parametrize(
    "value", [string("XENFILT other"), string("XENFILT,other"), string("a\0XENFILT"), dword(1), RegistryValue(3, b"XENFILT")]
)
def test_what_is_not_understood_stays(value: RegistryValue) -> None:
    assert form(value) is Form.ODD
    assert without(value, is_xen) is value


def test_names_of_an_odd_string_are_shown_apart() -> None:
    assert names(string("XENFILT, other")) == ("XENFILT", "other")
    assert names(multi("a", "b")) == ("a", "b")
    assert names(dword(5)) == ()
