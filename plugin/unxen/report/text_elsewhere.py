# SPDX-License-Identifier: Apache-2.0
"""A VM whose disks are out of reach as a person reads it, and the lines that are left in its notes.

Touches nothing. Names, volumes and notes come from a cluster elsewhere; all are escaped.
"""

from collections.abc import Sequence
from typing import Any

from unxen.model.codec import encode
from unxen.model.elsewhere import Marked, SeenDefinition, Slot, Switched
from unxen.model.ids import Bus
from unxen.model.reason import Reason
from unxen.report.escape import clipped
from unxen.report.json import reason_document
from unxen.report.layout import Style, heading, labelled, wrapped
from unxen.report.messages import bus_words, tell_definition, tell_reason

_COLUMN = 16
_TASKS = {
    "look": "reading its configuration",
    "move": "moving its disk to another bus",
    "controller": "changing its SCSI controller",
    "note": "leaving a note and a tag",
}


def definition_text(seen: SeenDefinition, style: Style) -> str:
    """What the configuration tells, what forbids a change, what the token lacks, and where the rest is to be seen."""
    marked, machine = seen.marked, seen.machine
    lines = [clipped(_title(marked))]
    lines += _row(style, "machine", f"{machine.board.value}, firmware {machine.firmware.value}")
    for slot in seen.slots:
        lines += _row(style, slot.place, _slot(slot))
    lines += _row(style, "possible", ", ".join(each.value for each in machine.offered) or "no bus at all")
    for why in seen.against:
        lines += _row(style, "in the way", _cause(why))
    for task, names in seen.lacking.items():
        lines += _row(style, "not allowed", f"{_TASKS[task]}: the token lacks {', '.join(names)}")
    lines += _notes(marked, style)
    advice = f"Its disks were not looked at: that takes the node {marked.node} (unxen inspect {marked.target} there)."
    return "\n".join([*lines, "", *wrapped(style, clipped(advice), "  ")]) + "\n"


def marked_text(guests: Sequence[Marked], style: Style) -> str:
    """Every VM with what unxen left in its notes."""
    if not guests:
        return "no VM of this cluster has the tag of unxen\n"
    blocks = ["\n".join([clipped(_title(each)), *_notes(each, style)]) for each in guests]
    return "\n".join(blocks) + "\n"


def switched_text(target: str, done: Switched, *, dry_run: bool) -> str:
    """What was changed, a line each; with the way back."""
    lines = [f"{target}: {tell_definition(each)}" for each in done.changes] or [f"{target}: nothing to do"]
    if done.changes and dry_run:
        lines.append(f"{target}: nothing was changed")
    elif done.changes:
        lines.append(f"{target}: switched (entry {done.entry}); unxen undo takes it back")
    return "".join(f"{line}\n" for line in lines)


def switched_sentence(done: Switched) -> str:
    """For the VM's notes."""
    changes = "; ".join(tell_definition(each) for each in done.changes)
    return f"switched from another host, its disks were not looked at: {changes} (entry {done.entry} there)"


def undone_sentence(entry: int) -> str:
    """For the VM's notes."""
    return f"switched back from another host (entry {entry} there)"


def definition_document(seen: SeenDefinition) -> dict[str, Any]:
    """The same for programs; strings not yet escaped."""
    return {
        "schema": 1,
        "disks_seen": False,
        **marked_document(seen.marked),
        "bus": None if seen.machine.bus is Bus.UNKNOWN else seen.machine.bus.value,
        "machine": seen.machine.board.value,
        "firmware": seen.machine.firmware.value,
        "offered": [each.value for each in seen.machine.offered],
        "slots": [encode(each) for each in seen.slots],
        "against": [reason_document(each) for each in seen.against],
        "lacking": {task: list(names) for task, names in seen.lacking.items()},
    }


def marked_document(marked: Marked) -> dict[str, Any]:
    """One VM of a list; strings not yet escaped."""
    values = {"name": marked.name, "node": marked.node, "running": marked.running, "tagged": marked.tagged}
    return {"target": [marked.target], **values, "notes": [clipped(each) for each in marked.notes]}


def _title(marked: Marked) -> str:
    state = "running" if marked.running else "stopped"
    return f"{marked.target} ({marked.name}) on {marked.node}, {state}"


def _row(style: Style, label: str, text: str) -> list[str]:
    return labelled(style, label, clipped(text), column=_COLUMN)


def _slot(slot: Slot) -> str:
    return f"{slot.volume}, attached nowhere" if slot.bus is None else f"{slot.volume}, Windows sees {bus_words(slot.bus)}"


def _cause(why: Reason) -> str:
    told = tell_reason(why)
    return f"{told.what}. {told.remedy}"


def _notes(marked: Marked, style: Style) -> list[str]:
    if not marked.notes:
        return _row(style, "notes", "nothing of unxen's" + (", but its tag" if marked.tagged else ""))
    lines = heading(style, "What unxen left in its notes")
    for each in marked.notes:
        lines += wrapped(style, clipped(each), "    ", "      ")
    return lines
