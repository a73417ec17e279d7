# SPDX-License-Identifier: Apache-2.0
"""The knowledge tables cost more than most looks and most disks never ask for them, so they are loaded when they are asked for.

Reads the administrator's tables. Raises Refused(CONFIG_INVALID) or Refused(NO_PERMISSION) at that moment and not before.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from unxen.host.config import knowledge_rows
from unxen.host.ledger import spending
from unxen.model.progress import Part
from unxen.model.settings import Settings

if TYPE_CHECKING:
    from unxen.knowledge.tables import Knowledge

Tables = Callable[[], "Knowledge"]
"""Gives the tables; the first call loads them."""


def tables_of(settings: Settings) -> Tables:
    """The program's own tables with what the administrator added."""

    @cache
    def load() -> "Knowledge":
        with spending(Part.TABLES):
            from unxen.knowledge.loader import load_knowledge

            return load_knowledge(knowledge_rows(settings))

    return load
