# SPDX-License-Identifier: Apache-2.0
"""What stands in a hive at the places that a plan once changed.

Touches nothing.
"""

from unxen.model.record import dataclass
from unxen.model.registry_facts import KeyTree, RegistryValue


@dataclass(frozen=True)
class Standing:
    """The place of one edit: whether its key and the one above are there, its value, and for edits of whole keys all below."""

    key: bool
    above: bool
    value: RegistryValue | None = None
    tree: KeyTree | None = None
