# SPDX-License-Identifier: Apache-2.0
"""The door for people and scripts: arguments in, one report per guest out, an exit code at the end.

`main` may be called by anybody and never exits; `entry` is the installed program. Interruptions end with 130 after everything that
was begun has been cleaned up; what nobody foresaw ends with 1 and a JSON document like any other end.
"""

import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence

from unxen.cli.arguments import parse, verb_in, wants_json
from unxen.cli.call import Call, GuestCall, guest_calls
from unxen.cli.output import show
from unxen.cli.terminal import Steps, listener_for, stdout_must_not_fail_on_letters
from unxen.cli.work import Result, defect, failure, work
from unxen.errors import Refused
from unxen.host import log
from unxen.host.signals import end_by_interruption
from unxen.model.reason import Reason, ReasonKind
from unxen.report.exit_codes import DONE, INTERRUPTED

# Verbs that are about this host and not about a guest: each module has `run(call)`, which prints and gives the exit code.
HOST_VERBS = {
    "config": "config",
    "convert": "convert",
    "doctor": "doctor",
    "exit-codes": "exit_codes",
    "hook": "hook",
    "recover": "recover",
    "hooks": "hooks",
    "import": "import_",
    "report": "report",
    "switch": "elsewhere",
    "watch": "watch",
}
READER_GONE = 128 + signal.SIGPIPE
"""What a shell shows for a program that a closed pipe ended."""


def entry() -> None:
    """The console script."""
    end_by_interruption()
    sys.exit(main())


def main(argv: Sequence[str] | None = None) -> int:
    """One command line, to its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    stdout_must_not_fail_on_letters()
    try:
        code = _main(arguments)
        # At the interpreter's end a reader that went away would be an exit code that nobody documented.
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except Exception as error:
        log.debug(__name__, "defect", exc_info=True)
        return _show_failure(arguments, defect(error))


def _main(arguments: Sequence[str]) -> int:
    try:
        call = parse(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else DONE
    except Refused as error:
        code = _show_failure(arguments, *error.reasons)
        # A platform takes everything but 0 for a refusal, and a mistake in its call must not keep a guest from starting.
        return DONE if arguments[:1] == ["hook"] else code
    if call.debug or os.environ.get("UNXEN_DEBUG"):
        import logging

        from unxen.cli.logs import log_to

        log_to(sys.stderr, logging.DEBUG, "%(relativeCreated)6.0f ms %(name)s: %(message)s")
    try:
        return _run(call)
    except Refused as error:
        return _show_failure(arguments, *error.reasons)


def _show_failure(arguments: Sequence[str], *reasons: Reason) -> int:
    """The report of a call that did not come to a guest."""
    call = Call(verb_in(arguments), json=wants_json(arguments))
    return show(Result(failure(call.verb, (), reasons)), call)


def _run(call: Call) -> int:
    if call.host and call.verb != "doctor":
        return int(importlib.import_module("unxen.cli.elsewhere").run(call))
    if call.verb in HOST_VERBS:
        return int(importlib.import_module(f"unxen.cli.{HOST_VERBS[call.verb]}").run(call))
    code = DONE
    for result in _results(call):
        code = max(code, show(result, call))
        if any(each.kind is ReasonKind.INTERRUPTED for each in result.outcome.reasons):
            break
    return code


def _results(call: Call) -> Iterator[Result]:
    """The guests' results in the order of the command line."""
    guests = guest_calls(call)
    if call.jobs > 1 and len(guests) > 1:
        from unxen.cli.jobs import run_beside

        yield from run_beside(guests, call.jobs)
        return
    for asked in guests:
        yield run_one(asked)


def run_one(asked: GuestCall) -> Result:
    """One guest, with its steps told."""
    call = asked.call
    if call.log_json:
        from unxen.cli.json_lines import JsonLines

        return work(asked, JsonLines(sys.stderr, asked.targets))
    steps = listener_for(sys.stderr, quiet=call.quiet, verbose=call.verbose, prefix=asked.targets[0] if call.each else "")
    try:
        return work(asked, steps)
    finally:
        if isinstance(steps, Steps):
            steps.close()


def _reader_gone() -> int:
    """`unxen inspect ... | head`: nothing more can be said, and Python must not try again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return READER_GONE
