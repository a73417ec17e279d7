# SPDX-License-Identifier: Apache-2.0
"""A short call is over before `logging` is loaded, and what nobody listens to need not be said.

Touches the log, and only where `logging` is loaded already: without it nobody can have asked for messages.
"""

import sys


def debug(name: str, message: str, *arguments: object, exc_info: bool = False) -> None:
    """A message of the module `name` for whoever looks for a fault."""
    logging = sys.modules.get("logging")
    if logging is not None:
        logging.getLogger(name).debug(message, *arguments, exc_info=exc_info)
