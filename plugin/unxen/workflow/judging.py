# SPDX-License-Identifier: Apache-2.0
"""What a look at a Windows means for its guest: the judgement of its disks, and what its definition needs besides.

Touches nothing but the definition that the platform reads to plan its change. Loaded only where there is a Windows, for it brings
every rule along.
"""

from unxen.errors import Refused
from unxen.knowledge.tables import Knowledge
from unxen.model.facts import GuestFacts
from unxen.model.guest import Guest
from unxen.model.ids import InstallationId
from unxen.model.judgement import Judgement, Verdict
from unxen.model.outcome import Outcome
from unxen.model.record import replace
from unxen.model.settings import Settings
from unxen.plan.judge import judge
from unxen.platforms.base import Platform
from unxen.workflow.asked import Asked
from unxen.workflow.looking import Seen
from unxen.workflow.obstacles import built_upon
from unxen.workflow.wishing import judge_fitted, planned_switch


def judge_windows(
    guest: Guest,
    platform: Platform,
    settings: Settings,
    knowledge: Knowledge,
    facts: GuestFacts,
    asked: Asked,
    installation: InstallationId | None,
    *,
    accept_unclean_volume: bool,
) -> Judgement:
    """The judgement on the machine as it is, or as the platform will define it."""
    return judge_fitted(
        guest,
        facts,
        platform,
        lambda machine: judge(
            facts,
            machine,
            knowledge,
            bus=asked.bus,
            installation=installation,
            preference=settings.preference,
            repair_kvm_guests=settings.repair_guests_that_ran_on_kvm,
            accept_unclean_volume=accept_unclean_volume,
            accept_stale_hive=settings.accept_stale_hive,
            fixes=asked.fixes,
        ),
    )


def with_definition(outcome: Outcome, guest: Guest, platform: Platform, settings: Settings, seen: Seen, asked: Asked) -> Outcome:
    """The other half of the guest: what of its definition would be changed, and what on its platform forbids a repair."""
    if outcome.judgement is None:
        return outcome
    try:
        changes = planned_switch(platform, guest, outcome.judgement, seen.facts, asked).changes
        against = platform.obstacles(guest) if changes or outcome.verdict is Verdict.REPAIRABLE else ()
        against += built_upon(guest, platform, settings) if outcome.verdict is Verdict.REPAIRABLE else ()
    except Refused as error:
        changes, against = (), error.reasons
    wanted = Verdict.REPAIRABLE if changes and outcome.verdict is Verdict.HEALTHY else outcome.verdict
    return replace(outcome, definition=changes, reasons=outcome.reasons + against, verdict=Verdict.REFUSED if against else wanted)
