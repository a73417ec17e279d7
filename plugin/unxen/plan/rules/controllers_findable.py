# SPDX-License-Identifier: Apache-2.0
"""XP and 2003 find a controller that they have not met only by a row of the CriticalDeviceDatabase; missing rows are added.

Sources: Microsoft KB 314082 (the rows for IDE, with their class), windows_boot facts section 2. Vista and 7 have all rows from
the start, 8 and later have the DriverDatabase. Only rows whose service and files are there; rows that somebody wrote stay.
Touches nothing.
"""

from collections.abc import Iterator

from unxen.knowledge.tables import CriticalRow
from unxen.model.edit import Edit
from unxen.model.ids import Bus, KeyPath
from unxen.model.judgement import FindingKind
from unxen.plan.drivers import file_is_there
from unxen.plan.edits import Cause, create_key, set_value, text
from unxen.plan.links.controller import controller_link
from unxen.plan.names import below, fold, in_range
from unxen.plan.view import View

RULE = "controllers_findable"
DATABASE = r"Control\CriticalDeviceDatabase"


def edits(view: View, bus: Bus) -> list[Edit]:
    """Three edits (key, service, class) for every row that is missing."""
    if not view.control_set.critical_devices_seen:
        return []
    there = {fold(row.id) for row in view.control_set.critical_devices}
    required = any(finding.kind is FindingKind.ID_UNMATCHED for finding in controller_link(view, bus).findings)
    rows = (row for row in _rows(view, bus) if fold(row.id.replace("\\", "#")) not in there)
    return [edit for row in rows for edit in _added(view, row, required=required)]


def _rows(view: View, bus: Bus) -> Iterator[CriticalRow]:
    for row in view.knowledge.critical_rows:
        if row.bus is bus and in_range(view.windows.version, row.nt_from, row.nt_to) and _usable(view, row):
            yield row


def _usable(view: View, row: CriticalRow) -> bool:
    """Whether the row's driver is really there: a row that leads to a missing file would stop a start that works."""
    service = view.service(row.service)
    absent = {fold(each.name) for each in view.driver_files if each.seen is not True}
    return service is not None and file_is_there(service) and absent.isdisjoint(map(fold, row.files))


def _added(view: View, row: CriticalRow, *, required: bool) -> list[Edit]:
    key = KeyPath(below(view.root, below(DATABASE, row.id.replace("\\", "#"))))
    cause = Cause(RULE, row.why, row.source, required)
    return [
        create_key(view, key, cause),
        set_value(view, key, "Service", text(row.service), cause),
        set_value(view, key, "ClassGUID", text(row.class_guid), cause),
    ]
