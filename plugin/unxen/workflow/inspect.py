# SPDX-License-Identifier: Apache-2.0
"""The recipe of `inspect` and `plan`: check the images, look into them, judge what was seen; nothing is ever written.

Opens the disks read-only through the two boxes. A disk that a machine uses is read beside it and the answer says that it may be
stale. Raises Refused for everything that keeps from looking; what the look shows is an Outcome, a refused guest included.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from unxen.errors import Refused
from unxen.host.locks import in_use
from unxen.host.nbd import serve_read_only
from unxen.host.sandbox import Box
from unxen.knowledge.tables import Knowledge
from unxen.model.disk import ImageChain
from unxen.model.facts import GuestFacts
from unxen.model.guest import Guest
from unxen.model.ids import Bus, InstallationId
from unxen.model.judgement import Judgement, Note, NoteKind, Verdict
from unxen.model.outcome import Outcome
from unxen.model.progress import Listener, Step
from unxen.model.reason import ReasonKind
from unxen.model.settings import Settings
from unxen.plan.judge import judge
from unxen.probe.images import check_images
from unxen.probe.look import look
from unxen.probe.wanted import Wanted, wanted_from
from unxen.workflow.obstacles import unfinished, unwritable
from unxen.workflow.steps import Stopwatch


def inspect(
    guest: Guest,
    settings: Settings,
    knowledge: Knowledge,
    *,
    bus: Bus | None,
    installation: InstallationId | None,
    listener: Listener,
    verb: str = "inspect",
    accept_unclean_volume: bool = False,
) -> Outcome:
    """What is on the guest's disks and what it means."""
    watch = Stopwatch(listener)
    with watch.step(Step.LOOK):
        seen = look_at(guest, settings, wanted_from(knowledge))
    with watch.step(Step.DECIDE):
        judgement = judge(
            seen.facts,
            guest.machine,
            knowledge,
            bus=bus,
            installation=installation,
            preference=settings.preference,
            repair_kvm_guests=settings.repair_guests_that_ran_on_kvm,
            accept_unclean_volume=accept_unclean_volume,
        )
    return _outcome(verb, guest, settings, seen, judgement, watch)


@dataclass(frozen=True)
class Seen:
    """The checked images and what lies on them."""

    chains: tuple[ImageChain, ...]
    facts: GuestFacts


def look_at(guest: Guest, settings: Settings, wanted: Wanted) -> Seen:
    """The facts of all disks together."""
    with Box.open() as box:
        chains = check_images(guest.disks, box, settings.backing_dirs)
        stale = any(in_use(chain.disk.path) for chain in chains)
        try:
            return _look(box, chains, wanted, stale)
        except Refused as error:
            if stale or error.first.kind is not ReasonKind.IN_USE:
                raise
    # Between our question and QEMU's opening somebody took the disk.
    with Box.open() as box:
        return _look(box, chains, wanted, stale=True)


def _look(box: Box, chains: Sequence[ImageChain], wanted: Wanted, stale: bool) -> Seen:
    with ExitStack() as stack:
        servers = [stack.enter_context(serve_read_only(chain, force_share=stale)) for chain in chains]
        sockets = [stack.enter_context(server.connect()) for server in servers]
        connections = [(chain.disk, chain.virtual_size, each) for chain, each in zip(chains, sockets, strict=True)]
        facts = look(box, connections, wanted).facts
    return Seen(tuple(chains), GuestFacts(facts.disks, facts.installations, stale))


def _outcome(verb: str, guest: Guest, settings: Settings, seen: Seen, judgement: Judgement, watch: Stopwatch) -> Outcome:
    reasons = unfinished(seen.chains, settings)
    if judgement.verdict is Verdict.REPAIRABLE:
        reasons += unwritable(seen.chains)
    return Outcome(
        verb=verb,
        target=guest.target,
        verdict=Verdict.REFUSED if reasons else judgement.verdict,
        facts=seen.facts,
        judgement=judgement,
        reasons=reasons + judgement.reasons,
        notes=(Note(NoteKind.STALE, " + ".join(guest.target)),) if seen.facts.stale else (),
        timings=watch.timings,
    )
