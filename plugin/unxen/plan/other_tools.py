# SPDX-License-Identifier: Apache-2.0
"""Another tool's half-done work is named, so that nobody takes what it does later for what unxen did.

Touches nothing; nothing of it is edited. Sources stand in the tables `unfinished_tool` and `critical_mistake`.
"""

from collections.abc import Iterator

from unxen.model.hive_facts import HiveState
from unxen.model.judgement import Note, NoteKind
from unxen.model.registry_facts import CriticalDevice
from unxen.plan.examined import Examined
from unxen.plan.names import fold, in_range, until_7
from unxen.plan.view import View

DISABLED = 4


def unfinished_tools(examined: Examined) -> Iterator[Note]:
    """Services that go on with another tool's work at the next start."""
    view = examined.deciding
    for row in view.knowledge.unfinished_tools:
        service = view.service(row.service)
        image = service.image_path if service and isinstance(service.image_path, str) else ""
        if service and service.start != DISABLED and any(fold(each) in fold(image) for each in row.images):
            yield Note(NoteKind.UNFINISHED_TOOL, service.name, (("tool", row.tool), ("why", row.why), ("remedy", row.remedy)))


def critical_mistakes(examined: Examined) -> Iterator[Note]:
    """Rows of the CriticalDeviceDatabase that give a device to a driver of another kind; 8 and later do not read them."""
    view = examined.deciding
    for found in view.control_set.critical_devices if until_7(view.windows.version) else ():
        tool, why = _mistake(view, found)
        if why:
            yield Note(NoteKind.CRITICAL_MISTAKE, found.id, (("service", found.service), ("tool", tool), ("why", why)))


def _mistake(view: View, found: CriticalDevice) -> tuple[str, str]:
    """Who writes such a row, where that is known, and what is wrong with it; nothing for a row that is right."""
    for row in view.knowledge.critical_mistakes:
        if (fold(row.id), fold(row.service)) == (fold(found.id), fold(found.service)):
            return row.tool, row.why
    for right in view.knowledge.critical_rows:
        if fold(right.id) == fold(found.id) and in_range(view.windows.version, right.nt_from, right.nt_to):
            # A driver of the whole class of devices serves it, too.
            serving = {fold(row.service) for row in view.controllers if row.bus is right.bus} | {fold(right.service)}
            return "", "" if fold(found.service) in serving else f"this device needs {right.service}"
    return "", ""


def closed_over_logs(examined: Examined) -> Iterator[Note]:
    """A hive that counts as written completely, while its logs hold later entries: hivex makes such, Windows does not."""
    hive = examined.installation.hive
    own = max(hive.primary, hive.secondary) if hive else 0
    if hive and hive.state is HiveState.CLEAN and hive.highest > own:
        yield Note(NoteKind.CLOSED_OVER_LOGS, "", (("own", str(own)), ("highest", str(hive.highest))))
