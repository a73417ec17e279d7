# SPDX-License-Identifier: Apache-2.0
"""What happens during long work, as events for whoever listens.

Touches nothing. A listener must not raise; without one nobody hears.
"""

from collections.abc import Callable
from enum import Enum

from unxen.model.record import dataclass


class Step(Enum):
    """The steps of an inspection or repair, in their order."""

    LOCK = "lock"
    LOOK = "look"
    DECIDE = "decide"
    OVERLAY = "overlay"
    EDIT = "edit"
    DELIVER = "deliver"
    VERIFY = "verify"
    UNDO_DATA = "undo-data"
    COMMIT = "commit"
    RECOVER = "recover"
    SWITCH = "switch"
    COPY = "copy"


class Part(Enum):
    """What takes time below the steps; several may run beside each other. Boxes tell those that begin with `box`."""

    START = "start"
    TABLES = "tables"
    VERB = "verb"
    BOXES = "boxes"
    HEADERS = "headers"
    SERVER = "server"
    DAEMON = "daemon"
    BOX_START = "box-start"
    BOX_READS = "box-reads"
    BOX_REGISTRY = "box-registry"
    BOX_LOOK = "box-look"
    BOX_EDIT = "box-edit"
    BOX_AUDIT = "box-audit"
    BOX_PROOF = "box-proof"
    SECOND_LOOK = "second-look"
    PROOF = "proof"
    CLUSTERS = "clusters"
    APPLIANCE = "appliance"


@dataclass(frozen=True)
class Spent:
    """How long a part took in all, in how many goes, and how many bytes it moved, where it moves any."""

    part: Part
    seconds: float
    times: int
    amount: int


@dataclass(frozen=True)
class StepBegun:
    """A step starts now."""

    step: Step


@dataclass(frozen=True)
class StepEnded:
    """A step is over after `seconds`."""

    step: Step
    seconds: float


@dataclass(frozen=True)
class Advanced:
    """A long step has come so far: `done` of `total`, both in the step's own unit (bytes)."""

    step: Step
    done: int
    total: int


@dataclass(frozen=True)
class Remark:
    """Something worth saying on the way: `kind` is a key of the messages table."""

    kind: str
    details: tuple[tuple[str, str], ...] = ()


Event = StepBegun | StepEnded | Advanced | Remark
Listener = Callable[[Event], None]


def nobody(_event: Event) -> None:
    """The listener that does not listen."""
