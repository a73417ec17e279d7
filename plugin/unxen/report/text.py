# SPDX-License-Identifier: Apache-2.0
"""An outcome for a person: the verdict first, then why, then what to do, as a good compiler tells it.

Touches nothing, never fails; everything from a guest is escaped. `render` gives the whole text, `headline` its first line.
"""

from collections.abc import Sequence

from unxen.model.facts import Installation
from unxen.model.ids import Bus
from unxen.model.judgement import InstallationJudgement, Note, NoteKind, Verdict
from unxen.model.outcome import Outcome
from unxen.model.reason import Reason
from unxen.report.escape import clipped, visible
from unxen.report.exit_codes import WRONG_USAGE, exit_code
from unxen.report.first_start_messages import FIRST_START_TEXTS
from unxen.report.layout import Context, Tone, heading, labelled, wrapped
from unxen.report.messages import bus_words, tell_note, tell_reason
from unxen.report.step_messages import VERDICT_WORDS
from unxen.report.text_boot import boot_path, buses, why_it_stops
from unxen.report.text_next import definition_lines, done_lines, next_lines
from unxen.report.text_plan import counted, plan_lines, plan_summary
from unxen.report.text_xen import xen_left

_UNDONE = {
    (True, True): "the disk and the definition are as they were",
    (True, False): "the disk is as it was",
    (False, True): "the definition is as it was",
    (False, False): "everything is as it was",
}
# How a move to another bus is told when it was made, and when it could be.
_MOVED = {"promote": ("promoted", "can be promoted"), "demote": ("demoted", "can be demoted")}
_FIXED = {
    (Verdict.REPAIRABLE, False): "can be mended as asked; its boot path is left as it is",
    (Verdict.REPAIRABLE, True): "can be mended as asked: it was tried out and works, the disk is unchanged",
    (Verdict.REPAIRED, False): "mended as asked; its boot path is left as it was",
}
_ARTICLE = NoteKind.ARTICLE_SERVICE
_TONES = {
    Verdict.HEALTHY: Tone.GOOD,
    Verdict.REPAIRED: Tone.GOOD,
    Verdict.RECOVERED: Tone.GOOD,
    Verdict.REPAIRABLE: Tone.BAD,
    Verdict.REFUSED: Tone.BAD,
    Verdict.FAILED: Tone.BAD,
    Verdict.NO_WINDOWS: Tone.DOUBT,
}


def render(outcome: Outcome, context: Context) -> str:
    """The whole report, ending with a line break."""
    lines = _headline(outcome, context)
    for reason in outcome.reasons:
        lines += _reason(reason, context, first=reason is outcome.reasons[0])
    for judged in outcome.judgement.installations if outcome.judgement else ():
        lines += _installation(outcome, judged, context)
    if outcome.judgement and not outcome.judgement.plan.empty:
        show = plan_lines if outcome.verb == "plan" else plan_summary
        lines += show(outcome.judgement.plan, context) if outcome.verdict is not Verdict.REPAIRED else []
    lines += definition_lines(outcome, context)
    lines += done_lines(outcome, context) + _notes(outcome, context) + next_lines(outcome, context)
    return "\n".join(lines) + "\n"


def headline(outcome: Outcome, context: Context) -> str:
    """The verdict in one line, for --quiet; never broken, because scripts read it."""
    line = f"{_name(outcome)}: {_verdict(outcome)}"
    return context.style.paint(line, _TONES[outcome.verdict]) + "\n"


def _headline(outcome: Outcome, context: Context) -> list[str]:
    lines = wrapped(context.style, f"{_name(outcome)}: {_verdict(outcome)}", "", "  ")
    return [context.style.paint(line, _TONES[outcome.verdict]) for line in lines]


def _name(outcome: Outcome) -> str:
    return clipped(" + ".join(outcome.target) or "unxen")


def _verdict(outcome: Outcome) -> str:
    bus = outcome.judgement.bus if outcome.judgement else Bus.UNKNOWN
    if outcome.verb == "undo" and not outcome.reasons:
        return _undone(outcome)
    if outcome.verdict in (Verdict.REFUSED, Verdict.FAILED):
        return _refusal(outcome)
    if outcome.verb in _MOVED and outcome.verdict in (Verdict.REPAIRED, Verdict.HEALTHY):
        return _moved(outcome)
    if outcome.verdict is Verdict.RECOVERED:
        return "; ".join(tell_note(each) for each in outcome.notes)
    if outcome.judgement and outcome.judgement.fixes_only and (outcome.verdict, outcome.dry_run) in _FIXED:
        return _FIXED[outcome.verdict, outcome.dry_run]
    if outcome.verdict is Verdict.REPAIRED:
        return f"repaired: Windows now reaches its system disk on {bus_words(bus)}"
    if outcome.verdict is Verdict.REPAIRABLE and outcome.judgement and outcome.judgement.plan.empty:
        return "its disk is fit for KVM, its definition is not; can be repaired"
    if outcome.verdict is Verdict.REPAIRABLE:
        return f"would stop with 0x7B INACCESSIBLE_BOOT_DEVICE on {bus.value}; {_could(outcome)}"
    return _nothing_to_do(outcome)


def _moved(outcome: Outcome) -> str:
    assert outcome.judgement is not None
    bus = bus_words(outcome.judgement.bus)
    done, possible = _MOVED[outcome.verb]
    if outcome.definition:
        return f"{done if outcome.switched else possible} to {bus}: Windows has what it needs to start from there"
    return f"Windows has what it needs to start from {bus}, nothing to do"


def _undone(outcome: Outcome) -> str:
    if outcome.facts is None:
        return f"undone: {_UNDONE[outcome.changed, outcome.switched]} before the repair"
    if outcome.judgement is None:
        return "nothing to undo: every registry value is as it was before the repair"
    left = sum(each.kind is NoteKind.LEFT_ALONE for each in outcome.notes)
    rest = f", {counted(left, 'place')} left alone" if left else ""
    changes = sum(len(each.edits) for each in outcome.judgement.plan.installations)
    return f"undone: {counted(changes, 'registry change')} put back as before the repair{rest}"


def _refusal(outcome: Outcome) -> str:
    """What happened; a mistake of the caller is no verdict on a disk, and a name already said is not said again."""
    if not outcome.reasons:
        return VERDICT_WORDS[outcome.verdict]
    what = tell_reason(outcome.reasons[0]).what.removeprefix(f"{clipped(' + '.join(outcome.target))} ")
    return what if exit_code(outcome) == WRONG_USAGE else f"{VERDICT_WORDS[outcome.verdict]}: {what}"


def _could(outcome: Outcome) -> str:
    return "the repair was tried out and works, the disk is unchanged" if outcome.dry_run else "can be repaired"


def _nothing_to_do(outcome: Outcome) -> str:
    if outcome.verdict is Verdict.NO_WINDOWS:
        return "no Windows found, nothing to do"
    judged = outcome.judgement.installations if outcome.judgement else ()
    chains = [chain for each in judged for chain in each.chains if chain.bus is each.bus]
    if chains and all(chain.whole for chain in chains):
        return f"healthy: Windows reaches its system disk on {chains[0].bus.value}, nothing to do"
    if chains:
        return f"left alone: no Xen drivers are in the way, but {_broken_on(chains[0].bus)}"
    return "healthy: no Xen drivers are in the way, nothing to do"


def _broken_on(bus: Bus) -> str:
    """A guest that has another illness is not healed unasked, and not called healthy."""
    return f"Windows would not start from {bus.value} as it is; unxen inspect --bus {bus.value} tells why and what would mend it"


def _reason(reason: Reason, context: Context, first: bool) -> list[str]:
    told = tell_reason(reason)
    lines = [] if first else ["", *wrapped(context.style, f"also: {told.what}", "  ")]
    if told.cause:
        lines += labelled(context.style, "why:", told.cause, column=8)
    return lines + labelled(context.style, "remedy:", told.remedy, column=8)


def _installation(outcome: Outcome, judged: InstallationJudgement, context: Context) -> list[str]:
    seen = next((each for each in outcome.facts.installations if each.id == judged.installation), None) if outcome.facts else None
    lines = ["", *wrapped(context.style, _windows(seen, judged), "  ", "    ")]
    if outcome.judgement and len(outcome.judgement.installations) > 1:
        lines += wrapped(context.style, f"{VERDICT_WORDS[_now(judged, outcome)]} [{visible(judged.installation)}]", "    ")
    if outcome.verb in _MOVED:
        return lines + boot_path(judged, context)
    for reason in judged.reasons:
        if reason not in outcome.reasons:
            lines += wrapped(context.style, tell_reason(reason).what, "    ", "      ")
    refused = judged.verdict is Verdict.REFUSED
    if outcome.verb == "inspect" or refused:
        lines += boot_path(judged, context) + why_it_stops(judged, context) if judged.verdict is not Verdict.HEALTHY else []
        lines += xen_left(judged, context) if outcome.verb == "inspect" else []
        lines += buses(judged, context)
    return lines


def _now(judged: InstallationJudgement, outcome: Outcome) -> Verdict:
    """The verdict after what was done: the judgement is of the disk as it was before."""
    done = judged.verdict is Verdict.REPAIRABLE and outcome.verdict is Verdict.REPAIRED
    return Verdict.REPAIRED if done else judged.verdict


def _windows(seen: Installation | None, judged: InstallationJudgement) -> str:
    if seen is None:
        return visible(judged.installation)
    place = f"{visible(seen.root)} on disk {seen.disk}, " + (
        f"partition {seen.partition}" if seen.partition else "no partition table"
    )
    facts = seen.windows
    if facts is None:
        return f"a Windows in {place}"
    version = ".".join(str(part) for part in facts.version)
    words = [clipped(facts.product, 80) or "Windows", f"version {version}", facts.architecture.value]
    return f"{', '.join(words)}, in {place}"


def _notes(outcome: Outcome, context: Context) -> list[str]:
    judged = outcome.judgement.installations if outcome.judgement else ()
    texts = [tell_note(each) for each in outcome.notes if outcome.verdict is not Verdict.RECOVERED]
    later: list[str] = []
    for each in judged:
        which = f"{visible(each.installation)}: " if len(judged) > 1 else ""
        # Who moves a disk on has the how-to behind him.
        kept = [note for note in each.notes if outcome.verb not in _MOVED or note.kind is not _ARTICLE]
        texts += [which + text for text in _told(kept)]
        later += [which + tell_note(note) for note in each.notes if note.kind in FIRST_START_TEXTS]
    return _listed("Notes", texts, context) + _listed("First start", later, context)


def _listed(title: str, texts: Sequence[str], context: Context) -> list[str]:
    lines = heading(context.style, title) if texts else []
    for text in dict.fromkeys(texts):
        lines += wrapped(context.style, f"{text}.", "    - ", "      ")
    return lines


def _told(notes: Sequence[Note]) -> list[str]:
    apart = {_ARTICLE, *FIRST_START_TEXTS}
    return [*(tell_note(each) for each in notes if each.kind not in apart), *_article(notes)]


def _article(notes: Sequence[Note]) -> list[str]:
    """The services of the how-to that people come with, in one note."""
    services = [f"{clipped(each.subject)} {dict(each.details).get('state', '')}".strip() for each in notes if each.kind is _ARTICLE]
    return [f"the services of the classic how-to: {', '.join(dict.fromkeys(services))}"] if services else []
