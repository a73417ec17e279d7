# SPDX-License-Identifier: Apache-2.0
"""The recipe of `undo`: give the disks back as they were, if they still are as the repair left them.

Writes the old bytes through an overlay and a commit of its own, as a repair does. Refused(NO_UNDO_DATA) when nothing was
kept, Refused(WRITTEN_SINCE) when anybody wrote since; nothing has changed then.
"""

from contextlib import ExitStack

from unxen.errors import refused
from unxen.journal.place import has_journal
from unxen.journal.store import open_journal
from unxen.model.guest import Guest
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.reason import ReasonKind
from unxen.model.settings import Settings
from unxen.repair.holding import hold
from unxen.repair.undo import find_repair, take_back
from unxen.workflow.steps import Stopwatch


def undo(guest: Guest, settings: Settings, listener: Listener) -> Outcome:
    """Takes back the newest repair of these disks."""
    watch = Stopwatch(listener)
    with ExitStack() as stack:
        with watch.step(Step.LOCK):
            held = stack.enter_context(hold(guest, settings, listener))
            if not has_journal(settings.state_dir):
                raise refused(ReasonKind.NO_UNDO_DATA, " + ".join(guest.target))
            journal = stack.enter_context(open_journal(settings.state_dir))
        with watch.step(Step.VERIFY):
            found = find_repair(journal, held, guest.target)
        with watch.step(Step.COMMIT):
            take_back(journal, settings.state_dir, found, guest.target)
    return Outcome("undo", guest.target, Verdict.REPAIRED, changed=True, entry=found.repair.id, timings=watch.timings)
