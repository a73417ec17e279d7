# SPDX-License-Identifier: Apache-2.0
"""A device starts only when every filter named for it loads; here all those lists are read, of every class and every device.

Touches only the hive it is given. A list of another type than REG_MULTI_SZ is read too: its bytes say what it is.
"""

from collections.abc import Iterator

from unxen.model.registry_facts import FilterList, FilterScope, FilterSide
from unxen.probe.reading import Reading, Values
from unxen.registry.hive import Key

SIDES = {"UPPERFILTERS": FilterSide.UPPER, "LOWERFILTERS": FilterSide.LOWER}


def class_filters(reading: Reading, classes: Key | None) -> Iterator[FilterList]:
    r"""The lists of every class below `Control\Class`."""
    for key in reading.subkeys(classes):
        yield from filter_lists(reading, key, reading.values(key), FilterScope.CLASS, key.name)


def filter_lists(reading: Reading, key: Key, values: Values, scope: FilterScope, class_guid: str) -> Iterator[FilterList]:
    """The one or two lists among a key's values."""
    for name, side in SIDES.items():
        value = values.get(name)
        raw = reading.raw(value)
        if value is not None and raw is not None:
            yield FilterList(scope, side, key.path, class_guid, value.name, raw, reading.strings(value))
