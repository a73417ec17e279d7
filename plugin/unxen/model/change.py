# SPDX-License-Identifier: Apache-2.0
"""A difference between two registry trees, whoever made it.

Touches nothing.
"""

from enum import Enum

from unxen.model.ids import KeyPath
from unxen.model.record import dataclass
from unxen.model.registry_facts import RegistryValue


class ChangeKind(Enum):
    """What differs."""

    KEY_ADDED = "key-added"
    KEY_REMOVED = "key-removed"
    KEY_CHANGED = "key-changed"
    VALUE_ADDED = "value-added"
    VALUE_REMOVED = "value-removed"
    VALUE_CHANGED = "value-changed"


@dataclass(frozen=True)
class RegistryChange:
    """One difference. KEY_CHANGED is about a key's class name, security or time stamp; `value_name` is None for keys.

    A removed or added key brings one row for itself and one for every key and value below.
    """

    kind: ChangeKind
    key: KeyPath
    value_name: str | None
    before: RegistryValue | None
    after: RegistryValue | None
