# SPDX-License-Identifier: Apache-2.0
r"""Xen filters out of single devices: the PCI root and the IDE channels come back on KVM with the lists they had on Xen.

Sources: Red Hat's rhelfltr stands in UpperFilters of ACPI\PNP0A03 and PCIIDE\IDEChannel (AWS' RemoveResidueRedhat.ps1), XenHide
in LowerFilters of PNP0A03 (GPLPV history); upgrades of Windows move class filters to devices (Microsoft KB 976267). On devices
that only Xen makes the name goes too, but nothing depends on it: xendisk hangs there (win-xenvbd) and uninstallers leave it.
Touches nothing.
"""

from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.model.registry_facts import FilterScope
from unxen.plan.rules.cut_names import cut_xen_names
from unxen.plan.view import View
from unxen.plan.xen import on_xen_device

RULE = "device_filters"


def edits(view: View, _bus: Bus) -> list[Edit]:
    """One edit for every device's list with a Xen name in it."""
    lists = (filters for filters in view.control_set.filters if filters.scope is FilterScope.DEVICE)
    return [edit for each in lists for edit in cut_xen_names(view, each, RULE, required=not on_xen_device(view, each))]
