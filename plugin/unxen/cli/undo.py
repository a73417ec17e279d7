# SPDX-License-Identifier: Apache-2.0
"""`unxen undo`: the disk as it was, while nobody wrote to it since.

Hands over to `workflow.undo`.
"""

from unxen.cli.work import Job
from unxen.model.outcome import Outcome
from unxen.workflow.undo import undo


def run(job: Job) -> tuple[Outcome, None]:
    """The way back of one guest."""
    return undo(job.guest, job.platform, job.settings, job.listener), None
