# SPDX-License-Identifier: Apache-2.0
"""`unxen exit-codes`: the table, for people and for the documentation.

Prints, touches nothing else.
"""

import sys
from collections.abc import Iterator

from unxen.cli.call import Call
from unxen.cli.terminal import style_for
from unxen.report.exit_codes import DONE, MEANINGS, markdown
from unxen.report.layout import Style, wrapped


def run(call: Call) -> int:
    """Writes the table."""
    text = markdown() if call.markdown else "".join(f"{line}\n" for line in _lines(style_for(sys.stdout)))
    sys.stdout.write(text)
    return DONE


def _lines(style: Style) -> Iterator[str]:
    """A line for each code; wrapped only where a person looks."""
    for code, meaning in MEANINGS.items():
        yield from wrapped(style, meaning, f"{code:>4}  ") if style.hard else (f"{code:>4}  {meaning}",)
