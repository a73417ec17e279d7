# SPDX-License-Identifier: Apache-2.0
"""Reads a hive with libregf (LGPL) and prints its rows."""

import sys

import pyregf
from rows import below, key_row, value_row

hive = pyregf.file()
hive.open(sys.argv[1])
waiting = [(hive.get_root_key(), "")]
while waiting:
    key, path = waiting.pop()
    key_row(path)
    for index in range(key.number_of_values):
        value = key.get_value(index)
        value_row(path, value.name or "", value.type, value.data or b"")
    children = [key.get_sub_key(index) for index in range(key.number_of_sub_keys)]
    waiting += [(child, below(path, child.name)) for child in children]
