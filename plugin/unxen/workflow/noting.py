# SPDX-License-Identifier: Apache-2.0
"""Administrators look at a guest before they look into a log: what was found or done stands there too.

Writes a note through the platform, never to a disk. One that cannot be written is logged: no repair fails of it.
"""

import logging

from unxen.errors import Refused
from unxen.model.guest import Guest
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.settings import Settings
from unxen.platforms.base import Ability, Platform
from unxen.report.layout import Context, Style
from unxen.report.text import headline

LOG = logging.getLogger(__name__)
PLAIN = Style(width=1 << 16, colour=False, unicode=False, hard=False)
TOLD = (Verdict.REPAIRED, Verdict.REPAIRABLE, Verdict.FAILED)


def sentence(outcome: Outcome) -> str:
    """The outcome in one line without line break, guest strings escaped."""
    return headline(outcome, Context(PLAIN, {}, "")).strip()


def leave_note(platform: Platform, guest: Guest, outcome: Outcome, settings: Settings) -> None:
    """The outcome at the guest, when there is something to say. A guest that works gets nothing written anywhere."""
    if Ability.NOTE not in platform.abilities or not settings.notes or not _worth_telling(guest, outcome):
        return
    entry = f" (entry {outcome.entry})" if outcome.entry is not None else ""
    try:
        platform.note(guest, f"{sentence(outcome)}{entry}")
    except Refused as error:
        LOG.warning("%s: no note could be left: %s", " + ".join(guest.target), error)


def _worth_telling(guest: Guest, outcome: Outcome) -> bool:
    """A refusal is told only where Xen is in the way: a Windows that works here and is merely hibernated is left in peace."""
    if outcome.verdict is not Verdict.REFUSED:
        return outcome.verdict in TOLD
    judged = outcome.judgement.installations if outcome.judgement else ()
    evidence = any(found.evidence for each in judged for found in each.xen) or bool(judged and guest.machine.xen_leftovers)
    return evidence and not any(each.ran_on_kvm for each in judged)
