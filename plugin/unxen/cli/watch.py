# SPDX-License-Identifier: Apache-2.0
"""`unxen watch PLATFORM`: the service that looks at every guest as it arrives; runs until it is told to stop.

Logs to standard error, which a service manager keeps. A repair that is going on is finished before the end: what interrupts it
takes it back instead of leaving it half done.
"""

import logging
import sys

from unxen.cli.call import Call
from unxen.cli.logs import log_to
from unxen.host.config import knowledge_rows, load_settings
from unxen.knowledge.loader import load_knowledge
from unxen.platforms.schemes import make
from unxen.report.exit_codes import DONE
from unxen.services.keeping import Keeper
from unxen.services.treatment import Treatment
from unxen.services.watch import Rhythm, Watcher


def run(call: Call) -> int:
    """The loop; with --once until every guest was looked at."""
    if not logging.getLogger().handlers:
        log_to(sys.stderr, logging.INFO, "%(levelname)s %(message)s")
    settings = load_settings()
    platform = make(call.platform, settings)
    keeper = Keeper(call.platform, settings)
    treatment = Treatment(platform, call.platform, settings, load_knowledge(knowledge_rows(settings)), keeper)
    rhythm = Rhythm(poll=settings.watch_poll_seconds, not_yet=settings.watch_quiet_seconds)
    watcher = Watcher(platform, treatment, rhythm, rested=keeper.summary)
    if call.once:
        watcher.turn(0.0)
        while not watcher.idle:
            watcher.turn()
        return DONE
    watcher.run(lambda: False)
    return DONE
