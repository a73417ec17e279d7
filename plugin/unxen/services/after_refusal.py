# SPDX-License-Identifier: Apache-2.0
"""What a guard refused is repaired right afterwards by a process of its own, for the guard itself must not change the guest.

Does what a watcher does with that one guest, and starts it again where the policy says so and it is whole now. Logs; raises nothing
that the recipes foresee.
"""

import logging
import time
from collections.abc import Callable

from unxen.errors import Refused
from unxen.knowledge.tables import Knowledge
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.settings import Settings
from unxen.platforms.base import Platform, Starting
from unxen.services.treatment import Treatment
from unxen.services.watch import Treated

# A disk that is still being copied is waited for; an hour of copying is the watcher's business.
MOST_TRIES = 12
LOG = logging.getLogger(__name__)


def work(
    platform: Platform, scheme: str, name: str, settings: Settings, knowledge: Knowledge, told: Callable[[Outcome, float], None]
) -> None:
    """One guest whose start was refused a moment ago."""
    outcomes: list[Outcome] = []

    def keep(outcome: Outcome, seconds: float) -> None:
        outcomes.append(outcome)
        told(outcome, seconds)

    treatment = Treatment(platform, scheme, settings, knowledge, keep)
    for _ in range(MOST_TRIES):
        if treatment(name) is not Treated.NOT_YET:
            break
        time.sleep(settings.watch_quiet_seconds)
    whole = any(each.verdict is Verdict.REPAIRED and not each.reasons for each in outcomes)
    if not (whole and settings.proxmox_start_again and isinstance(platform, Starting)):
        return
    try:
        platform.start(name)
    except Refused as error:
        LOG.warning("%s:%s is repaired and was not started again: %s", scheme, name, error)
