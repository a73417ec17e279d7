# SPDX-License-Identifier: Apache-2.0
"""XP and 2003 on a processor of another make can crash in the driver of the old one; it is switched off along with a repair.

Sources: Microsoft KB 953356 (orphaned intelppm), old virt-v2v (deletes Processor and Intelppm); Start 4 is the form that can be
taken back. Never a reason for a repair. Touches nothing.
"""

from collections.abc import Iterator

from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.plan.edits import Cause, set_start
from unxen.plan.names import in_range
from unxen.plan.view import View

RULE = "processors"


def edits(view: View, _bus: Bus) -> list[Edit]:
    """One edit for every processor driver that starts earlier than its row allows."""
    return list(_edits(view))


def _edits(view: View) -> Iterator[Edit]:
    for row in view.knowledge.processors:
        service = view.service(row.service) if in_range(view.windows.version, row.nt_from, row.nt_to) else None
        if service and isinstance(service.start, int) and service.start < row.start:
            yield set_start(view, service, row.start, Cause(RULE, row.why, row.source, required=False))
