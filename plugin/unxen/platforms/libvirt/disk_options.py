# SPDX-License-Identifier: Apache-2.0
"""What a disk cannot take along to another bus, from the table beside this module, each row with why and source.

Changes the element it is given. A row that is not right is a defect of unxen, which a test of the table finds.
"""

import tomllib
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files

from unxen.model.definition import DefinitionChange, DefinitionPart
from unxen.platforms.libvirt.domain_xml import Element, target_of


class Elsewhere(Enum):
    """What becomes of an option on a bus that does not know it."""

    DROP = "drop"
    REFUSE = "refuse"


@dataclass(frozen=True)
class OptionRow:
    """An option of a disk and the buses that take it; `only`: a value that every bus takes."""

    where: str
    buses: tuple[str, ...]
    elsewhere: Elsewhere
    why: str
    source: str
    only: str = ""


@cache
def option_rows() -> tuple[OptionRow, ...]:
    """The table."""
    text = files(__package__).joinpath("disk_options.toml").read_text(encoding="utf-8")
    rows = tomllib.loads(text)["disk_option"]
    return tuple(OptionRow(**{**row, "buses": tuple(row["buses"]), "elsewhere": Elsewhere(row["elsewhere"])}) for row in rows)


def forbidding(disk: Element, bus: str) -> OptionRow | None:
    """The first option that keeps this disk from moving to the bus, if there is one."""
    return next((row for row in _strange(disk, bus) if row.elsewhere is Elsewhere.REFUSE), None)


def drop_options(disk: Element, bus: str) -> list[DefinitionChange]:
    """Takes out what the bus does not know."""
    return [_drop(disk, row) for row in _strange(disk, bus) if row.elsewhere is Elsewhere.DROP]


def _strange(disk: Element, bus: str) -> list[OptionRow]:
    return [row for row in option_rows() if bus not in row.buses and _value(disk, row) not in (None, row.only or None)]


def _value(disk: Element, row: OptionRow) -> str | None:
    """The option's value; an element without text counts as empty, and absence is None."""
    path, _, attribute = row.where.partition("@")
    element = disk.find(path) if path else disk
    if element is None:
        return None
    return element.get(attribute) if attribute else (element.text or "")


def _drop(disk: Element, row: OptionRow) -> DefinitionChange:
    path, _, attribute = row.where.partition("@")
    value = _value(disk, row)
    element = disk.find(path) if path else disk
    assert element is not None
    if attribute:
        del element.attrib[attribute]
    else:
        disk.remove(element)
    shown = f"{row.where.replace('@', ' ')} {value}".strip()
    return DefinitionChange(DefinitionPart.DISK_OPTION, target_of(disk), shown, "")
