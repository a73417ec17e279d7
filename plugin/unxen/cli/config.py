# SPDX-License-Identifier: Apache-2.0
"""`unxen config`: which settings hold on this host and where each comes from, and a file to start with.

Reads the configuration, prints, touches nothing else. Refused(CONFIG_INVALID) when the file is wrong.
"""

import json
import sys
from enum import Enum
from pathlib import Path
from typing import Any

from unxen.cli.call import Call
from unxen.host.config import Origin, origins
from unxen.host.config_keys import KEYS
from unxen.report.escape import visible
from unxen.report.exit_codes import DONE

EXAMPLE_HEAD = "# Configuration of unxen. Remove the # before a key to set it; unxen config show tells what holds.\n"


def run(call: Call) -> int:
    """Writes every setting as TOML with its source as a comment, or as one JSON document; or the file to start with."""
    if call.action == "example":
        sys.stdout.write(example())
        return DONE
    rows = origins()
    if call.json:
        document = {"schema": 1, "settings": {each.name: _row(each) for each in rows}}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        sys.stdout.write("".join(_line(each) for each in rows))
    return DONE


def example() -> str:
    """A configuration file in which everything is explained and nothing is set."""
    rows = "".join(f"\n# {key.meaning}\n# {name} = {key.example}\n" for name, key in KEYS.items())
    return f"{EXAMPLE_HEAD}{rows}"


def _row(origin: Origin) -> dict[str, Any]:
    """Values are exact, for they are meant to be used; JSON's own escapes keep them from a terminal."""
    line = int(origin.line) if origin.line else None
    return {"value": _plain(origin.value), "source": visible(origin.place or "default"), "line": line}


def _line(origin: Origin) -> str:
    source = f"{origin.place}, line {origin.line}" if origin.line else origin.place or "default"
    if origin.value is None:
        return f"# {origin.name} is not set\n"
    setting = f"{origin.name} = {json.dumps(_plain(origin.value), ensure_ascii=False)}"
    return f"{visible(setting):<58}  # {visible(source)}\n"


def _plain(value: Any) -> Any:
    """The value as TOML and JSON have it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
