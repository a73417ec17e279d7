# SPDX-License-Identifier: Apache-2.0
"""A disk that a crash left in the middle of a commit may be finished only if nobody but the commit has written to it.

Reads the disk, its overlay and its old bytes through the daemon; writes nothing. A byte that is neither old nor new is
Refused(RECOVERY_REFUSED), and so are an overlay and old bytes that are not what the journal says.
"""

from collections.abc import Iterable
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.nbd_client import NbdClient, Range, joined
from unxen.host.storage_daemon import BASE
from unxen.journal.records import DiskRow, RangeRole, RangeRow
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.repair.commit import OVERLAY
from unxen.repair.holding import HeldDisk
from unxen.repair.undo_data import BEFORE, digest, exported, kept_bytes

SECTOR = 512
"""What a disk writes wholly or not at all."""


@dataclass(frozen=True)
class TornDisk:
    """A disk in hand and what the journal says of it."""

    entry: int
    held: HeldDisk
    row: DiskRow
    ranges: tuple[RangeRow, ...]

    @property
    def written(self) -> tuple[RangeRow, ...]:
        """What the commit writes."""
        return tuple(each for each in self.ranges if each.role is RangeRole.WRITTEN)


def check_torn(torn: TornDisk) -> None:
    """Every sector of every range is old or new, and every witness as it was or as it was to be."""
    daemon = torn.held.daemon
    if torn.held.chain.virtual_size != torn.row.size:
        raise _not(torn, "torn-size")
    if not (daemon.directory / f"{OVERLAY}.qcow2").is_file() or not Path(torn.row.undo).is_file():
        raise _not(torn, "torn-files")
    daemon.adopt(OVERLAY)
    daemon.open_image(OVERLAY, above_base=True, read_only=True)
    with exported(daemon, OVERLAY, ""), exported(daemon, BASE, BEFORE), daemon.client(depths=True) as new:
        if list(new.top_ranges()) != joined(Range(each.start, each.length) for each in torn.written):
            raise _not(torn, "torn-overlay")
        with daemon.client(BEFORE) as now, kept_bytes(daemon, Path(torn.row.undo)) as old:
            _check_written(torn, now, new, old)
            _check_witnesses(torn, now)
    daemon.close_image(OVERLAY)


def _check_written(torn: TornDisk, now: NbdClient, new: NbdClient, old: NbdClient) -> None:
    for each in torn.written:
        after, before = new.read(each.start, each.length), old.read(each.start, each.length)
        if digest(after) != each.after:
            raise _not(torn, "torn-overlay")
        if digest(before) != each.before:
            raise _not(torn, "torn-old-bytes")
        found = now.read(each.start, each.length)
        for at in range(0, each.length, SECTOR):
            if found[at : at + SECTOR] not in (before[at : at + SECTOR], after[at : at + SECTOR]):
                raise _not(torn, "torn-written", place=each.start + at)


def _check_witnesses(torn: TornDisk, now: NbdClient) -> None:
    """Those inside of what is written were compared already, and may be half of each."""
    for each in torn.ranges:
        if each.role is RangeRole.WRITTEN or _touches(each, torn.written):
            continue
        if digest(now.read(each.start, each.length)) not in (each.before, each.after):
            raise _not(torn, "torn-written", place=each.start)


def _touches(witness: RangeRow, written: Iterable[RangeRow]) -> bool:
    return any(each.start < witness.start + witness.length and witness.start < each.start + each.length for each in written)


def _not(torn: TornDisk, cause: str, **details: object) -> Refused:
    return refused(ReasonKind.RECOVERY_REFUSED, torn.held.disk.path, cause=cause, entry=torn.entry, **details)
