# SPDX-License-Identifier: Apache-2.0
"""Filters that Windows itself lists and that are gone: which they are, and how their list looked before somebody cut it.

Touches nothing. Only rows that are certain for exactly this version count; a Windows of unknown version has none.
"""

from collections.abc import Iterator, Sequence

from unxen.knowledge.tables import StockFilter
from unxen.model.judgement import LinkState
from unxen.model.record import dataclass
from unxen.model.registry_facts import FilterList, FilterScope, RegistryValue
from unxen.plan.drivers import driver_finding, file_is_there
from unxen.plan.filter_lists import Form, form, names, with_names
from unxen.plan.names import fold
from unxen.plan.view import View

DEMAND = 3


@dataclass(frozen=True)
class Gap:
    """A row of the table and those of its names that the list lacks; `filters` is None where there is no list at all."""

    row: StockFilter
    filters: FilterList | None
    names: tuple[str, ...]


def gaps(view: View) -> Iterator[Gap]:
    """Every stock filter that is gone."""
    for row in view.stock_filters:
        filters = _list_of(view, row)
        listed = frozenset(map(fold, names(filters.value))) if filters else frozenset()
        gone = tuple(each for each in row.names if fold(each) not in listed)
        if gone:
            yield Gap(row, filters, gone)


def classes_seen(view: View) -> bool:
    """Whether any class has a list: a hive that was saved in part says nothing about damage."""
    return any(filters.scope is FilterScope.CLASS for filters in view.control_set.filters)


def restored(view: View, gap: Gap) -> RegistryValue | None:
    """The list with what it lacks; None where a name could not be loaded, or where nobody understands what is in it."""
    if not all(_loads(view, name, gap.row) for name in gap.names):
        return None
    if gap.filters is None:
        return with_names(None, gap.row.names, last=gap.row.last)
    return with_names(gap.filters.value, gap.row.names, last=gap.row.last) if form(gap.filters.value) is Form.LIST else None


def obstacle(gap: Gap) -> str:
    """Why the list is not restored, as a word."""
    return "odd-list" if gap.filters and form(gap.filters.value) is not Form.LIST else "filter-not-ready"


def _loads(view: View, name: str, row: StockFilter) -> bool:
    """Whether listing it would not stop its devices: at boot on the way to a disk, elsewhere whenever it is asked for."""
    service = view.service(name)
    if service is None or not file_is_there(service):
        return False
    if _at_boot(view, row):
        return driver_finding(view, name).state is LinkState.HOLDS
    return isinstance(service.start, int) and service.start <= DEMAND


def _at_boot(view: View, row: StockFilter) -> bool:
    return any(fold(each.guid) == fold(row.class_guid) and each.links for each in view.knowledge.classes)


def _list_of(view: View, row: StockFilter) -> FilterList | None:
    lists: Sequence[FilterList] = view.control_set.filters
    found = (each for each in lists if each.scope is FilterScope.CLASS and each.side is row.side)
    return next((each for each in found if fold(each.class_guid) == fold(row.class_guid)), None)
