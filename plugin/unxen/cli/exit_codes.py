# SPDX-License-Identifier: Apache-2.0
"""`unxen exit-codes`: the table, for people and for the documentation.

Prints, touches nothing else.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from unxen.cli.call import Call
from unxen.cli.terminal import style_for
from unxen.report.exit_codes import DONE, MEANINGS, REASON_CODES, markdown
from unxen.report.layout import Style, wrapped


def run(call: Call) -> int:
    """Writes the table."""
    if call.json:
        sys.stdout.write(json.dumps({"schema": 1, "exit_codes": [_row(code) for code in MEANINGS]}, indent=2) + "\n")
    elif call.markdown:
        sys.stdout.write(markdown())
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _lines(style_for(sys.stdout))))
    return DONE


def _row(code: int) -> dict[str, Any]:
    return {"code": code, "meaning": MEANINGS[code], "kinds": [kind.value for kind, each in REASON_CODES.items() if each == code]}


def _lines(style: Style) -> Iterator[str]:
    """A line for each code; wrapped only where a person looks."""
    for code, meaning in MEANINGS.items():
        yield from wrapped(style, meaning, f"{code:>4}  ") if style.hard else (f"{code:>4}  {meaning}",)
