# SPDX-License-Identifier: Apache-2.0
"""`unxen plan`: every change with its reason, or the .reg file for people who mend by hand in the recovery environment.

Writes nothing. A .reg file is for one hive: with several to change, one has to be chosen.
"""

from unxen.cli import inspect
from unxen.cli.work import Job
from unxen.errors import refused
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.reason import ReasonKind


def run(job: Job) -> tuple[Outcome, bytes | None]:
    """The look at one guest; with --as reg its plan as a file."""
    outcome, _ = inspect.run(job)
    # A disk that is read-only here may be mended by hand all the same.
    judged = outcome.judgement.verdict if outcome.judgement else Verdict.REFUSED
    if job.asked.call.form != "reg" or judged not in (Verdict.REPAIRABLE, Verdict.HEALTHY):
        return outcome, None
    return outcome, _reg_file(outcome, job.asked.call.hive_root)


def _reg_file(outcome: Outcome, hive_root: str) -> bytes:
    from unxen.registry.reg_file import write_reg

    plans = [each for each in outcome.judgement.plan.installations if each.edits] if outcome.judgement else []
    if len(plans) > 1:
        ids = ", ".join(each.installation for each in plans)
        raise refused(ReasonKind.USAGE, verb="plan", problem=f"a .reg file is for one Windows; choose with --installation: {ids}")
    return write_reg(plans[0].edits if plans else (), hive_root)
