# SPDX-License-Identifier: Apache-2.0
"""From one guest of a call to its outcome, whatever happens on the way: nothing raised leaves this module but an interruption.

Reads the configuration and hands over to the recipes of `workflow`. Every refusal and every defect becomes an Outcome, so text,
JSON and exit code are made in one place for all of them.
"""

import importlib
import os
from collections.abc import Callable

from unxen.cli.call import GuestCall
from unxen.errors import Refused
from unxen.host import ledger, log
from unxen.host.config import load_settings
from unxen.host.ledger import spending
from unxen.model.guest import Guest
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Part
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.record import dataclass, replace
from unxen.model.settings import Settings
from unxen.platforms.base import Platform
from unxen.platforms.files import mistaken_format
from unxen.platforms.schemes import platform_for
from unxen.report.exit_codes import REASON_CODES, WRONG_USAGE
from unxen.workflow.tables import Tables, tables_of


@dataclass(frozen=True)
class Job:
    """All that a verb needs for one guest."""

    asked: GuestCall
    guest: Guest
    platform: Platform
    settings: Settings
    tables: Tables
    listener: Listener


@dataclass(frozen=True)
class Result:
    """The outcome, names of driver families for the report, and what goes to standard output instead of a report."""

    outcome: Outcome
    families: tuple[tuple[str, str], ...] = ()
    product: bytes | None = None


REMEMBERED = ("repair", "undo")
Verb = Callable[[Job], tuple[Outcome, bytes | None]]
# Modules are imported when their verb is asked for: what `inspect` starts with decides how cheap a look is.
_MODULES = {
    "inspect": "inspect",
    "plan": "plan",
    "repair": "repair",
    "undo": "undo",
    "promote": "promote",
    "demote": "promote",
    "network": "network",
}
_VERDICTS = {
    ReasonKind.NO_WINDOWS: Verdict.NO_WINDOWS,
    ReasonKind.DEFECT: Verdict.FAILED,
    ReasonKind.INTERRUPTED: Verdict.FAILED,
    ReasonKind.TOOL_FAILED: Verdict.FAILED,
    ReasonKind.APPLIANCE_FAILED: Verdict.FAILED,
    ReasonKind.ROLLED_BACK: Verdict.FAILED,
    ReasonKind.SWITCH_FAILED: Verdict.FAILED,
    ReasonKind.MOVE_FAILED: Verdict.FAILED,
    ReasonKind.COMMIT_UNFINISHED: Verdict.FAILED,
}


def work(asked: GuestCall, listener: Listener) -> Result:
    """One guest, from names to the outcome; what was done or refused is remembered."""
    result = _told(asked, listener)
    result = replace(result, outcome=replace(result.outcome, spent=ledger.take()))
    # A move that was not made says nothing new of a guest: what is remembered of it stays the last word.
    mattered = asked.call.verb in REMEMBERED or result.outcome.switched
    if mattered and result.outcome.verdict is not Verdict.NO_WINDOWS:
        _remember(asked, result.outcome)
    return result


def _remember(asked: GuestCall, outcome: Outcome) -> None:
    from unxen.workflow.history import remember_outcome

    # A mistake on the command line or in the configuration says nothing about a guest.
    if not outcome.reasons or REASON_CODES[outcome.reasons[0].kind] != WRONG_USAGE:
        remember_outcome(outcome, _settings(asked))


def _told(asked: GuestCall, listener: Listener) -> Result:
    try:
        return _work(asked, listener)
    except Refused as error:
        log.debug(__name__, "refused", exc_info=True)
        return Result(failure(asked.call.verb, asked.targets, error.reasons))
    except KeyboardInterrupt:
        return Result(failure(asked.call.verb, asked.targets, (reason(ReasonKind.INTERRUPTED),)))
    except Exception as error:
        log.debug(__name__, "defect", exc_info=True)
        return Result(failure(asked.call.verb, asked.targets, (defect(error),)))


def failure(verb: str, targets: tuple[str, ...], reasons: tuple[Reason, ...]) -> Outcome:
    """An outcome of nothing but reasons."""
    return Outcome(verb, targets, _VERDICTS.get(reasons[0].kind, Verdict.REFUSED), reasons=reasons)


def defect(error: Exception) -> Reason:
    """The reason for an error that nobody foresaw, with the place where it was raised."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else ""  # noqa: PTH119
    return reason(ReasonKind.DEFECT, place, cause=f"{type(error).__name__}: {error}")


def _work(asked: GuestCall, listener: Listener) -> Result:
    settings = _settings(asked)
    platform = platform_for(asked.targets, settings)
    guest = platform.describe(asked.targets, asked.formats)
    tables = tables_of(settings)
    with spending(Part.VERB):
        module = importlib.import_module(f"unxen.cli.{_MODULES[asked.call.verb]}")
    run: Verb = module.run
    try:
        outcome, product = run(Job(asked, guest, platform, settings, tables, listener))
    except Refused as error:
        mistaken = mistaken_format(guest.disks) if not guest.id and error.first.kind is ReasonKind.NOT_AN_IMAGE else None
        raise (Refused(mistaken) if mistaken else error) from error
    if outcome.verdict is Verdict.NO_WINDOWS and not guest.id and (mistaken := mistaken_format(guest.disks)):
        outcome = replace(outcome, verdict=Verdict.REFUSED, reasons=(mistaken, *outcome.reasons))
    return Result(outcome, _families(outcome, tables), product)


def _families(outcome: Outcome, tables: Tables) -> tuple[tuple[str, str], ...]:
    """Names for the report, where there is something to be named."""
    if outcome.judgement is None or not outcome.judgement.installations:
        return ()
    return tuple((each.id, each.name) for each in tables().families)


def _settings(asked: GuestCall) -> Settings:
    settings, call = load_settings(), asked.call
    if call.wait is not None:
        settings = replace(settings, wait_seconds=call.wait)
    if call.accept_stale_hive:
        settings = replace(settings, accept_stale_hive=True)
    return settings
