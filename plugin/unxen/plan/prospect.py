# SPDX-License-Identifier: Apache-2.0
"""What one control set promises on one bus: its boot path as it is, the edits that would mend it, and what would still be broken.

Touches nothing. The rules run in one order for all: filter lists before the services they name, because a listed filter whose
service cannot start is itself a 0x7B; controllers and overrides last. Edits that only ride along never make a plan by
themselves.
"""

from collections.abc import Callable

from unxen.model.edit import Action, Edit
from unxen.model.fix import Fix
from unxen.model.ids import Bus
from unxen.model.judgement import Chain, Link
from unxen.model.record import dataclass
from unxen.plan import outlook
from unxen.plan.boot_path import first_broken, walk
from unxen.plan.names import fold
from unxen.plan.rules import (
    class_filters,
    controllers_findable,
    crash_screen,
    data_disks,
    device_filters,
    inbox_controllers,
    overrides,
    processors,
    stock_filters,
    xen_services,
    xen_settings,
)
from unxen.plan.view import View

Rule = Callable[[View, Bus], list[Edit]]
FIXES: dict[Fix, Rule] = {
    Fix.STOCK_FILTERS: stock_filters.edits,
    Fix.DATA_DISKS: data_disks.edits,
    Fix.CRASH_SCREEN: crash_screen.edits,
}
"""Rules that do nothing unless they are asked for, whatever the bus."""
RULES: tuple[Rule, ...] = (
    class_filters.edits,
    device_filters.edits,
    xen_services.edits,
    xen_settings.edits,
    controllers_findable.edits,
    inbox_controllers.edits,
    processors.edits,
    overrides.edits,
    *FIXES.values(),
)


@dataclass(frozen=True)
class Prospect:
    """A control set on a bus: as it is, the edits (none when nothing is required), and the links as they would be after them."""

    chain: Chain
    edits: tuple[Edit, ...]
    mended: tuple[Link, ...]

    @property
    def remaining(self) -> Link | None:
        """The first link that the edits cannot mend."""
        return first_broken(self.mended)

    @property
    def possible(self) -> bool:
        """Whether Windows would start from this bus, after the edits if there are any."""
        return self.remaining is None

    @property
    def creates(self) -> bool:
        """Whether the edits need more than switching services and cutting lists."""
        return any(edit.required and edit.action is Action.CREATE_KEY and edit.rule != data_disks.RULE for edit in self.edits)


def prospect(view: View, bus: Bus) -> Prospect:
    """The prospect of this control set on this bus."""
    links = walk(view, bus)
    edits = required_edits(view, bus)
    mended = walk(view.with_control_set(outlook.after(view.control_set, edits)), bus) if edits else links
    chain = Chain(view.installation, view.control_set.number, bus, links, mendable=first_broken(mended) is None)
    return Prospect(chain, edits, mended)


def required_edits(view: View, bus: Bus) -> tuple[Edit, ...]:
    """All edits of all rules in their order; none when a start depends on none of them."""
    found = [edit for rule in RULES for edit in _sorted(rule(view, bus))]
    return tuple(found) if any(edit.required for edit in found) else ()


def asked_edits(view: View) -> tuple[Edit, ...]:
    """What was asked for by name, with nothing that the boot path would need beside it."""
    rules = (rule for fix, rule in FIXES.items() if fix in view.fixes.asked)
    return tuple(edit for rule in rules for edit in _sorted(rule(view, Bus.UNKNOWN)))


def _sorted(edits: list[Edit]) -> list[Edit]:
    """By key; edits of one key stay in the rule's order, for a key must be there before its values."""
    return sorted(edits, key=lambda edit: fold(edit.key))
