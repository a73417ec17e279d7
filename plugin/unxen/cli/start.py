# SPDX-License-Identifier: Apache-2.0
"""The installed program: what a look costs is mostly the loading of two interpreters' code, so both begin at once.

Starts the box of the look where the command line asks for one guest's, then loads everything else and hands over.
"""

import gc
import os
import sys

from unxen.host import eyes

LOOKING = ("inspect", "plan", "repair")
BEFORE_A_START = {"prepare", "pre-start"}
"""What libvirt and Proxmox call a hook with when a guest is about to start."""
# What loading makes stays for good; looking for rings among it, again and again, took a tenth of a short call.
OBJECTS_BETWEEN_COLLECTIONS = 50_000


def entry() -> None:
    """The console script."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    arguments = sys.argv[1:]
    if _looks_at_one_guest(arguments):
        eyes.start()
    try:
        if _is_plain_hook(arguments):
            from unxen.cli.hook import answer

            sys.exit(answer(arguments[1], tuple(arguments[2:])))
        from unxen.cli.main import entry as main
        from unxen.host import ledger
        from unxen.model.progress import Part

        ledger.add(Part.START, ledger.seconds_since_start())
        main()
    finally:
        eyes.close()


def _is_plain_hook(arguments: list[str]) -> bool:
    """A platform waits with a start: the parser of the command line, which has nothing to say then, is not even loaded."""
    options = any(each.startswith("-") and each != "-" for each in arguments)
    return arguments[:1] == ["hook"] and _looks_at_one_guest(arguments) and not options and "UNXEN_DEBUG" not in os.environ


def _looks_at_one_guest(arguments: list[str]) -> bool:
    """With --each every guest has a box of its own, in a process of its own perhaps; a hook looks before a start only."""
    if arguments[:1] == ["hook"]:
        return bool(BEFORE_A_START & set(arguments[2:]))
    return bool(arguments) and arguments[0] in LOOKING and not {"--each", "-h", "--help"} & set(arguments)
