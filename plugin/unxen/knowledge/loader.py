# SPDX-License-Identifier: Apache-2.0
"""What unxen knows of drivers and controllers stands in tables that a person can read, check and add to; here they come together.

Reads the *.toml files beside this module and nothing else; rows of administrators arrive as text. A row of theirs with the same
key takes the place of ours. Raises Refused(KNOWLEDGE_INVALID) with one reason for every wrong row, naming file, row and field.
"""

import tomllib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from unxen.errors import Refused
from unxen.knowledge.cross_checks import cross_problems
from unxen.knowledge.layout import BY_HEADING, TABLES, Entry, Table, label
from unxen.knowledge.row_checks import row_problems
from unxen.knowledge.tables import Knowledge
from unxen.knowledge.values import Wrong, decode_row
from unxen.model.reason import Reason, ReasonKind, reason

HERE = Path(__file__).resolve().parent
Rows = dict[tuple[str, str], Entry]


def load_knowledge(extra: Sequence[tuple[str, str]] = ()) -> Knowledge:
    """All tables, checked; `extra` are (file name, text) of administrators' rows in the order in which they count."""
    return _load(tuple(extra))


@lru_cache(maxsize=4)
def _load(extra: tuple[tuple[str, str], ...]) -> Knowledge:
    own = [(path.name, path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.toml"))]
    entries: Rows = {}
    problems: list[Reason] = []
    for file, text in (*own, *extra):
        problems += _read(file, text, entries)
    problems = problems or [_reason(entry.file, entry.label, *rest) for entry, *rest in cross_problems(tuple(entries.values()))]
    if problems:
        raise Refused(*problems)
    return _knowledge(entries)


def _read(file: str, text: str, entries: Rows) -> Iterator[Reason]:
    """Adds the rows of one file, or takes the place of earlier ones; gives what is wrong with it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        yield reason(ReasonKind.KNOWLEDGE_INVALID, file, problem=str(error))
        return
    seen: set[tuple[str, str]] = set()
    for heading, rows in document.items():
        if heading not in BY_HEADING or not isinstance(rows, list):
            known = ", ".join(f"[[{each}]]" for each in BY_HEADING)
            yield _reason(file, heading, "", f"is not a table; tables are {known}")
            continue
        for number, row in enumerate(rows, 1):
            yield from _add(BY_HEADING[heading], file, number, row, seen, entries)


def _add(table: Table, file: str, number: int, document: Any, seen: set[tuple[str, str]], entries: Rows) -> Iterator[Reason]:
    try:
        entry = Entry(table, file, number, decode_row(table, document))
    except Wrong as wrong:
        name = document.get(table.key[0]) if isinstance(document, dict) else None
        yield _reason(file, label(table, number, name), wrong.field, wrong.problem)
        return
    wrong_fields = list(row_problems(entry))
    if entry.key in seen:
        wrong_fields.append((table.key[0], "stands twice in this file"))
    seen.add(entry.key)
    entries[entry.key] = entry
    yield from (_reason(file, entry.label, *each) for each in wrong_fields)


def _reason(file: str, row: str, field: str, problem: str) -> Reason:
    details = {"row": row, "field": field, "problem": problem}
    return reason(ReasonKind.KNOWLEDGE_INVALID, file, **{name: value for name, value in details.items() if value})


def _knowledge(entries: Rows) -> Knowledge:
    rows: dict[str, list[Any]] = {table.field: [] for table in TABLES}
    for entry in entries.values():
        rows[entry.table.field].append(entry.row)
    # The longest prefix names the families best, wherever it was added.
    rows["xen_devices"].sort(key=lambda row: -len(row.prefix))
    return Knowledge(**{field: tuple(each) for field, each in rows.items()})
