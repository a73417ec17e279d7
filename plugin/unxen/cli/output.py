# SPDX-License-Identifier: Apache-2.0
"""Where results go: reports, documents and .reg files to standard output, what could not even be looked at to standard error.

Writes to the two streams and nowhere else.
"""

import shlex
import sys

from unxen.cli.call import Call
from unxen.cli.terminal import style_for
from unxen.cli.work import Result
from unxen.report.exit_codes import exit_code


def show(result: Result, call: Call) -> int:
    """Writes one guest's result; gives its exit code."""
    if result.product is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(result.product)
        sys.stdout.buffer.flush()
        if result.outcome.reasons:
            _show_text(result, call)
    elif call.json or call.form == "json":
        # Each report is imported only when it is written: a look has to start quickly.
        from unxen.report.json import dumps

        sys.stdout.write(dumps(result.outcome, indent=None if call.each else 2))
    else:
        _show_text(result, call)
    sys.stdout.flush()
    if call.timings:
        from unxen.report.text_timings import timings_text

        sys.stderr.write(timings_text(result.outcome))
    return exit_code(result.outcome)


def _show_text(result: Result, call: Call) -> None:
    from unxen.report.layout import Context
    from unxen.report.text import headline, render

    bare = result.outcome.judgement is None and bool(result.outcome.reasons)
    stream = sys.stderr if bare or call.form == "reg" else sys.stdout
    context = Context(style_for(stream), dict(result.families), options_again(call), full=call.verbose)
    stream.write(headline(result.outcome, context) if call.quiet else render(result.outcome, context))
    if call.each and not call.quiet:
        stream.write("\n")


def options_again(call: Call) -> str:
    """The options that a next command needs to mean the same."""
    words = [word for each in call.formats for word in ("--format", each)]
    if call.bus is not None:
        words += ["--bus", call.bus.value]
    if call.installation is not None:
        words += ["--installation", call.installation]
    words += [word for each in dict.fromkeys(call.fix) for word in ("--fix", each.value)]
    words += ["--accept-stale-hive"] * call.accept_stale_hive + ["--accept-unclean-volume"] * call.accept_unclean_volume
    return "" if call.each else " ".join(shlex.quote(each) for each in words)
