# SPDX-License-Identifier: Apache-2.0
"""`unxen repair`: the whole way; nothing to do is success.

Hands over to `workflow.repair`, the one recipe that writes disks.
"""

from unxen.cli.work import Job
from unxen.model.outcome import Outcome
from unxen.workflow.repair import repair


def run(job: Job) -> tuple[Outcome, None]:
    """The repair of one guest."""
    call = job.asked.call
    outcome = repair(
        job.guest,
        job.settings,
        job.knowledge,
        bus=call.bus,
        installation=call.installation,
        delivery=call.delivery or job.settings.delivery,
        dry_run=call.dry_run,
        accept_unclean_volume=call.accept_unclean_volume,
        listener=job.listener,
    )
    return outcome, None
