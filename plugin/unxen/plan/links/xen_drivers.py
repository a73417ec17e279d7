# SPDX-License-Identifier: Apache-2.0
"""What starts at boot can put a Xen filter back or crash without Xen, even where today's boot path is whole.

Touches nothing. xenbus re-adds XENFILT whenever it starts (win-xenbus filters.c), so a listed filter anywhere and a Xen driver
that starts by itself both break this link. Lists that another link has already named are not named again, and one that nobody
understands is left to the notes.
"""

from collections.abc import Iterator

from unxen.model.ids import Bus
from unxen.model.judgement import Finding, FindingKind, Link, LinkName, LinkState
from unxen.plan.filter_lists import Form, form, names
from unxen.plan.links.filters import class_title, path_lists
from unxen.plan.links.state import link
from unxen.plan.view import View
from unxen.plan.xen import is_xen_filter, looks_like_xen, on_xen_device, runs_at_boot

LINKS_WITH_LISTS = (LinkName.BUSES, LinkName.CONTROLLER_FILTERS, LinkName.DISK)


def xen_link(view: View, bus: Bus) -> Link:
    """Whether nothing of Xen would run or be waited for at boot."""
    findings = [*_services(view), *_other_lists(view, bus)]
    quiet = Finding(FindingKind.XEN_QUIET, LinkState.HOLDS, "")
    return link(LinkName.XEN, findings or [quiet])


def _services(view: View) -> Iterator[Finding]:
    for service in view.control_set.services:
        if runs_at_boot(view, service):
            details = (("start", str(service.start)),)
            yield Finding(FindingKind.XEN_STARTS_AT_BOOT, LinkState.BROKEN, service.name, service.key, details)
        elif service.start == 0 and looks_like_xen(view, service.name):
            yield Finding(FindingKind.XEN_UNIDENTIFIED, LinkState.UNKNOWN, service.name, service.key)


def _other_lists(view: View, bus: Bus) -> Iterator[Finding]:
    """Xen filters in lists that the other links do not look at."""
    seen = {(each.key, each.value_name) for name in LINKS_WITH_LISTS for each in path_lists(view, bus, name)}
    for filters in view.control_set.filters:
        if (filters.key, filters.value_name) in seen or on_xen_device(view, filters) or form(filters.value) is Form.ODD:
            continue
        for name in names(filters.value):
            if is_xen_filter(view, name):
                details = (("side", filters.side.value), ("class", class_title(view, filters)))
                yield Finding(FindingKind.FILTER_XEN, LinkState.BROKEN, name, filters.key, details)
