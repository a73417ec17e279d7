# SPDX-License-Identifier: Apache-2.0
"""Most disks have no Windows to judge, and that is said without tables and without the rules of Windows.

Touches nothing. A volume that cannot be looked into is no absence of Windows: it refuses.
"""

from unxen.model.edit import Plan
from unxen.model.facts import GuestFacts
from unxen.model.ids import Bus, InstallationId, PlanId
from unxen.model.judgement import Judgement, Verdict
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.volume_facts import Content

CLOSED = {
    Content.BITLOCKER: ReasonKind.ENCRYPTED,
    Content.LDM: ReasonKind.DYNAMIC_DISK,
    Content.STORAGE_SPACE: ReasonKind.STORAGE_SPACE,
}


def judge_nothing(facts: GuestFacts, bus: Bus) -> Judgement:
    """The judgement of disks on which no Windows was found, for the bus they have or were asked for."""
    return without_windows(nothing_found(facts), bus)


def without_windows(reasons: tuple[Reason, ...], bus: Bus) -> Judgement:
    """A judgement for these reasons alone, with nothing planned."""
    nothing = reasons[0].kind is ReasonKind.NO_WINDOWS
    return Judgement(Verdict.NO_WINDOWS if nothing else Verdict.REFUSED, bus, (), Plan(PlanId(""), bus, ()), reasons)


def nothing_found(facts: GuestFacts) -> tuple[Reason, ...]:
    """Why no Windows was found: volumes that cannot be looked into, or none at all."""
    closed = [
        reason(CLOSED[each.content], f"{each.disk}:{each.number}", found=each.content.value)
        for disk in facts.disks
        for each in disk.partitions
        if each.content in CLOSED
    ]
    return tuple(closed) or (reason(ReasonKind.NO_WINDOWS),)


def no_such_installation(wanted: InstallationId, facts: GuestFacts) -> tuple[Reason, ...]:
    """The chosen installation is not on these disks."""
    found = ", ".join(each.id for each in facts.installations)
    return (reason(ReasonKind.NO_SUCH_INSTALLATION, wanted, found=found),)
