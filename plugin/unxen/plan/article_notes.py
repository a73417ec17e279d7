# SPDX-License-Identifier: Apache-2.0
"""People come with the article in hand: what each service of its list is and what becomes of it is always told.

Touches nothing. Source: the article, steps 6 and 7.
"""

from unxen.knowledge.tables import ArticleStep
from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.model.judgement import Note, NoteKind
from unxen.plan.edits import START
from unxen.plan.examined import Examined
from unxen.plan.names import fold
from unxen.plan.prospect import required_edits


def article_notes(examined: Examined, bus: Bus, *, refused: bool) -> tuple[Note, ...]:
    """One note for every service of the article's list, about the control set that Windows starts with."""
    planned = () if refused else required_edits(examined.deciding, bus)
    edits = {fold(edit.key): edit for edit in planned if edit.value_name == START}
    return tuple(_note(examined, step, edits) for step in examined.deciding.knowledge.article)


def _note(examined: Examined, step: ArticleStep, edits: dict[str, Edit]) -> Note:
    details = (("state", _state(examined, step, edits)), ("wanted", str(step.start)), ("number", str(step.number)))
    return Note(NoteKind.ARTICLE_SERVICE, step.service, details)


def _state(examined: Examined, step: ArticleStep, edits: dict[str, Edit]) -> str:
    service = examined.deciding.service(step.service)
    if service is None:
        return "absent"
    edit = edits.get(fold(service.key))
    if edit and edit.after:
        return f"set to {int.from_bytes(edit.after.data, 'little')}"
    if service.start == step.start:
        return f"already {step.start}"
    if step.start == 0 and service.file_seen is False:
        return "file missing"
    return f"left at {service.start}" if isinstance(service.start, int) else "no Start"
