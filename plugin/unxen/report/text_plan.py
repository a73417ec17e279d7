# SPDX-License-Identifier: Apache-2.0
"""A plan as somebody would review it: rule by rule, what is needed before what rides along, and the reason beside each change.

Touches nothing. Edits that differ only in their control set stand once, with both numbers.
"""

import re
from collections.abc import Iterable, Sequence

from unxen.model.edit import Action, Edit, InstallationPlan, Plan
from unxen.model.ids import Bus
from unxen.report.escape import clipped
from unxen.report.layout import Context, Style, Tone, heading, wrapped
from unxen.report.messages import rule_title
from unxen.report.step_messages import ACTION_WORDS
from unxen.report.values import value_text


def plan_lines(plan: Plan, context: Context) -> list[str]:
    """The whole plan, every edit."""
    lines: list[str] = []
    for part in plan.installations:
        if part.edits:
            lines += heading(context.style, _title(part, plan))
            lines.append(f"    {context.style.mark('bad')} required   {context.style.mark('dot')} rides along")
            lines += _groups(part.edits, context.style)
    return lines


def plan_summary(plan: Plan, context: Context) -> list[str]:
    """Rule by rule how many changes, for people who only want to know the size of it."""
    edits = [edit for part in plan.installations for edit in part.edits]
    lines = heading(context.style, f"What would be done{_for(plan)}")
    for rule in dict.fromkeys(edit.rule for edit in edits):
        mine = [edit for edit in edits if edit.rule == rule]
        needed = sum(edit.required for edit in mine)
        lines += wrapped(context.style, f"{counted(len(mine), 'change')}, {needed} required", f"    {rule_title(rule):<42}")
    return lines


def counted(number: int, word: str) -> str:
    """`1 change`, `2 changes`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _title(part: InstallationPlan, plan: Plan) -> str:
    needed = sum(edit.required for edit in part.edits)
    changes = counted(len(part.edits), "change")
    return f"Plan {plan.id[:12]}{_for(plan)}: {changes} in {clipped(part.installation)}, {needed} required"


def _for(plan: Plan) -> str:
    return "" if plan.bus is Bus.UNKNOWN else f" for {plan.bus.value}"


def _groups(edits: Sequence[Edit], style: Style) -> list[str]:
    lines: list[str] = []
    for rule in dict.fromkeys(edit.rule for edit in edits):
        mine = [edit for edit in edits if edit.rule == rule]
        lines += ["", *_group(rule, mine, style)]
    return lines


def _group(rule: str, edits: Sequence[Edit], style: Style) -> list[str]:
    lines = [f"  {style.paint(rule_title(rule), Tone.STRONG)}"]
    told = ""
    for same in _alike(edits):
        edit = same[0]
        lines += _edit_lines(edit, _path(same), style)
        reason = f"{edit.why} [{edit.source}]" if edit.source else edit.why
        if reason and reason != told:
            lines += [style.paint(line, Tone.QUIET) for line in wrapped(style, clipped(reason), "        ")]
        told = reason
    return lines


def _alike(edits: Iterable[Edit]) -> list[list[Edit]]:
    """Edits that say the same of several control sets, together."""
    found: dict[object, list[Edit]] = {}
    for edit in edits:
        sign = (edit.action, _tail(edit), edit.value_name, edit.before, edit.after, edit.why, edit.required)
        found.setdefault(sign, []).append(edit)
    return list(found.values())


def _tail(edit: Edit) -> str:
    return edit.key.partition("\\")[2].lower() if edit.control_set else edit.key


def _path(same: Sequence[Edit]) -> str:
    head, _, tail = same[0].key.partition("\\")
    numbers = "+".join([head, *(f"{edit.control_set:03}" for edit in same[1:])])
    return clipped(f"{numbers}\\{tail}" if tail else numbers, 400)


def _edit_lines(edit: Edit, path: str, style: Style) -> list[str]:
    mark = style.mark("bad") if edit.required else style.mark("dot")
    name = "" if edit.value_name is None else f"{clipped(edit.value_name) or '(Default)'}: "
    first, *more = path_lines(path, style.width - 8)
    lines = [f"    {mark} {first}", *(f"        {each}" for each in more)]
    return lines + wrapped(style, name + _change(edit, style), "        ", "          ")


def path_lines(path: str, width: int) -> list[str]:
    """A registry path broken before a backslash where it is too long; a name that is too long by itself stays whole."""
    lines = [""]
    for part in re.findall(r"\\?[^\\]*", path):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return [each for each in lines if each] or [path]


def _change(edit: Edit, style: Style) -> str:
    before = value_text(edit.before) if edit.before else "(absent)"
    if edit.action is Action.SET_VALUE and edit.after is not None:
        return f"{before} {style.mark('arrow')} {value_text(edit.after)}"
    word = ACTION_WORDS[edit.action]
    return f"{word} ({before})" if edit.before else word
