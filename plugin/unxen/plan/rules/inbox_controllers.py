# SPDX-License-Identifier: Apache-2.0
"""Inbox controllers on: a disk driver that Windows starts only on demand cannot bring the disk on which it lies.

Sources: the article, step 6 (msahci, pciide, iaStor, iaStorV, iaStorAVC to 0), Microsoft KB 922976 (msahci needs nothing but
Start 0), KB 314082 (intelide, atapi). Also the drivers of the chosen bus, and IDE's as the fallback that nearly every board can
give; nothing else. Only services that exist and whose file is there: with ErrorControl 3 a missing file would stop the start.
Touches nothing.
"""

from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.plan.drivers import BOOT, file_is_there
from unxen.plan.edits import Cause, set_start
from unxen.plan.links.controller import needed_services
from unxen.plan.names import fold
from unxen.plan.view import View

RULE = "inbox_controllers"
FALLBACK = ("atapi", "intelide")
FALLBACK_CAUSE = ("IDE is the fallback that every i440fx board has, so its drivers stay ready", "Microsoft KB 314082")
BUS_CAUSE = "Windows needs this driver before it can read its disk on {}"


def edits(view: View, bus: Bus) -> list[Edit]:
    """One edit for every service of the list that is there, has its file and does not start at boot."""
    needed = needed_services(view, bus)
    found = []
    for name, (why, source) in _candidates(view, bus).items():
        service = view.service(name)
        if service and file_is_there(service) and isinstance(service.start, int) and service.start != BOOT:
            found.append(set_start(view, service, BOOT, Cause(RULE, why, source, name in needed)))
    return found


def _candidates(view: View, bus: Bus) -> dict[str, tuple[str, str]]:
    """Why and source by folded name, the chosen bus' own first."""
    causes: dict[str, tuple[str, str]] = {}
    for row in view.controllers:
        if row.bus is bus:
            for name in (row.service, *row.requires):
                causes.setdefault(fold(name), (BUS_CAUSE.format(bus.value), row.source))
    for step in view.knowledge.article:
        if step.start == BOOT:
            causes.setdefault(fold(step.service), ("the article's list of controllers to be switched on", step.source))
    for name in FALLBACK:
        causes.setdefault(name, FALLBACK_CAUSE)
    return causes
