# SPDX-License-Identifier: Apache-2.0
"""The recipe of `inspect` and `plan`: check the images, look into them, judge what was seen; nothing is ever written.

Opens the disks read-only through the two boxes. A disk that a machine uses is read beside it and the answer says that it may be
stale. Raises Refused for everything that keeps from looking; what the look shows is an Outcome, a refused guest included.
"""

from collections.abc import Sequence
from contextlib import ExitStack

from unxen.errors import Refused
from unxen.host import eyes
from unxen.host.locks import in_use
from unxen.host.nbd import serve_read_only
from unxen.host.sandbox import Box
from unxen.knowledge.tables import Knowledge
from unxen.model.disk import ImageChain
from unxen.model.facts import GuestFacts
from unxen.model.fix import Fix, fixes
from unxen.model.guest import Guest
from unxen.model.ids import Bus, DiskNumber, InstallationId
from unxen.model.judgement import Judgement, Note, NoteKind, Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step, nobody
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass, replace
from unxen.model.settings import Settings
from unxen.model.volume_facts import NOTHING_OPENED, Opening
from unxen.plan.judge import judge
from unxen.platforms.base import Platform
from unxen.probe.images import allowed_directories, check_images
from unxen.probe.look import look
from unxen.probe.wanted import Wanted, wanted_from
from unxen.workflow.keys import with_keys_told
from unxen.workflow.obstacles import built_upon, unfinished, unwritable
from unxen.workflow.steps import Stopwatch
from unxen.workflow.wishing import Asked, judge_fitted, planned_switch


def inspect(
    guest: Guest,
    platform: Platform,
    settings: Settings,
    knowledge: Knowledge,
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
    watch, wanted = Stopwatch(listener), fixes(fix, settings.fix)
    with watch.step(Step.LOOK):
        seen = look_at(guest, settings, wanted_from(knowledge), keys, listener)
    with watch.step(Step.DECIDE):
        bus = bus or _waiting_bus(guest, platform, settings)
        judgement = judge_fitted(
            guest,
            seen.facts,
            platform,
            lambda machine: judge(
                seen.facts,
                machine,
                knowledge,
                bus=bus,
                installation=installation,
                preference=settings.preference,
                repair_kvm_guests=settings.repair_guests_that_ran_on_kvm,
                accept_unclean_volume=accept_unclean_volume,
                accept_stale_hive=settings.accept_stale_hive,
                fixes=wanted,
            ),
        )
    asked = Asked(bus, settings.repair_guests_that_ran_on_kvm, wanted)
    outcome = with_keys_told(_outcome(verb, guest, settings, seen, judgement, watch), seen.opening, keys)
    return _with_definition(outcome, guest, platform, settings, seen, asked)


@dataclass(frozen=True)
class Seen:
    """The checked images, what lies on them, and what keys did for it."""

    chains: tuple[ImageChain, ...]
    facts: GuestFacts
    opening: Opening = NOTHING_OPENED


def look_at(guest: Guest, settings: Settings, wanted: Wanted, keys: Sequence[str] = (), listener: Listener = nobody) -> Seen:
    """The facts of all disks together."""
    with eyes.take() as box:
        chains = check_images(guest.disks, box, allowed_directories(guest, settings))
        stale = any(in_use(chain.disk.path) for chain in chains)
        try:
            return _look(box, chains, wanted, stale, keys, listener)
        except Refused as error:
            if stale or error.first.kind is not ReasonKind.IN_USE:
                raise
    # Between our question and QEMU's opening somebody took the disk.
    with eyes.take() as box:
        return _look(box, chains, wanted, stale=True, keys=keys, listener=listener)


def _look(box: Box, chains: Sequence[ImageChain], wanted: Wanted, stale: bool, keys: Sequence[str], listener: Listener) -> Seen:
    with ExitStack() as stack:
        servers = [stack.enter_context(serve_read_only(chain, force_share=stale)) for chain in chains]
        sockets = [stack.enter_context(server.connect()) for server in servers]
        connections = [(chain.disk, chain.virtual_size, each) for chain, each in zip(chains, sockets, strict=True)]
        facts = look(box, connections, wanted).facts
        if keys:
            # Only then: a look has to start quickly.
            from unxen.workflow.unlocking import look_behind

            facts, opening = look_behind(chains, servers, facts, wanted, keys, listener)
            return Seen(tuple(chains), GuestFacts(facts.disks, facts.installations, stale), opening)
    return Seen(tuple(chains), GuestFacts(facts.disks, facts.installations, stale))


def _waiting_bus(guest: Guest, platform: Platform, settings: Settings) -> Bus | None:
    """A repair whose switch is still to be made has chosen already."""
    if not guest.id or not settings.state_dir.is_dir():
        return None
    # SQLite is loaded only where there can be something: a look has to start quickly.
    from unxen.workflow.switching import waiting_bus

    return waiting_bus(guest, platform, settings)


def _with_definition(outcome: Outcome, guest: Guest, platform: Platform, settings: Settings, seen: Seen, asked: Asked) -> Outcome:
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


def _to_be_changed(facts: GuestFacts, judgement: Judgement) -> frozenset[DiskNumber]:
    planned = {each.installation for each in judgement.plan.installations if each.edits}
    return frozenset(each.disk for each in facts.installations if each.id in planned)


def _outcome(verb: str, guest: Guest, settings: Settings, seen: Seen, judgement: Judgement, watch: Stopwatch) -> Outcome:
    reasons = unfinished(seen.chains, settings)
    if judgement.verdict is Verdict.REPAIRABLE:
        reasons += unwritable(seen.chains, _to_be_changed(seen.facts, judgement))
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
