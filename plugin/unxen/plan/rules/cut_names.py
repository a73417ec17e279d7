# SPDX-License-Identifier: Apache-2.0
"""Both rules about filter lists cut the same way; only where the list hangs and what depends on it differ.

Touches nothing. A list that is not understood, or that holds no Xen name, gives no edit.
"""

from unxen.model.edit import Edit
from unxen.model.registry_facts import FilterList
from unxen.plan.edits import Cause, set_list
from unxen.plan.filter_lists import names, without
from unxen.plan.names import fold
from unxen.plan.view import View
from unxen.plan.xen import is_xen_filter, xen_filter


def cut_xen_names(view: View, filters: FilterList, rule: str, *, required: bool) -> list[Edit]:
    """The edit that takes every Xen name out of one list, with the reasons of all names that go."""
    after = without(filters.value, lambda name: is_xen_filter(view, name))
    if after == filters.value:
        return []
    rows = [row for row in (xen_filter(view, name) for name in _unique(names(filters.value))) if row]
    why = "; ".join(dict.fromkeys(row.why for row in rows))
    source = "; ".join(dict.fromkeys(row.source for row in rows))
    return [set_list(view, filters, after, Cause(rule, why, source, required))]


def _unique(found: tuple[str, ...]) -> tuple[str, ...]:
    return tuple({fold(name): name for name in found}.values())
