# SPDX-License-Identifier: Apache-2.0
"""The recipe of `repair`: take the disks, look, decide, and if something is to be done, do it in an overlay, verify, commit.

Until the commit not one byte of a disk changes, and whatever goes wrong before it leaves no trace but a line in the journal. Raises
Refused; a guest that is healthy or refused by judgement is an Outcome.
"""

from contextlib import ExitStack

from unxen.journal.store import open_journal
from unxen.knowledge.tables import Knowledge
from unxen.model.guest import Guest
from unxen.model.ids import Bus, InstallationId
from unxen.model.judgement import Judgement, Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.settings import Delivery, Settings
from unxen.plan.judge import judge
from unxen.probe.look import Look
from unxen.probe.wanted import wanted_from
from unxen.repair.holding import hold
from unxen.repair.looking import look_through
from unxen.repair.pipeline import Pipeline, Result
from unxen.workflow.steps import Stopwatch


def repair(
    guest: Guest,
    settings: Settings,
    knowledge: Knowledge,
    *,
    bus: Bus | None,
    installation: InstallationId | None,
    delivery: Delivery,
    dry_run: bool,
    listener: Listener,
    accept_unclean_volume: bool = False,
) -> Outcome:
    """Makes the guest start on the chosen bus; with `dry_run` everything but the commit."""
    watch = Stopwatch(listener)
    with ExitStack() as stack:
        with watch.step(Step.LOCK):
            held = stack.enter_context(hold(guest, settings, listener))
        with watch.step(Step.LOOK):
            first = look_through(held, wanted_from(knowledge))

        def decide(look: Look, chosen: Bus | None) -> Judgement:
            return judge(
                look.facts,
                guest.machine,
                knowledge,
                bus=chosen,
                installation=installation,
                preference=settings.preference,
                repair_kvm_guests=settings.repair_guests_that_ran_on_kvm,
                accept_unclean_volume=accept_unclean_volume,
            )

        with watch.step(Step.DECIDE):
            judgement = decide(first, bus)
        if judgement.verdict is not Verdict.REPAIRABLE:
            return _outcome(guest, first, judgement, judgement.verdict, watch, dry_run)
        journal = stack.enter_context(open_journal(settings.state_dir))
        pipeline = Pipeline(journal, settings, knowledge, held, first, judgement, decide, watch.step, listener)
        result = pipeline.run(guest.target, delivery, dry_run)
        verdict = Verdict.REPAIRABLE if dry_run else Verdict.REPAIRED
        return _outcome(guest, first, judgement, verdict, watch, dry_run, result)


def _outcome(
    guest: Guest, look: Look, judgement: Judgement, verdict: Verdict, watch: Stopwatch, dry_run: bool, done: Result | None = None
) -> Outcome:
    return Outcome(
        verb="repair",
        target=guest.target,
        verdict=verdict,
        facts=look.facts,
        judgement=judgement,
        reasons=judgement.reasons,
        dry_run=dry_run,
        changed=done is not None and not dry_run,
        entry=done.entry if done and not dry_run else None,
        delivery=done.delivery if done else "",
        timings=watch.timings,
    )
