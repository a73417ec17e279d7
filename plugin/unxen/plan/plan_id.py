# SPDX-License-Identifier: Apache-2.0
"""Equal disks shall give equal plans, and a journal or a report names a plan by its content: hence its id.

Touches nothing.
"""

import hashlib
import json

from unxen.model.codec import encode
from unxen.model.edit import InstallationPlan, Plan
from unxen.model.ids import Bus, PlanId


def make_plan(bus: Bus, installations: tuple[InstallationPlan, ...]) -> Plan:
    """The plan with the hash of what it holds; installations without edits are left out."""
    kept = tuple(each for each in installations if each.edits)
    content = json.dumps([bus.value, encode(kept)], sort_keys=True, separators=(",", ":"))
    return Plan(PlanId(hashlib.sha256(content.encode()).hexdigest()), bus, kept)
