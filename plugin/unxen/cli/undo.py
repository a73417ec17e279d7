# SPDX-License-Identifier: Apache-2.0
"""`unxen undo`: the disk as it was, while nobody wrote to it since; with --registry the values, whoever did.

Hands over to `workflow.undo` and `workflow.undo_registry`.
"""

from unxen.cli.work import Job
from unxen.model.outcome import Outcome
from unxen.workflow.undo import undo


def run(job: Job) -> tuple[Outcome, None]:
    """The way back of one guest."""
    if not job.asked.call.registry:
        return undo(job.guest, job.platform, job.settings, job.listener), None
    from unxen.workflow.undo_registry import undo_registry

    return undo_registry(job.guest, job.platform, job.settings, job.tables(), job.settings.delivery, job.listener), None
