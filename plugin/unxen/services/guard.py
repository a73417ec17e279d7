# SPDX-License-Identifier: Apache-2.0
"""The last stop before a start: one judgement for all platforms, quick, and never in the way of a guest that it cannot judge.

Looks read-only, as `inspect` does. Writes only under the policy `repair`, and then as `repair` does, with the bus left as it is
and within seconds: a commit that has not begun by then never does, and one that has is finished.
Raises nothing but Refused(CONFIG_INVALID): whatever goes wrong in looking lets the guest start, for it started without us.
A disk whose commit a crash left unfinished, or that unxen works on at this moment, must not start whatever the policy but `off`
says; the journal is asked for that before anything is looked at, and one that cannot be read says nothing good.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from unxen.errors import Refused
from unxen.host.locks import held_by_unxen
from unxen.host.signals import limited
from unxen.journal.place import has_overlays
from unxen.journal.unfinished import unfinished_commits
from unxen.model.guest import Guest
from unxen.model.ids import Bus
from unxen.model.judgement import InstallationJudgement, LinkName, Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Event, Listener, Step, StepBegun, nobody
from unxen.model.reason import ReasonKind
from unxen.model.settings import Delivery, GuardPolicy, Settings
from unxen.model.start import Answer, StartJudgement, StartRisk
from unxen.platforms.base import HookCall, HookPhase
from unxen.platforms.files import FilesPlatform
from unxen.workflow.inspect import inspect
from unxen.workflow.tables import Tables

LOG = logging.getLogger(__name__)
LOCKS = "locks"
# The second look, and the proofs beside it, each as long as the first one on the same storage.
LOOKS_IN_A_REPAIR = 3


def judge_start(call: HookCall, target: str, settings: Settings, tables: Tables) -> StartJudgement:
    """What to say to this hook call. `target` is what people would type for the guest."""
    guest = call.guest
    if settings.guard is GuardPolicy.OFF or call.phase is not HookPhase.BEFORE_START or guest is None or call.known_fine:
        return StartJudgement(Answer.ALLOW, StartRisk.NONE, target)
    if _held(guest, settings):
        return StartJudgement(Answer.REFUSE, StartRisk.BEING_REPAIRED, target)
    if (half := _half_written(guest, target, settings)) is not None:
        return half
    if call.resumes:
        return StartJudgement(Answer.ALLOW, StartRisk.NONE, target)
    try:
        seen = _look(guest, settings, tables)
    except Refused as error:
        if error.first.kind is ReasonKind.CONFIG_INVALID:
            # A table of the administrator's: nobody else would tell of it.
            raise
        LOG.info("%s is not judged: %s", target, error)
        return StartJudgement(Answer.ALLOW, StartRisk.NOT_JUDGED, target, (("cause", error.first.kind.value),))
    if any(each.kind is ReasonKind.COMMIT_UNFINISHED for each in seen.reasons):
        return StartJudgement(Answer.REFUSE, StartRisk.HALF_WRITTEN, target)
    if settings.guard is GuardPolicy.REPAIR and (done := _repaired(guest, seen, settings, tables)):
        return StartJudgement(Answer.ALLOW, StartRisk.REPAIRED_NOW, target, (("entry", str(done.entry)),))
    return _judged(guest, seen, target, settings.guard)


def _held(guest: Guest, settings: Settings) -> bool:
    for disk in guest.disks:
        with suppress(OSError):
            if held_by_unxen(settings.state_dir / LOCKS, disk.path):
                return True
    return False


def _half_written(guest: Guest, target: str, settings: Settings) -> StartJudgement | None:
    """The refusal of a disk that is a mix of old and new, or that may be one for all that is known.

    A journal that cannot be read must not hold back every machine of a host: without an overlay no commit was begun.
    """
    try:
        begun = unfinished_commits(settings.state_dir, [disk.path for disk in guest.disks])
    except Refused as error:
        LOG.warning("whether %s is half written is not known: %s", target, error)
        if not has_overlays(settings.state_dir):
            return None
        return StartJudgement(Answer.REFUSE, StartRisk.JOURNAL_UNREADABLE, target, (("cause", error.first.detail("cause")),))
    return StartJudgement(Answer.REFUSE, StartRisk.HALF_WRITTEN, target) if begun else None


def _look(guest: Guest, settings: Settings, tables: Tables) -> Outcome:
    return inspect(guest, FilesPlatform(), settings, tables, bus=None, installation=None, listener=nobody)


def _repaired(guest: Guest, seen: Outcome, settings: Settings, tables: Tables) -> Outcome | None:
    """Made whole where it stands, or None: the definition that is about to start cannot be changed from here."""
    judgement = seen.judgement
    leftovers = bool(guest.machine.xen_leftovers)
    if seen.verdict is not Verdict.REPAIRABLE or judgement is None or judgement.bus is not guest.machine.bus or leftovers:
        return None
    if _seconds_of_look(seen) * LOOKS_IN_A_REPAIR > settings.guard_repair_seconds:
        LOG.warning("%s is not repaired before its start, because that would take too long", " + ".join(guest.target))
        return None
    from unxen.workflow.repair import Order, repair

    try:
        with limited(settings.guard_repair_seconds) as let_go:
            order = Order(delivery=Delivery.IN_PLACE)
            done = repair(guest, FilesPlatform(), settings, tables(), order, _until_commit(let_go))
    except (Refused, KeyboardInterrupt) as error:
        # Interrupted, because the platform has waited long enough: rolled back like any other repair, and judged as it is.
        LOG.warning("%s could not be repaired before its start: %s", " + ".join(guest.target), error)
        return None
    return done if done.verdict is Verdict.REPAIRED else None


def _seconds_of_look(seen: Outcome) -> float:
    return dict(seen.timings).get(Step.LOOK.value, 0.0)


def _until_commit(let_go: Callable[[], None]) -> Listener:
    """A commit is not to be cut off by the clock: it would have to be taken back, which takes as long again."""

    def listen(event: Event) -> None:
        if isinstance(event, StepBegun) and event.step is Step.COMMIT:
            let_go()

    return listen


def _judged(guest: Guest, seen: Outcome, target: str, policy: GuardPolicy) -> StartJudgement:
    judged = seen.judgement.installations if seen.judgement else ()
    bus = guest.machine.bus
    if not judged or seen.verdict is Verdict.NO_WINDOWS:
        return StartJudgement(Answer.ALLOW, StartRisk.NONE, target)
    if bus is Bus.XEN:
        answer = Answer.WARN if policy is GuardPolicy.WARN else Answer.REFUSE
        return StartJudgement(answer, StartRisk.DEFINED_FOR_XEN, target, (("what", ", ".join(guest.machine.xen_leftovers)),))
    if not _would_stop(judged, bus):
        return StartJudgement(Answer.ALLOW, StartRisk.NONE, target)
    return StartJudgement(_answer(guest, judged, policy), StartRisk.WOULD_STOP, target, (("bus", bus.value),))


def _would_stop(judged: Sequence[InstallationJudgement], bus: Bus) -> bool:
    """Every Windows on these disks has a broken link on the bus that it is about to get; unknown is not broken.

    A firmware that does not fit starts no Windows at all, so nothing of it could stop, nor be hurt.
    """
    links = [next((chain.first_broken for chain in each.chains if chain.bus is bus), None) for each in judged]
    return all(link is not None and link.name is not LinkName.FIRMWARE for link in links)


def _answer(guest: Guest, judged: Sequence[InstallationJudgement], policy: GuardPolicy) -> Answer:
    if policy in (GuardPolicy.WARN, GuardPolicy.REFUSE):
        return Answer.WARN if policy is GuardPolicy.WARN else Answer.REFUSE
    evidence = bool(guest.machine.xen_leftovers) or any(found.evidence for each in judged for found in each.xen)
    ran = any(each.ran_on_kvm for each in judged)
    return Answer.REFUSE if evidence and not ran else Answer.WARN
