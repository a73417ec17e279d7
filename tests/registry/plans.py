# SPDX-License-Identifier: Apache-2.0
"""Edits such as a repair makes, on whatever hive is given: every kind that the rules use, on keys that are really there.

Touches nothing.
"""

from registry.edits import create_key, delete_key, delete_value, dword, multi, set_value
from unxen.model.edit import Edit
from unxen.registry.hive import Hive, Key

FILTERS = ("UpperFilters", "LowerFilters")


def repair_like(data: bytes, most: int = 25) -> list[Edit]:
    """Starts set, overrides deleted, filters shortened, emptied or deleted, in every control set."""
    hive = Hive.read(data)
    edits: list[Edit] = []
    for control_set in (key for key in hive.root.subkeys() if key.name.lower().startswith("controlset")):
        edits += _service_edits(hive, control_set, most)
        edits += _filter_edits(hive, control_set, most)
    return edits


def with_creation(data: bytes) -> list[Edit]:
    """What rule 6 asks for: a row of the critical device database, and a value that was not there."""
    hive = Hive.read(data)
    (control, *_) = (key for key in hive.root.subkeys() if key.name.lower().startswith("controlset"))
    row = f"{control.subkey('Control').path}\\unxen test"
    service = next(key for key in control.subkey("Services").subkeys() if key.value("Start"))
    return [
        create_key(row),
        set_value(hive, row, "Service", dword(1)),
        set_value(hive, service.path, "UnxenAdded", multi("one", "two")),
    ]


def _service_edits(hive: Hive, control_set: Key, most: int) -> list[Edit]:
    services = control_set.subkey("Services")
    starts = [key for key in services.subkeys() if key.value("Start") and key.value("Start").dword() in (1, 2, 3)]
    overridden = [below for key in services.subkeys() if (below := key.subkey("StartOverride"))]
    edits = [set_value(hive, key.path, "Start", dword(0 if index % 2 else 4)) for index, key in enumerate(starts[:most])]
    return edits + [delete_key(hive, key.path) for key in overridden[:most]]


def _filter_edits(hive: Hive, control_set: Key, most: int) -> list[Edit]:
    classes = control_set.subkey("Control").subkey("Class")
    edits = []
    for key in (each for each in (classes.subkeys() if classes else ()) for _ in FILTERS[:1]):
        for name in FILTERS:
            value = key.value(name)
            names = value.strings() if value else None
            if names and len(names) > 1:
                edits.append(set_value(hive, key.path, name, multi(*names[1:])))
            elif names:
                edits.append(delete_value(hive, key.path, name))
    return edits[:most]
