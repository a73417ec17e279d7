# SPDX-License-Identifier: Apache-2.0
"""`unxen exit-codes`: the table, for people and for the documentation.

Prints, touches nothing else.
"""

import sys

from unxen.cli.call import Call
from unxen.report.exit_codes import DONE, markdown, table


def run(call: Call) -> int:
    """Writes the table."""
    sys.stdout.write(markdown() if call.markdown else table())
    return DONE
