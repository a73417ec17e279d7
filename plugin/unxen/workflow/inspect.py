# SPDX-License-Identifier: Apache-2.0
"""The recipe of `inspect` and `plan`: look into the disks, judge what was seen; nothing is ever written.

Raises Refused for everything that keeps from looking; what the look shows is an Outcome, a refused guest included.
"""

from collections.abc import Sequence

from unxen.model.facts import GuestFacts
from unxen.model.fix import Fix, fixes
from unxen.model.guest import Guest
from unxen.model.ids import Bus, DiskNumber, InstallationId
from unxen.model.judgement import Judgement, Note, NoteKind, Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.settings import Settings
from unxen.plan.no_windows import judge_nothing
from unxen.platforms.base import Platform
from unxen.workflow.asked import Asked
from unxen.workflow.keys import with_keys_told
from unxen.workflow.looking import Seen, look_at
from unxen.workflow.obstacles import unfinished, unwritable
from unxen.workflow.steps import Stopwatch
from unxen.workflow.tables import Tables


def inspect(
    guest: Guest,
    platform: Platform,
    settings: Settings,
    tables: Tables,
    *,
    bus: Bus | None,
    installation: InstallationId | None,
    listener: Listener,
    verb: str = "inspect",
    accept_unclean_volume: bool = False,
    keys: Sequence[str] = (),
    fix: Sequence[Fix] = (),
) -> Outcome:
    """What is on the guest's disks and what it means."""
    watch = Stopwatch(listener)
    with watch.step(Step.LOOK):
        seen = look_at(guest, settings, tables, keys, listener)
    with watch.step(Step.DECIDE):
        bus = bus or _waiting_bus(guest, platform, settings)
        asked = Asked(bus, settings.repair_guests_that_ran_on_kvm, fixes(fix, settings.fix))
        judgement = _judgement(guest, platform, settings, tables, seen, asked, installation, accept_unclean_volume)
    outcome = with_keys_told(_outcome(verb, guest, settings, seen, judgement, watch), seen.opening, keys)
    if not seen.facts.installations:
        return outcome
    from unxen.workflow.judging import with_definition

    return with_definition(outcome, guest, platform, settings, seen, asked)


def _judgement(
    guest: Guest,
    platform: Platform,
    settings: Settings,
    tables: Tables,
    seen: Seen,
    asked: Asked,
    installation: InstallationId | None,
    accept_unclean_volume: bool,
) -> Judgement:
    """The rules of Windows are loaded where there is one, by the look already."""
    if not seen.facts.installations:
        return judge_nothing(seen.facts, asked.bus or guest.machine.bus)
    from unxen.workflow.judging import judge_windows

    return judge_windows(
        guest, platform, settings, tables(), seen.facts, asked, installation, accept_unclean_volume=accept_unclean_volume
    )


def _waiting_bus(guest: Guest, platform: Platform, settings: Settings) -> Bus | None:
    """A repair whose switch is still to be made has chosen already."""
    if not guest.id or not settings.state_dir.is_dir():
        return None
    # SQLite is loaded only where there can be something: a look has to start quickly.
    from unxen.workflow.switching import waiting_bus

    return waiting_bus(guest, platform, settings)


def _outcome(verb: str, guest: Guest, settings: Settings, seen: Seen, judgement: Judgement, watch: Stopwatch) -> Outcome:
    reasons = unfinished(seen.chains, settings)
    if judgement.verdict is Verdict.REPAIRABLE:
        reasons += unwritable(seen.chains, disks_to_be_changed(seen.facts, judgement))
    return Outcome(
        verb=verb,
        target=guest.target,
        verdict=Verdict.REFUSED if reasons else judgement.verdict,
        facts=seen.facts,
        judgement=judgement,
        reasons=reasons + judgement.reasons,
        notes=guest.notes + ((Note(NoteKind.STALE, " + ".join(guest.target)),) if seen.facts.stale else ()),
        timings=watch.timings,
    )


def disks_to_be_changed(facts: GuestFacts, judgement: Judgement) -> frozenset[DiskNumber]:
    """The disks that the plan has edits for."""
    planned = {each.installation for each in judgement.plan.installations if each.edits}
    return frozenset(each.disk for each in facts.installations if each.id in planned)
