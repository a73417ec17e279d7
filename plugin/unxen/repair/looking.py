# SPDX-License-Identifier: Apache-2.0
"""Held disks are looked at through their daemons, before and after the edits with the same eyes.

Reads the unnamed export of each daemon through a fresh box; exports the disks themselves for the first look.
"""

from collections.abc import Sequence
from contextlib import ExitStack

from unxen.host.sandbox import Box
from unxen.host.storage_daemon import BASE
from unxen.probe.look import Look, look
from unxen.probe.wanted import Wanted
from unxen.repair.holding import HeldDisk


def look_at_held(held: Sequence[HeldDisk], wanted: Wanted) -> Look:
    """What is on the disks as they came."""
    for each in held:
        each.daemon.export(BASE)
    try:
        return look_through(held, wanted)
    finally:
        for each in held:
            each.daemon.unexport()


def look_through(held: Sequence[HeldDisk], wanted: Wanted) -> Look:
    """What the unnamed exports show."""
    with ExitStack() as stack:
        box = stack.enter_context(Box.open())
        sockets = [stack.enter_context(each.daemon.connect()) for each in held]
        pairs = zip(held, sockets, strict=True)
        return look(box, [(each.disk, each.chain.virtual_size, sock) for each, sock in pairs], wanted)
