# SPDX-License-Identifier: Apache-2.0
"""Sentences with holes: filled from the fields of a reason, finding or note, whatever fields that one happens to carry.

Touches nothing, never fails. `{name}` is a field; what stands in `[...]` disappears when a field inside it is missing or empty;
outside brackets a missing field becomes a question mark. Fields come from guests: they are escaped here, and a brace or bracket in
one is only a letter (nothing is evaluated).
"""

import re
from collections.abc import Mapping

from unxen.model.reason import Details
from unxen.report.escape import clipped

_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_FIELD = re.compile(r"\{(\w+)\}")


def fields_of(subject: str, details: Details = (), **more: str) -> dict[str, str]:
    """The fields a sentence may use: the details, `subject`, and what the caller adds."""
    return {**dict(details), "subject": subject, **more}


def fill(template: str, fields: Mapping[str, str]) -> str:
    """The template with its holes filled; optional parts with a missing field left out."""
    pieces = _OPTIONAL.split(template)
    return "".join(_piece(piece, fields, optional=bool(index % 2)) for index, piece in enumerate(pieces)).strip()


def names_in(template: str) -> frozenset[str]:
    """The fields that a template uses; for tests that walk the tables."""
    return frozenset(_FIELD.findall(template))


def _piece(piece: str, fields: Mapping[str, str], optional: bool) -> str:
    if optional and any(not fields.get(name) for name in _FIELD.findall(piece)):
        return ""
    return _FIELD.sub(lambda hole: clipped(fields.get(hole[1], "")) or "?", piece)
