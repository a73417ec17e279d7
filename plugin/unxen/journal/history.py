# SPDX-License-Identifier: Apache-2.0
"""What verbs and watchers told of guests is kept beside the journal's entries, so that a migration can be seen as a whole.

Touches the journal's file. A report that cannot be remembered is no reason to fail what was done: the caller decides.
"""

import json
import time

from unxen.journal.store import Journal
from unxen.model.history import PastOutcome

DAY = 86400.0


def remember(journal: Journal, document: str, at: float | None = None) -> None:
    """Keeps one outcome's JSON document, durably."""
    with journal.writing() as connection:
        connection.execute("insert into outcomes (at, document) values (?, ?)", (time.time() if at is None else at, document))


def past_outcomes(journal: Journal, since: float = 0.0) -> tuple[PastOutcome, ...]:
    """All that were told since that moment, the oldest first."""
    with journal.reading() as connection:
        rows = connection.execute("select number, at, document from outcomes where at >= ? order by number", (since,)).fetchall()
    return tuple(PastOutcome(number, at, json.loads(document)) for number, at, document in rows)


def forget(journal: Journal, days: int, now: float | None = None) -> int:
    """Drops what is older than so many days; gives how many."""
    limit = (time.time() if now is None else now) - days * DAY
    with journal.writing() as connection:
        return connection.execute("delete from outcomes where at < ?", (limit,)).rowcount
