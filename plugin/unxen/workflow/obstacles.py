# SPDX-License-Identifier: Apache-2.0
"""A look must not promise a repair that could not be done: what would refuse it, asked without taking or writing anything.

Reads file states and the journal. Gives reasons instead of raising them, so that the judgement is shown beside them.
"""

import os
from collections.abc import Container, Sequence
from pathlib import Path

from unxen.errors import Refused
from unxen.host.block_node import WITH_BACKING
from unxen.host.files import read_only_cause
from unxen.host.sandbox import Box
from unxen.journal.unfinished import unfinished_commits
from unxen.model.disk import Disk, ImageChain, ImageLayer
from unxen.model.guest import Guest
from unxen.model.ids import DiskNumber
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.settings import Settings
from unxen.platforms.base import Platform
from unxen.probe.images import allowed_directories, check_images, check_writable_headers


def unwritable(chains: Sequence[ImageChain], changed: Container[DiskNumber]) -> tuple[Reason, ...]:
    """Why these disks must not be written, as a repair would find out; a server's image only if it is changed."""
    asked = [each for each in chains if each.disk.remote is None or each.disk.number in changed]
    return tuple(each for chain in asked for each in _unwritable(chain))


def _unwritable(chain: ImageChain) -> tuple[Reason, ...]:
    try:
        check_writable_headers(chain)
    except Refused as error:
        return error.reasons
    if chain.disk.remote is not None:
        from unxen.host.remote import against_writing  # lazily: most disks are files

        return against_writing(chain.disk.remote)
    cause = read_only_cause(chain.disk.path)
    return (reason(ReasonKind.READ_ONLY, chain.disk.path, cause=cause),) if cause else ()


def built_upon(guest: Guest, platform: Platform, settings: Settings) -> tuple[Reason, ...]:
    """Disks of other guests that have one of these as their backing file: changing it would corrupt every one of them."""
    ours = {_identity(disk.path): disk.path for disk in guest.disks if disk.remote is None}
    allowed = (*allowed_directories(guest, settings), *(Path(os.path.realpath(path)).parent for path in ours.values()))
    for disk in platform.neighbours(guest):
        for below in _below(disk, allowed):
            if (path := ours.get((below.device, below.inode))) is not None:
                return (reason(ReasonKind.BACKING_OF_OTHERS, path, path=disk.path),)
    return ()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        seen = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


def _below(disk: Disk, allowed: Sequence[Path]) -> tuple[ImageLayer, ...]:
    """What a disk is built on; nothing where its image cannot be read, which is its own guest's trouble."""
    if disk.format not in WITH_BACKING:
        return ()
    try:
        # One box for each: what a hostile header does to it must not hide the next one.
        with Box.open() as box:
            return check_images((disk,), box, allowed)[0].layers[1:]
    except Refused:
        return ()


def unfinished(chains: Sequence[ImageChain], settings: Settings) -> tuple[Reason, ...]:
    """The repairs of these disks, or of what they are built on, that a crash left in the middle of their writing."""
    return unfinished_commits(settings.state_dir, [layer.path for chain in chains for layer in chain.layers])
