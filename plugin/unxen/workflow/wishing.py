# SPDX-License-Identifier: Apache-2.0
"""What a repaired Windows needs of its machine, read from the same judgement that the repair follows.

Touches nothing but the definition that the platform reads to plan its change. Refused comes from the platform, when a definition
cannot be what Windows needs.
"""

from collections.abc import Callable

from unxen.model.definition import Switch, Wish
from unxen.model.facts import GuestFacts
from unxen.model.fix import Fix
from unxen.model.guest import Guest, Machine
from unxen.model.ids import Bus, Firmware
from unxen.model.judgement import Judgement, LinkName, Verdict
from unxen.model.machine import Clock
from unxen.model.record import replace
from unxen.plan.cards import shared_card
from unxen.plan.clock import common_clock
from unxen.plan.links.firmware import certain_firmware
from unxen.platforms.base import Ability, Platform
from unxen.workflow.asked import Asked

NOTHING = Switch("", "")
FIRMWARE_LINK = LinkName.FIRMWARE.value


def planned_switch(platform: Platform, guest: Guest, judgement: Judgement, facts: GuestFacts, asked: Asked) -> Switch:
    """The change of the definition that this judgement calls for; without changes when it calls for none."""
    whole = judgement.bus not in (Bus.UNKNOWN, Bus.XEN) and _concerned(guest, judgement, asked)
    clock = _clock(guest, judgement, facts, asked, along=whole)
    if not whole and clock is None:
        return NOTHING
    return platform.plan_switch(guest, replace(wish_of(judgement, facts), clock=clock, clock_only=not whole))


def _clock(guest: Guest, judgement: Judgement, facts: GuestFacts, asked: Asked, *, along: bool) -> Clock | None:
    """What the clock shall show: where that was asked for, or along with another change where it is configured."""
    wanted = Fix.CLOCK in asked.fixes.asked or (along and Fix.CLOCK in asked.fixes.riding)
    judged = {each.installation for each in judgement.installations if each.verdict is not Verdict.REFUSED}
    if not wanted or not isinstance(guest.machine.clock, Clock) or judgement.verdict is Verdict.REFUSED:
        return None
    return common_clock([each for each in facts.installations if each.id in judged])


def _concerned(guest: Guest, judgement: Judgement, asked: Asked) -> bool:
    """Something is to be done on the disk, or it was asked for, or the definition still speaks of Xen or has the disk in no slot.

    The definition counts only for a Windows that has not run on KVM since: one that has starts as it is, or somebody took it out.
    """
    if judgement.verdict is Verdict.REPAIRABLE and not judgement.fixes_only:
        return True
    if judgement.verdict not in (Verdict.HEALTHY, Verdict.REPAIRABLE):
        return False
    ran = all(each.ran_on_kvm for each in judgement.installations) and not asked.repair_kvm_guests
    wanting = bool(guest.machine.xen_leftovers) or not guest.machine.attached
    return asked.bus is not None or (wanting and not ran)


def judge_fitted(guest: Guest, facts: GuestFacts, platform: Platform, judge_on: Callable[[Machine], Judgement]) -> Judgement:
    """The judgement on the machine as it is defined; where its firmware stands in the way and it is certain which one the disks are
    for, on the machine as the platform will define it. Anything less certain stays as it is, and is told.
    """
    judgement = judge_on(guest.machine)
    if Ability.FIRMWARE not in platform.abilities or not any(each.detail("link") == FIRMWARE_LINK for each in judgement.reasons):
        return judgement
    fitting = certain_firmware(facts, facts.installations)
    if fitting in (Firmware.UNKNOWN, guest.machine.firmware):
        return judgement
    return judge_on(replace(guest.machine, firmware=fitting))


def wish_of(judgement: Judgement, facts: GuestFacts) -> Wish:
    """What all judged installations together need."""
    judged = {each.installation: each for each in judgement.installations if each.verdict is not Verdict.REFUSED}
    seen = [each for each in facts.installations if each.id in judged]
    usable = [frozenset(chain.bus for chain in each.chains if chain.whole or chain.mendable) for each in judged.values()]
    return Wish(
        bus=judgement.bus,
        disks=tuple(dict.fromkeys(each.disk for each in seen)),
        drivers=frozenset.intersection(*usable) if usable else frozenset(),
        card=shared_card([each.cards for each in judged.values()]),
        firmware=certain_firmware(facts, seen),
    )
