# SPDX-License-Identifier: Apache-2.0
"""Filters that Windows itself lists go back where an earlier mend by hand deleted the whole list; only when that is asked for.

Sources: hives of XP to 10 (the table `stock_filter` says which agree), pastebin En9GgcPc and gist jwmoss (public mends that delete
whole lists). Other names keep bytes and order. Only filters whose driver is there and would load: one that cannot is worse than
one that is missing. Touches nothing.
"""

from collections.abc import Iterator

from unxen.model.edit import Edit
from unxen.model.fix import Fix
from unxen.model.ids import Bus, KeyPath
from unxen.model.registry_facts import FilterSide
from unxen.plan.edits import Cause, set_list, set_value
from unxen.plan.names import below
from unxen.plan.stock_filters import classes_seen, gaps, restored
from unxen.plan.view import View

RULE = "stock_filters"
CLASSES = r"Control\Class"
VALUES = {FilterSide.UPPER: "UpperFilters", FilterSide.LOWER: "LowerFilters"}


def edits(view: View, _bus: Bus) -> list[Edit]:
    """One edit for every list of the table that lacks a name."""
    return list(_edits(view)) if Fix.STOCK_FILTERS in view.fixes and classes_seen(view) else []


def _edits(view: View) -> Iterator[Edit]:
    for gap in gaps(view):
        # A whole list needs room in the registry, which nothing that merely rides along may ask for.
        required = gap.row.vital or Fix.STOCK_FILTERS in view.fixes.asked
        if required and (after := restored(view, gap)):
            cause = Cause(RULE, gap.row.why, gap.row.source, required)
            if gap.filters:
                yield set_list(view, gap.filters, after, cause)
            else:
                key = KeyPath(below(view.root, below(CLASSES, gap.row.class_guid)))
                yield set_value(view, key, VALUES[gap.row.side], after, cause)
