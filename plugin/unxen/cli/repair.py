# SPDX-License-Identifier: Apache-2.0
"""`unxen repair`: the whole way; nothing to do is success.

Hands over to `workflow.repair`, the one recipe that writes disks.
"""

from unxen.cli.work import Job
from unxen.host.key_file import read_keys
from unxen.model.outcome import Outcome
from unxen.workflow.repair import Order, repair


def run(job: Job) -> tuple[Outcome, None]:
    """The repair of one guest."""
    call = job.asked.call
    keys = read_keys(call.key) if call.key else ()
    order = Order(
        call.bus,
        call.installation,
        call.delivery or job.settings.delivery,
        call.dry_run,
        call.accept_unclean_volume,
        keys,
        call.fix,
    )
    return repair(job.guest, job.platform, job.settings, job.tables(), order, job.listener), None
