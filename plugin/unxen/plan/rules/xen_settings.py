# SPDX-License-Identifier: Apache-2.0
r"""What tells Xen drivers to take emulated disks away is cleared, so that the same disk also starts on Xen again.

Sources: XenBootFix and XenClean (ForceUnplug, Unplug), XenServer's PVDriversPurge (xenfilt\Unplug), win-xenbus unplug.c: read
when xen.sys loads, effective on Xen only. NOPVBoot keeps paravirtual drivers off and stays. On KVM nothing depends on any of
it: these edits only ride along. Touches nothing.
"""

from collections.abc import Iterator

from unxen.knowledge.tables import SettingAction, XenSetting
from unxen.model.edit import Edit
from unxen.model.ids import Bus
from unxen.model.registry_facts import Leftover
from unxen.plan.edits import Cause, delete_key, delete_value
from unxen.plan.names import below, fold
from unxen.plan.view import View

RULE = "xen_settings"


def edits(view: View, _bus: Bus) -> list[Edit]:
    """One edit for every setting to be cleared that is there."""
    rows = [row for row in view.knowledge.xen_settings if row.action is SettingAction.CLEAR]
    return [edit for row in rows for edit in _cleared(view, row)]


def _cleared(view: View, row: XenSetting) -> Iterator[Edit]:
    cause = Cause(RULE, row.why, row.source, required=False)
    place = fold(below(view.root, row.key))
    for leftover in view.control_set.leftovers:
        if fold(leftover.key) != place or leftover.tree is None:
            continue
        if row.value is None:
            yield delete_key(view, leftover.key, leftover.tree, cause)
        else:
            yield from _values(view, leftover, row.value, cause)


def _values(view: View, leftover: Leftover, name: str, cause: Cause) -> Iterator[Edit]:
    for each in leftover.tree.values if leftover.tree else ():
        if not each.key and fold(each.name) == fold(name):
            yield delete_value(view, leftover.key, each.name, each.value, cause)
