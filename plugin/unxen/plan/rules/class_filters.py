# SPDX-License-Identifier: Apache-2.0
"""Xen filters out of every device class, upper and lower: a listed filter that cannot load stops each device of its class.

Sources: the article, steps 8 to 10 (UpperFilters, every class); winpv writes XENFILT to the classes System and hdc (win-xenbus
filters.c), Citrix' scsifilt stands in LowerFilters of DiskDrive (OpenXT xenvbd.inf), GPLPV's XenPci also in SCSIAdapter and
Net. Other entries keep their bytes and order, an emptied value goes (XenBootFix does the same; a vendor's uninstaller that
deletes whole lists destroys foreign filters). Touches nothing.
"""

from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.model.registry_facts import FilterScope
from unxen.plan.rules.cut_names import cut_xen_names
from unxen.plan.view import View

RULE = "class_filters"


def edits(view: View, _bus: Bus) -> list[Edit]:
    """One edit for every class list with a Xen name in it."""
    lists = (filters for filters in view.control_set.filters if filters.scope is FilterScope.CLASS)
    return [edit for filters in lists for edit in cut_xen_names(view, filters, RULE, required=True)]
