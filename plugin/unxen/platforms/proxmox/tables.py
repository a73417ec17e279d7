# SPDX-License-Identifier: Apache-2.0
"""What is known about Proxmox' slots, drive options and storages, from tables beside this module, each row with why and source.

Reads the package's own TOML files, once. A row that is not right is a defect of unxen, which a test of the tables finds.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.resources import files
from typing import Any

from unxen.model.ids import Bus, MachineType


class Elsewhere(Enum):
    """What a move to a kind of slot that does not know an option does with it."""

    DROP = "drop"
    REFUSE = "refuse"


class Reach(Enum):
    """How this host can reach a volume of a storage."""

    FILE = "file"
    DEVICE = "device"
    NETWORK = "network"


@dataclass(frozen=True)
class SlotRow:
    """Slots of a kind are this bus; None stands for any board or controller. `default`: also where no controller is set."""

    kind: str
    bus: Bus
    board: MachineType | None
    scsihw: str
    default: bool
    offer: bool


@dataclass(frozen=True)
class OptionRow:
    """An option of a drive and the kinds of slots that take it."""

    name: str
    kinds: tuple[str, ...]
    elsewhere: Elsewhere
    why: str


@dataclass(frozen=True)
class StorageRow:
    """A type of storage. `named`: the format stands in the volume's name. `activates`: a volume is not there before asked for."""

    type: str
    reach: Reach
    named: bool
    activates: bool


@cache
def slots() -> tuple[SlotRow, ...]:
    """Every row about slots."""
    return tuple(_slot(row) for row in _rows("buses.toml", "slot"))


@cache
def default_scsihw() -> str:
    """The SCSI controller of a VM that was never told which."""
    return next(row.scsihw for row in slots() if row.default)


@cache
def options() -> Mapping[str, OptionRow]:
    """Every option of drives by its name."""
    rows = _rows("buses.toml", "option")
    made = (OptionRow(name, tuple(row["kinds"]), Elsewhere(row["elsewhere"]), row["why"]) for row in rows for name in row["names"])
    return {each.name: each for each in made}


@cache
def storages() -> Mapping[str, StorageRow]:
    """Every type of storage by its name."""
    rows = _rows("storages.toml", "storage")
    return {row["type"]: StorageRow(row["type"], Reach(row["reach"]), row["named"], row["activates"]) for row in rows}


def _slot(row: Mapping[str, Any]) -> SlotRow:
    board = MachineType(row["board"]) if "board" in row else None
    return SlotRow(row["kind"], Bus(row["bus"]), board, row.get("scsihw", ""), row.get("default", False), row["offer"])


def _rows(file: str, table: str) -> list[dict[str, Any]]:
    text = files("unxen.platforms.proxmox").joinpath(file).read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)[table]
    return rows
