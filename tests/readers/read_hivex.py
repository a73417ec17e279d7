# SPDX-License-Identifier: Apache-2.0
"""Reads a hive with hivex (LGPL) and prints its rows."""

import sys

import hivex
from rows import below, key_row, value_row

hive = hivex.Hivex(sys.argv[1])
waiting = [(hive.root(), "")]
while waiting:
    node, path = waiting.pop()
    key_row(path)
    for value in hive.node_values(node):
        kind, data = hive.value_value(value)
        value_row(path, hive.value_key(value), kind, data)
    waiting += [(child, below(path, hive.node_name(child))) for child in hive.node_children(node)]
