# SPDX-License-Identifier: Apache-2.0
"""`unxen promote` and `unxen demote`: a repaired Windows on to virtio once it has the driver, and back.

Hands over to `workflow.promote`, which changes no disk.
"""

from unxen.cli.work import Job
from unxen.host.key_file import read_keys
from unxen.model.ids import Bus
from unxen.model.outcome import Outcome
from unxen.workflow.promote import Move, move

BACK = (Bus.SATA, Bus.IDE)
"""Where `demote` goes when nobody says where to, in this order: the buses that every Windows has drivers for."""


def run(job: Job) -> tuple[Outcome, None]:
    """The move of one guest."""
    call = job.asked.call
    keys = read_keys(call.key) if call.key else ()
    order = Move(call.verb, (call.bus,) if call.bus else BACK, call.installation, call.dry_run, keys)
    return move(job.guest, job.platform, job.settings, job.tables(), order, job.listener), None
