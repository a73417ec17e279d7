# SPDX-License-Identifier: Apache-2.0
"""Every recipe begins with the same look: check the images, serve them to readers, see what lies on them; nothing is written.

Opens the disks read-only through the two boxes. A disk that a machine uses is read beside it and the facts say that they may be
stale. Raises Refused for everything that keeps from looking.
"""

from collections.abc import Sequence
from contextlib import ExitStack

from unxen.errors import Refused
from unxen.host import eyes
from unxen.host.locks import in_use
from unxen.host.nbd import serve_read_only
from unxen.host.sandbox import Box
from unxen.model.disk import ImageChain
from unxen.model.facts import GuestFacts
from unxen.model.guest import Guest
from unxen.model.progress import Listener, nobody
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.model.settings import Settings
from unxen.model.volume_facts import NOTHING_OPENED, Opening
from unxen.probe.images import allowed_directories, check_images
from unxen.probe.look import Connections, begin_look, load_ahead, look_at_partitions
from unxen.probe.look_protocol import Code, may_hold_windows
from unxen.workflow.tables import Tables


@dataclass(frozen=True)
class Seen:
    """The checked images, what lies on them, and what keys did for it."""

    chains: tuple[ImageChain, ...]
    facts: GuestFacts
    opening: Opening = NOTHING_OPENED


def look_at(guest: Guest, settings: Settings, tables: Tables, keys: Sequence[str] = (), listener: Listener = nobody) -> Seen:
    """The facts of all disks together."""
    with eyes.take() as box:
        chains = check_images(guest.disks, box, allowed_directories(guest, settings))
        load_ahead(box, Code.DISKS)
        stale = any(in_use(chain.disk.path) for chain in chains)
        try:
            return _look(box, chains, tables, stale, keys, listener)
        except Refused as error:
            if stale or error.first.kind is not ReasonKind.IN_USE:
                raise
    # Between our question and QEMU's opening somebody took the disk.
    with eyes.take() as box:
        return _look(box, chains, tables, stale=True, keys=keys, listener=listener)


def _look(box: Box, chains: Sequence[ImageChain], tables: Tables, stale: bool, keys: Sequence[str], listener: Listener) -> Seen:
    opening = NOTHING_OPENED
    with ExitStack() as stack:
        servers = [stack.enter_context(serve_read_only(chain, force_share=stale)) for chain in chains]
        sockets = [stack.enter_context(server.connect()) for server in servers]
        facts = _facts(box, [(chain.disk, chain.virtual_size, each) for chain, each in zip(chains, sockets, strict=True)], tables)
        if keys:
            # Only then: a look has to start quickly.
            from unxen.workflow.unlocking import look_behind

            facts, opening = look_behind(chains, servers, facts, tables, keys, listener)
    return Seen(tuple(chains), GuestFacts(facts.disks, facts.installations, stale), opening)


def _facts(box: Box, connections: Connections, tables: Tables) -> GuestFacts:
    """The tables of partitions first: where none can be Windows', no further code is loaded, neither here nor in the box."""
    disks = look_at_partitions(box, connections)
    if not any(may_hold_windows(each.partitions) for each in disks):
        return GuestFacts(disks, ())
    load_ahead(box, Code.WINDOWS)
    from unxen.probe.wanted_names import wanted_from

    answer = begin_look(box, connections, wanted_from(tables()), opened=True)
    # What judges Windows is loaded while the box reads it.
    import unxen.workflow.judging  # noqa: F401

    return answer().facts
