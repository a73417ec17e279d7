# SPDX-License-Identifier: Apache-2.0
"""What every reader prints, so that readers which share no code can be held against each other.

A line per key, `"path"` and `null`, and per value, `"path"`, `"name"`, type and sha256 of the data; strings as JSON, a tab between
path, name and the rest. The root's path is empty.
"""

import hashlib
import json
import sys


def key_row(path: str) -> None:
    sys.stdout.write(f"{json.dumps(path)}\tnull\t\n")


def value_row(path: str, name: str, kind: int, data: bytes) -> None:
    sys.stdout.write(f"{json.dumps(path)}\t{json.dumps(name)}\t{kind} {hashlib.sha256(data).hexdigest()}\n")


def below(path: str, name: str) -> str:
    return f"{path}\\{name}" if path else name
