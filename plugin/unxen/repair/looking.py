# SPDX-License-Identifier: Apache-2.0
"""Held disks are looked at through their daemons, before and after the edits with the same eyes.

Reads the unnamed export of each daemon through the box given, which has to be a fresh one; a disk that has none is exported as it
is for the time of the look.
"""

from collections.abc import Sequence
from contextlib import ExitStack

from unxen.host.sandbox import Box
from unxen.host.storage_daemon import BASE
from unxen.probe.look import Look, look
from unxen.probe.wanted import Wanted
from unxen.repair.holding import HeldDisk
from unxen.repair.undo_data import exported


def look_through(held: Sequence[HeldDisk], wanted: Wanted, box: Box) -> Look:
    """What the overlays show, and the disks where there is no overlay."""
    with ExitStack() as stack:
        for each in held:
            if not each.daemon.is_exported():
                stack.enter_context(exported(each.daemon, BASE, ""))
        sockets = [stack.enter_context(each.daemon.connect()) for each in held]
        pairs = zip(held, sockets, strict=True)
        return look(box, [(each.disk, each.chain.virtual_size, sock) for each, sock in pairs], wanted)
