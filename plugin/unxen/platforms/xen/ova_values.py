# SPDX-License-Identifier: Apache-2.0
"""The objects of an export's ova.xml: an XML-RPC value of records that point at each other by name.

Touches nothing; runs in the parser's box. Numbers stay text, as XenServer writes most of them; what is missing is an empty string,
an empty record or nothing. Raises Broken.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lxml import etree

from unxen.platforms.safe_xml import parse_xml
from unxen.platforms.xen.pieces import Broken

NULL = "OpaqueRef:NULL"
TRUE = ("1", "true", "yes", "on")


class Record:
    """One object's fields, or a map of strings inside one; a field that is not there or of another kind is empty."""

    def __init__(self, fields: Any) -> None:
        self._fields: Mapping[str, Any] = fields if isinstance(fields, dict) else {}

    def text(self, name: str) -> str:
        """A string, a number or a boolean, as text."""
        value = self._fields.get(name, "")
        return value if isinstance(value, str) else ""

    def number(self, name: str, default: int = 0) -> int:
        """A whole number that is not negative."""
        text = self.text(name).strip()
        return int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else default

    def flag(self, name: str) -> bool:
        """Whether it says yes, in any of the ways XenServer writes it."""
        return self.text(name).strip().lower() in TRUE

    def map(self, name: str) -> "Record":
        """A field that is a map itself."""
        return Record(self._fields.get(name))

    def references(self, name: str) -> tuple[str, ...]:
        """A list of references to other objects."""
        value = self._fields.get(name)
        return tuple(each for each in value if isinstance(each, str) and each != NULL) if isinstance(value, list) else ()

    def names(self) -> Sequence[str]:
        """What is in it."""
        return sorted(self._fields)


class Objects:
    """All objects of an export, found by class and reference."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._by_class: dict[str, dict[str, Record]] = {}
        for row in rows:
            each = Record(row)
            self._by_class.setdefault(each.text("class"), {})[each.text("id")] = each.map("snapshot")

    def all(self, kind: str) -> Mapping[str, Record]:
        """Every object of a class by its reference."""
        return self._by_class.get(kind, {})

    def find(self, kind: str, reference: str) -> Record:
        """One object; an empty record when there is none."""
        return self.all(kind).get(reference, Record(None))


def read_objects(data: bytes) -> tuple[Record, Objects]:
    """The record `version` and the objects."""
    try:
        root = parse_xml(data)
        top = _value(root)
    except (ValueError, RecursionError) as error:
        raise Broken(f"its ova.xml cannot be read: {error}") from error
    rows = top.get("objects") if isinstance(top, dict) else None
    if not isinstance(rows, list):
        raise Broken("its ova.xml has no objects")
    return Record(top.get("version")), Objects(rows)


def _value(element: etree._Element) -> Any:
    """The content of `<value>`: text, a list, or a dictionary."""
    if element.tag != "value":
        raise ValueError(f"<{str(element.tag)[:40]}> where a value is expected")
    inner = next(iter(element), None)
    if inner is None:
        return element.text or ""
    if inner.tag == "struct":
        return dict(_member(each) for each in inner)
    if inner.tag == "array":
        return [_value(each) for data in inner for each in data]
    return inner.text or ""


def _member(element: etree._Element) -> tuple[str, Any]:
    name, value = element.find("name"), element.find("value")
    if name is None or value is None:
        raise ValueError("a member without a name or a value")
    return name.text or "", _value(value)
