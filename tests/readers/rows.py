# SPDX-License-Identifier: Apache-2.0
"""What every reader prints, so that readers which share no code can be held against each other.

A line per key, `["path", null]`, and per value, `["path", "name", type, "sha256 of the data"]`, as JSON; the root's path is empty.
"""

import hashlib
import json
import sys


def key_row(path: str) -> None:
    sys.stdout.write(json.dumps([path, None]) + "\n")


def value_row(path: str, name: str, kind: int, data: bytes) -> None:
    sys.stdout.write(json.dumps([path, name, kind, hashlib.sha256(data).hexdigest()]) + "\n")


def below(path: str, name: str) -> str:
    return f"{path}\\{name}" if path else name
