# SPDX-License-Identifier: Apache-2.0
"""Xen services off the boot path: what starts by itself puts filters back, crashes without Xen, or asks for restarts.

Sources: the article, step 7 (xenpci, xenvbd, xennet to 3); XenBootFix (4 for fifteen names); win-xenbus filters.c (xenbus
re-adds XENFILT whenever it starts). Beside Citrix' event channel driver 4 also where the article asks for 3: there the disk driver
brings a library along that unplugs the emulated disks on Xen (OpenXT xenutl.c), so the way back would end in a crash. Keys are
never deleted: uninstallers look them up. A service is only ever started later, never earlier, and drivers that also serve virtio
stay as they are. Touches nothing.
"""

from collections.abc import Iterator

from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.plan.edits import Cause, set_start
from unxen.plan.view import View
from unxen.plan.xen import dual_use, runs_at_boot, xen_service

RULE = "xen_services"
OFF = 4


def edits(view: View, _bus: Bus) -> list[Edit]:
    """One edit for every Xen service that starts earlier than its row allows."""
    return list(_edits(view))


def _edits(view: View) -> Iterator[Edit]:
    for service in view.control_set.services:
        row = xen_service(view, service.name)
        if row is None or row.start_after is None or dual_use(view, row):
            continue
        off = any(view.service(name) for name in row.off_beside)
        wanted = OFF if off else row.start_after
        if isinstance(service.start, int) and service.start < wanted:
            why = row.off_why if off and row.off_why else row.why
            yield set_start(view, service, wanted, Cause(RULE, why, row.source, runs_at_boot(view, service)))
