# SPDX-License-Identifier: Apache-2.0
"""What was done and what to type next: the part of a report that people act on.

Touches nothing. Commands are quoted for a shell and shown only for targets that survive the quoting readably.
"""

import shlex

from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.report.escape import visible
from unxen.report.layout import Context, heading, labelled, wrapped
from unxen.report.messages import bus_words, tell_definition
from unxen.report.text_plan import counted

_DOING = ("repair", "import", "promote", "demote")
_DELIVERIES = {"appliance": "by a guestfs appliance", "in-place": "in place, into the clusters of the file"}


_FIX_VERIFIED = "looked again: nothing left to do, the registry differs by the plan alone"
_VERIFIED = "looked again: boot path whole, nothing left to do, the registry differs by the plan alone"


def definition_lines(outcome: Outcome, context: Context) -> list[str]:
    """The other half of a guest: what of its definition was changed, or would be."""
    if not outcome.definition:
        return []
    title = "Changed in its definition" if outcome.switched else "What would change in its definition"
    lines = heading(context.style, title)
    for each in outcome.definition:
        lines += wrapped(context.style, tell_definition(each), "    - ", "      ")
    return lines


def done_lines(outcome: Outcome, context: Context) -> list[str]:
    """After a repair: what was changed, how it was verified, how to undo it, and where to attach the disk."""
    if outcome.verdict is not Verdict.REPAIRED or outcome.judgement is None or outcome.verb not in _DOING:
        return []
    plan, fixed = outcome.judgement.plan, outcome.judgement.fixes_only
    changes = sum(len(each.edits) for each in plan.installations)
    hives = counted(sum(bool(each.edits) for each in plan.installations), "hive")
    rows = [
        ("switched to" if outcome.switched else "attach on", "" if fixed else bus_words(outcome.judgement.bus)),
        ("changed", f"{counted(changes, 'change')} in {hives}{_replayed(outcome)}, nothing else on the disk" if changes else ""),
        ("definition", f"{counted(len(outcome.definition), 'change')}, everything else as it was" if outcome.switched else ""),
        ("delivered", _DELIVERIES.get(outcome.delivery, visible(outcome.delivery))),
        ("verified", (_FIX_VERIFIED if fixed else _VERIFIED) if outcome.changed else ""),
        ("undo", _command("undo", outcome, "") if outcome.entry is not None else ""),
        ("took", _took(outcome)),
    ]
    lines = [line for label, text in rows if text for line in labelled(context.style, label, text, indent=4, column=12)]
    return [*heading(context.style, "Done"), *lines]


def _replayed(outcome: Outcome) -> str:
    """A dirty hive is written as its logs make it: more bytes than those of the changes."""
    planned = {each.installation for each in outcome.judgement.plan.installations if each.edits} if outcome.judgement else set()
    hives = [each.hive for each in outcome.facts.installations if each.id in planned] if outcome.facts else []
    return " and what its logs held" if any(each is not None and each.replay for each in hives) else ""


def next_lines(outcome: Outcome, context: Context) -> list[str]:
    """What to type next."""
    if outcome.verdict is not Verdict.REPAIRABLE:
        return []
    rows = [] if outcome.verb == "plan" else [(_command("plan", outcome, context.options), "shows every change")]
    rows.append((_command("repair", outcome, context.options), "makes them, verified, with a way back"))
    lines = heading(context.style, "Next")
    column = max(len(command) for command, _ in rows) + 3
    for command, text in rows:
        fits = column + len(text) + 4 <= context.style.width
        lines += [f"    {command:<{column}}{text}"] if fits else [f"    {command}", f"        {text}"]
    return lines


def _command(verb: str, outcome: Outcome, options: str) -> str:
    # A name that begins like an option is one only behind a path.
    paths = (f"./{each}" if each.startswith("-") else each for each in outcome.target)
    words = " ".join(shlex.quote(visible(each)) for each in paths)
    return f"unxen {verb} {words} {options}".rstrip()


def _took(outcome: Outcome) -> str:
    return f"{sum(seconds for _, seconds in outcome.timings):.1f} s" if outcome.timings else ""
