# SPDX-License-Identifier: Apache-2.0
"""The judgement of a guest: healthy, repairable with this plan, refused for these reasons, or no Windows at all.

Touches nothing and raises nothing: facts, machine and tables go in, one value comes out. The same call gives the verdict, the
plan and the verification. Something is done only with evidence of Xen or when a bus was asked for, and to a Windows that has
run on KVM since only when that was asked for too.
"""

from collections.abc import Sequence

from unxen.knowledge.tables import Knowledge
from unxen.model.edit import InstallationPlan
from unxen.model.facts import GuestFacts, Installation
from unxen.model.fix import NO_FIXES, Fixes
from unxen.model.guest import Machine
from unxen.model.ids import Bus, InstallationId
from unxen.model.judgement import InstallationJudgement, Judgement, Note, Verdict
from unxen.model.reason import Reason
from unxen.model.record import dataclass, replace
from unxen.model.settings import DEFAULT_PREFERENCE
from unxen.plan import notes
from unxen.plan.article_notes import article_notes
from unxen.plan.bus_choice import choose_bus, natural_bus, nearest_bus, offered
from unxen.plan.cards import cards_of
from unxen.plan.examined import Examined, examine
from unxen.plan.firmware_notes import fallback_notes, mismatch_notes
from unxen.plan.first_start import first_start
from unxen.plan.fixable import fixable
from unxen.plan.left_out import left_out
from unxen.plan.no_windows import judge_nothing, no_such_installation, without_windows
from unxen.plan.old_disks import old_disk_notes
from unxen.plan.plan_id import make_plan
from unxen.plan.refusals import impossible, not_to_be_changed, unfit, unsupported
from unxen.plan.states import no_room, sector_notes, with_ways_out


@dataclass(frozen=True)
class _Question:
    """What is asked about a guest."""

    facts: GuestFacts
    machine: Machine
    knowledge: Knowledge
    bus: Bus | None
    preference: tuple[Bus, ...]
    repair_kvm_guests: bool
    accept_unclean_volume: bool
    accept_stale_hive: bool
    fixes: Fixes


@dataclass(frozen=True)
class _Answer:
    """One installation's judgement with its part of the plan."""

    judgement: InstallationJudgement
    plan: InstallationPlan


def judge(
    facts: GuestFacts,
    machine: Machine,
    knowledge: Knowledge,
    *,
    bus: Bus | None = None,
    installation: InstallationId | None = None,
    preference: tuple[Bus, ...] = DEFAULT_PREFERENCE,
    repair_kvm_guests: bool = False,
    accept_unclean_volume: bool = False,
    accept_stale_hive: bool = False,
    fixes: Fixes = NO_FIXES,
) -> Judgement:
    """What these facts mean for this machine; `bus` asks for one, `installation` leaves the others out."""
    question = _Question(
        facts, machine, knowledge, bus, preference, repair_kvm_guests, accept_unclean_volume, accept_stale_hive, fixes
    )
    if not facts.installations:
        return judge_nothing(facts, bus or machine.bus)
    chosen = [each for each in facts.installations if installation in (None, each.id)]
    if not chosen:
        return without_windows(no_such_installation(installation or InstallationId(""), facts), bus or machine.bus)
    return _guest(question, chosen)


def _guest(question: _Question, chosen: Sequence[Installation]) -> Judgement:
    found = [(each, examine(question.facts, each, question.machine, question.knowledge, question.fixes)) for each in chosen]
    fit = [examined for each, examined in found if examined and not _unfit(question, each)]
    concerned = fit if _anything(question, fit) else []
    judged, possible = _bus(question, concerned, fit)
    answers = [_answer(question, each, examined, judged, concerned, possible=possible) for each, examined in found]
    judgements = tuple(each.judgement for each in answers)
    verdict = _worst(judgements)
    parts = tuple(each.plan for each in answers) if verdict is Verdict.REPAIRABLE else ()
    reasons = tuple(dict.fromkeys(each for judgement in judgements for each in judgement.reasons))
    only = bool(question.fixes.asked) and not concerned
    plan = make_plan(Bus.UNKNOWN if only else judged, parts)
    return Judgement(verdict, judged, judgements, plan, reasons, fixes_only=only)


def _anything(question: _Question, fit: Sequence[Examined]) -> bool:
    """Whether anything is to be done here; then every installation has its say, for they share the disks' bus."""
    return question.bus is not None or any(_calls_for_repair(question, each) for each in fit)


def _calls_for_repair(question: _Question, examined: Examined) -> bool:
    """Xen is active in a Windows that has not run on KVM since; one that has is left alone, unless that was asked for."""
    return examined.evidence and (question.repair_kvm_guests or not examined.kvm_trace)


def _bus(question: _Question, concerned: Sequence[Examined], fit: Sequence[Examined]) -> tuple[Bus, bool]:
    """The bus that is judged, and whether the machine can have it and it suits every installation."""
    machine, preference = question.machine, question.preference
    if question.bus is not None:
        return question.bus, offered(question.bus, machine)
    if not concerned:
        return natural_bus(fit, machine, preference), True
    chosen = choose_bus(concerned, machine, preference)
    return (chosen, True) if chosen else (nearest_bus(concerned, machine, preference), False)


def _answer(
    question: _Question,
    installation: Installation,
    examined: Examined | None,
    bus: Bus,
    concerned: Sequence[Examined],
    *,
    possible: bool,
) -> _Answer:
    """One installation's verdict for the bus of the whole guest."""
    reasons = _unfit(question, installation)
    if examined is None or reasons:
        return _made(installation, examined, Verdict.REFUSED, bus, with_ways_out(reasons, examined), ())
    if any(each is examined for each in concerned):
        return _judged(question, examined, bus, possible=possible)
    told = (*notes.left_alone(examined), *notes.elsewhere(examined, bus), *mismatch_notes(examined))
    return _fixed(question, examined, bus, told)


def _fixed(question: _Question, examined: Examined, bus: Bus, told: tuple[Note, ...]) -> _Answer:
    """The verdict for an installation of which nothing is wanted but what was asked for by name."""
    edits, installation = examined.asked_edits(), examined.installation
    told = (*told, *left_out(examined, Fixes(question.fixes.asked)))
    if edits and (reasons := _not_to_be_edited(examined)):
        return _made(installation, examined, Verdict.REFUSED, bus, reasons, told)
    answer = _made(installation, examined, Verdict.REPAIRABLE if edits else Verdict.HEALTHY, bus, (), told)
    return replace(answer, plan=InstallationPlan(installation.id, edits))


def _unfit(question: _Question, installation: Installation) -> tuple[Reason, ...]:
    return unfit(installation, accept_unclean_volume=question.accept_unclean_volume, accept_stale_hive=question.accept_stale_hive)


def _judged(question: _Question, examined: Examined, bus: Bus, *, possible: bool) -> _Answer:
    """The verdict for an installation that shall start from the bus."""
    installation = examined.installation
    reasons = _refusal(question, examined, bus, possible=possible)
    about = article_notes(examined, bus, refused=bool(reasons))
    of_disk = (*old_disk_notes(question.facts, examined), *sector_notes(question.facts, examined))
    told = (*notes.left_alone(examined), *about, *of_disk)
    if reasons:
        return _made(installation, examined, Verdict.REFUSED, bus, reasons, (*told, *notes.elsewhere(examined, bus)))
    edits = examined.edits(bus)
    wanted = question.fixes if edits else Fixes(question.fixes.asked)
    told = (*told, *fallback_notes(question.facts, examined), *first_start(examined))
    told = (*told, *fixable(examined, bus), *left_out(examined, wanted))
    answer = _made(installation, examined, Verdict.REPAIRABLE if edits else Verdict.HEALTHY, bus, (), told)
    return replace(answer, plan=InstallationPlan(installation.id, edits))


def _refusal(question: _Question, examined: Examined, bus: Bus, *, possible: bool) -> tuple[Reason, ...]:
    """Why this installation cannot be made to start from the bus; empty when it can, or does already."""
    found = examined.prospects.get(bus)
    asked = question.bus is not None
    if found is None or not found.possible or (asked and not possible):
        return impossible(examined, bus, asked=asked)
    if not examined.edits(bus):
        return ()
    return _not_to_be_edited(examined)


def _not_to_be_edited(examined: Examined) -> tuple[Reason, ...]:
    return (unsupported(examined.windows),) if not_to_be_changed(examined.windows) else no_room(examined.installation)


def _made(
    installation: Installation,
    examined: Examined | None,
    verdict: Verdict,
    bus: Bus,
    reasons: tuple[Reason, ...],
    told: tuple[Note, ...],
) -> _Answer:
    chains = tuple(each.chain for each in examined.prospects.values()) if examined else ()
    judgement = InstallationJudgement(
        installation=installation.id,
        verdict=verdict,
        bus=bus,
        chains=chains,
        xen=examined.xen if examined else (),
        reasons=reasons,
        notes=told,
        ran_on_kvm=bool(examined and examined.kvm_trace),
        cards=cards_of(examined.views) if examined else (),
    )
    return _Answer(judgement, InstallationPlan(installation.id, ()))


def _worst(judgements: Sequence[InstallationJudgement]) -> Verdict:
    """One refused installation refuses the guest; one repairable makes it repairable."""
    found = {each.verdict for each in judgements}
    order = (Verdict.REFUSED, Verdict.REPAIRABLE)
    return next((verdict for verdict in order if verdict in found), Verdict.HEALTHY)
