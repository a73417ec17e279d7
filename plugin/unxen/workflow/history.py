# SPDX-License-Identifier: Apache-2.0
"""The recipe of `report`: every outcome that mattered is remembered when it is told, and can be seen together later.

Writes the journal only. Remembering never fails a repair: what went wrong with it is logged, for the disk is what counts.
"""

import logging

from unxen.errors import Refused
from unxen.journal.history import forget, past_outcomes, remember
from unxen.journal.place import has_journal
from unxen.journal.store import open_journal
from unxen.model.history import PastOutcome
from unxen.model.outcome import Outcome
from unxen.model.settings import Settings
from unxen.report.json import dumps

LOG = logging.getLogger(__name__)


def remember_outcome(outcome: Outcome, settings: Settings) -> None:
    """Keeps what was told; a trial run is nothing to remember."""
    if outcome.dry_run:
        return
    try:
        with open_journal(settings.state_dir) as journal:
            remember(journal, dumps(outcome, indent=None))
            forget(journal, settings.history_days)
    except (Refused, OSError) as error:
        LOG.warning("this outcome could not be remembered: %s", error)
        LOG.debug("not remembered", exc_info=True)


def history(settings: Settings, since: float = 0.0) -> tuple[PastOutcome, ...]:
    """What was remembered since a moment; nothing where nothing ever was, and no journal is made for the question."""
    if not has_journal(settings.state_dir):
        return ()
    with open_journal(settings.state_dir) as journal:
        return past_outcomes(journal, since)
