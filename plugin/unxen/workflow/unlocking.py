# SPDX-License-Identifier: Apache-2.0
"""With a key, a look goes behind encryption: the disks are served once more, with those volumes open that the key fits.

Starts an appliance above the servers that read the disks already; nothing is written anywhere but to its own scratch files.
"""

from collections.abc import Sequence
from contextlib import ExitStack

from unxen.host.nbd import NbdServer
from unxen.host.sandbox import Box
from unxen.model.disk import ImageChain
from unxen.model.facts import GuestFacts
from unxen.model.progress import Listener
from unxen.model.volume_facts import NOTHING_OPENED, Opening, Partition
from unxen.probe.look import look
from unxen.probe.wanted_names import wanted_from
from unxen.repair.delivery.unlocked import LockedDisk, locked_partitions, unlocked
from unxen.repair.looking import PATIENT
from unxen.workflow.tables import Tables


def look_behind(
    chains: Sequence[ImageChain],
    servers: Sequence[NbdServer],
    facts: GuestFacts,
    tables: Tables,
    keys: Sequence[str],
    listener: Listener,
) -> tuple[GuestFacts, Opening]:
    """The facts with what is behind the volumes that a key opens, and what became of each; as they are where nothing is locked."""
    locked = locked_partitions(facts)
    if not locked:
        return facts, NOTHING_OPENED
    disks = [_locked(chain, server, locked) for chain, server in zip(chains, servers, strict=True)]
    with ExitStack() as stack:
        view = stack.enter_context(unlocked([each for each in disks if each.partitions], keys, listener))
        box = stack.enter_context(Box.open(PATIENT))
        doors = [view if view.has(chain.disk.number) else None for chain in chains]
        sockets = [
            stack.enter_context(door.connect(chain.disk.number) if door else server.connect())
            for chain, server, door in zip(chains, servers, doors, strict=True)
        ]
        rows = [(chain.disk, chain.virtual_size, each) for chain, each in zip(chains, sockets, strict=True)]
        return look(box, rows, wanted_from(tables())).facts, view.opening(locked)


def _locked(chain: ImageChain, server: NbdServer, partitions: Sequence[Partition]) -> LockedDisk:
    own = tuple(each for each in partitions if each.disk == chain.disk.number)
    return LockedDisk(chain.disk.number, chain.disk.path, server.address, chain.virtual_size, own)
