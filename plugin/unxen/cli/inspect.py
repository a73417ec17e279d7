# SPDX-License-Identifier: Apache-2.0
"""`unxen inspect`: what is wrong, link by link; writes nothing.

Hands over to `workflow.inspect`.
"""

from unxen.cli.work import Job
from unxen.host.key_file import read_keys
from unxen.model.outcome import Outcome
from unxen.workflow.inspect import inspect


def run(job: Job) -> tuple[Outcome, None]:
    """The look at one guest."""
    call = job.asked.call
    outcome = inspect(
        job.guest,
        job.platform,
        job.settings,
        job.tables,
        bus=call.bus,
        installation=call.installation,
        listener=job.listener,
        verb=call.verb,
        accept_unclean_volume=call.accept_unclean_volume,
        fix=call.fix,
        keys=read_keys(call.key) if call.key else (),
    )
    return outcome, None
