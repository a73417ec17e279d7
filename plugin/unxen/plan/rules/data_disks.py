# SPDX-License-Identifier: Apache-2.0
"""Data disks come online by themselves: on another bus they are new to Windows, and its SAN policy may keep such disks offline.

Sources: Microsoft, VDS_SAN_POLICY (1 is OnlineAll); migration-manager issue 481 and virt-v2v PR 57 (disks offline on Server 2019
and 2022 after a change of the bus). Only when it is asked for, and never in a node of a failover cluster, whose shared disks must
not be mounted by whoever starts first. Touches nothing.
"""

from unxen.model.edit import Edit
from unxen.model.fix import Fix
from unxen.model.ids import Bus, KeyPath, Missing
from unxen.plan.edits import Cause, create_key, dword, set_number
from unxen.plan.names import below
from unxen.plan.san import ONLINE_ALL, has_policy
from unxen.plan.view import View

RULE = "data_disks"
WHY = "on another bus every data disk is new to Windows, and this policy brings such disks online"
SOURCE = "Microsoft, VDS_SAN_POLICY; virt-v2v PR 57"
KEY, VALUE = r"Services\partmgr\Parameters", "SanPolicy"


def edits(view: View, _bus: Bus) -> list[Edit]:
    """The policy, and the key that it stands in where that is missing."""
    asked, found = Fix.DATA_DISKS in view.fixes.asked, view.control_set.first_start
    if Fix.DATA_DISKS not in view.fixes or not has_policy(view) or found.cluster:
        return []
    if found.san_policy in (ONLINE_ALL, Missing.UNREADABLE, Missing.NOT_LOOKED_AT):
        return []
    # A value that is not there yet needs room, which nothing that merely rides along may ask for.
    if not asked and found.san_policy is Missing.ABSENT:
        return []
    cause = Cause(RULE, WHY, SOURCE, asked)
    key = found.san_key or KeyPath(below(view.root, KEY))
    made = [] if found.san_key else [create_key(view, key, cause)]
    before = dword(found.san_policy) if isinstance(found.san_policy, int) else None
    return [*made, set_number(view, key, VALUE, before, ONLINE_ALL, cause)]
