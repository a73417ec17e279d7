# SPDX-License-Identifier: Apache-2.0
"""Held disks are looked at through their daemons, before and after the edits with the same eyes.

Reads the unnamed export of each daemon through the box given, which has to be a fresh one; a disk that has none is exported as it
is for the time of the look. Encrypted volumes are read where a view has them open.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from unxen.host.sandbox import Box, Limits
from unxen.host.storage_daemon import BASE
from unxen.model.progress import Listener
from unxen.model.record import dataclass
from unxen.model.volume_facts import NOTHING_OPENED, Opening, Partition
from unxen.probe.look import Look, look
from unxen.probe.wanted import Wanted
from unxen.repair.delivery.unlocked import LockedDisk, Unlocked, locked_partitions, unlocked
from unxen.repair.holding import HeldDisk
from unxen.repair.undo_data import exported

# Through an appliance without KVM a look takes a minute and more.
PATIENT = Limits(answer_seconds=900.0)


@dataclass(frozen=True)
class FirstLook:
    """What was seen, and what keys did for it."""

    look: Look
    opening: Opening = NOTHING_OPENED


def look_first(held: Sequence[HeldDisk], wanted: Wanted, box: Box, keys: Sequence[str], listener: Listener) -> FirstLook:
    """What the disks show; with keys, what is behind those volumes that they open."""
    seen = look_through(held, wanted, box)
    locked = locked_partitions(seen.facts)
    if not keys or not locked:
        return FirstLook(seen)
    with opened_view(held, locked, keys, listener) as view:
        return FirstLook(look_behind(held, wanted, view), view.opening(locked))


def look_behind(held: Sequence[HeldDisk], wanted: Wanted, view: Unlocked) -> Look:
    """The same with volumes open, through a box that waits as long as that takes."""
    with Box.open(PATIENT) as box:
        return look_through(held, wanted, box, view)


def look_through(held: Sequence[HeldDisk], wanted: Wanted, box: Box, view: Unlocked | None = None) -> Look:
    """What the overlays show, and the disks where there is no overlay."""
    with ExitStack() as stack:
        _export_all(stack, held)
        doors = [view if view and view.has(each.disk.number) else None for each in held]
        sockets = [
            stack.enter_context(door.connect(each.disk.number) if door else each.daemon.connect())
            for each, door in zip(held, doors, strict=True)
        ]
        pairs = zip(held, sockets, strict=True)
        return look(box, [(each.disk, each.chain.virtual_size, sock) for each, sock in pairs], wanted)


@contextmanager
def opened_view(
    held: Sequence[HeldDisk],
    partitions: Sequence[Partition],
    keys: Sequence[str],
    listener: Listener,
    staged: Sequence[HeldDisk] = (),
) -> Iterator[Unlocked]:
    """These partitions open; those on disks with an overlay (`staged`) can be written."""
    with ExitStack() as stack:
        _export_all(stack, held)
        disks = [_locked(each, partitions, writable=each in staged) for each in held]
        yield stack.enter_context(unlocked([each for each in disks if each.partitions], keys, listener))


def _locked(held: HeldDisk, partitions: Sequence[Partition], *, writable: bool) -> LockedDisk:
    own = tuple(each for each in partitions if each.disk == held.disk.number)
    return LockedDisk(held.disk.number, held.disk.path, held.daemon.address, held.chain.virtual_size, own, writable)


def _export_all(stack: ExitStack, held: Sequence[HeldDisk]) -> None:
    for each in held:
        if not each.daemon.is_exported():
            stack.enter_context(exported(each.daemon, BASE, ""))
