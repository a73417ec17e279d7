# SPDX-License-Identifier: Apache-2.0
"""Reads a hive with python-registry (Apache-2.0) and prints its rows."""

import sys

from Registry import Registry
from rows import below, key_row, value_row

waiting = [(Registry.Registry(sys.argv[1]).root(), "")]
while waiting:
    key, path = waiting.pop()
    key_row(path)
    for value in key.values():
        record = value._vkrecord
        name = record.name() if record.has_name() else ""
        value_row(path, name, record.data_type() if not isinstance(record.data_type(), str) else 0, value.raw_data())
    waiting += [(child, below(path, child.name())) for child in key.subkeys()]
