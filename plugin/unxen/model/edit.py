# SPDX-License-Identifier: Apache-2.0
"""One registry change and the plan that orders them; both are values that can be printed, stored and compared.

Touches nothing. The id of a plan is the hash of its content, so equal disks give equal ids.
"""

from enum import Enum

from unxen.model.ids import Bus, ControlSetNumber, InstallationId, KeyPath, PlanId
from unxen.model.record import dataclass
from unxen.model.registry_facts import KeyTree, RegistryValue


class Action(Enum):
    """What an edit does. CREATE_KEY makes an empty key; SET_VALUE overwrites or adds one value."""

    SET_VALUE = "set-value"
    DELETE_VALUE = "delete-value"
    DELETE_KEY = "delete-key"
    CREATE_KEY = "create-key"


@dataclass(frozen=True)
class Edit:
    """One change of one hive.

    `key` from the hive's root. `value_name` is None for key actions. `before` is what stands there now (None: nothing),
    `after` what shall stand (None: nothing). `tree` is the content of a key to be deleted. `rule` names the rule's module,
    `why` and `source` come from it or from the knowledge row it used. `required` is false for edits that only ride along.
    """

    action: Action
    control_set: ControlSetNumber
    key: KeyPath
    value_name: str | None
    before: RegistryValue | None
    after: RegistryValue | None
    tree: KeyTree | None
    rule: str
    why: str
    source: str
    required: bool


@dataclass(frozen=True)
class InstallationPlan:
    """The edits of one installation's SYSTEM hive, in the order in which they are made."""

    installation: InstallationId
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Plan:
    """What shall be done to a guest so that it starts on `bus`; empty when nothing has to be done.

    `bus` is UNKNOWN where nothing but fixes is done: they are for no bus.
    """

    id: PlanId
    bus: Bus
    installations: tuple[InstallationPlan, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to change."""
        return not any(each.edits for each in self.installations)
