# SPDX-License-Identifier: Apache-2.0
"""`unxen recover`: what an interruption left on any disk comes to an end; one report per entry of the journal.

Hands over to `workflow.recover`. An entry that is refused does not keep the others from theirs; the largest exit code is returned.
"""

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from unxen.cli.call import Call
from unxen.cli.output import show
from unxen.cli.terminal import Steps, listener_for
from unxen.cli.work import Result, defect, failure
from unxen.errors import Refused
from unxen.host.config import load_settings
from unxen.model.outcome import Outcome
from unxen.model.reason import ReasonKind, reason
from unxen.model.settings import Settings
from unxen.report.exit_codes import DONE
from unxen.workflow.recover import forget, interrupted, nothing_interrupted, recover, tidy_up
from unxen.workflow.settling import settle_all

LOG = logging.getLogger(__name__)


def run(call: Call) -> int:
    """Every entry, to the largest exit code."""
    settings, code = load_settings(), DONE
    # As with --each: one JSON document per line, however many there are.
    call = replace(call, each=True)
    for outcome in _outcomes(call, settings):
        code = max(code, show(Result(outcome), call))
        if any(each.kind is ReasonKind.INTERRUPTED for each in outcome.reasons):
            return code
    tidy_up(settings)
    settle_all(settings)
    return code


def _outcomes(call: Call, settings: Settings) -> Iterator[Outcome]:
    if call.forget is not None:
        number = call.forget
        yield _told((str(number),), partial(forget, number, settings))
        return
    entries = interrupted(settings)
    if not entries:
        yield nothing_interrupted()
    for entry in entries:
        steps = listener_for(sys.stderr, quiet=call.quiet, verbose=call.verbose, prefix=" + ".join(entry.target))
        try:
            yield _told(entry.target, partial(recover, entry, settings, steps))
        finally:
            if isinstance(steps, Steps):
                steps.close()


def _told(target: tuple[str, ...], work: Callable[[], Outcome]) -> Outcome:
    """The outcome, whatever happens."""
    try:
        return work()
    except Refused as error:
        LOG.debug("refused", exc_info=True)
        return failure("recover", target, error.reasons)
    except KeyboardInterrupt:
        return failure("recover", target, (reason(ReasonKind.INTERRUPTED),))
    except Exception as error:
        LOG.debug("defect", exc_info=True)
        return failure("recover", target, (defect(error),))
