# SPDX-License-Identifier: Apache-2.0
"""Reads a hive with dissect.regf (AGPL, therefore a process of its own) and prints its rows."""

import sys
from pathlib import Path

from dissect.regf.regf import RegistryHive
from rows import below, key_row, value_row

with Path(sys.argv[1]).open("rb") as file:
    waiting = [(RegistryHive(file).root(), "")]
    while waiting:
        key, path = waiting.pop()
        key_row(path)
        for value in key.values():
            name = value.name if value.cell.NameLength else ""
            value_row(path, name, int(value.type), value.data)
        waiting += [(child, below(path, child.name)) for child in key.subkeys()]
