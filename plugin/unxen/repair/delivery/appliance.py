# SPDX-License-Identifier: Apache-2.0
"""Where a hive's bytes do not fit the clusters it owns, a whole NTFS driver has to write them: ntfs-3g in a guestfs appliance.

Starts a program of its own that holds libguestfs (`appliance_child`). Writes only through the NBD exports given, into files
that are there. On failure, Refused(APPLIANCE_FAILED) or Refused(TOOL_MISSING), anything may have been written to the exports: they
have to be overlays that the caller throws away.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unxen.host.ledger import spending
from unxen.model.ids import GuestPath, PartitionNumber
from unxen.model.progress import Listener, Part, nobody
from unxen.model.record import dataclass
from unxen.repair.delivery.appliance_program import appliance_program, memory_file, socket_link, with_or_without_kvm

CHILD = Path(__file__).with_name("appliance_child.py")
WRITE_SECONDS = 120.0
PIECE = 16 << 10
MOST_RANGES = 100
"""Where more differ, writing everything at once is quicker."""


@dataclass(frozen=True)
class ApplianceJob:
    """The bytes of one file that is there, from its first byte on; jobs of one drive have the same socket and export.

    `path` is spelled as the directories spell it, or nearly (case). `data` may be longer than the file, never shorter. `before` is
    what the file holds, where that is known: then the differences alone are written. The file is read back in any case.
    """

    socket: Path
    export: str
    partition: PartitionNumber
    hive_path: GuestPath
    data: bytes
    before: bytes = b""


@spending(Part.APPLIANCE)
def deliver_by_appliance(jobs: Sequence[ApplianceJob], listener: Listener = nobody) -> str:
    """Writes every job's bytes with one appliance, flushed when this returns; gives its accelerator, `kvm` or `tcg`.

    Without a job an appliance is started and ended, to see that it can be.
    """
    return with_or_without_kvm(lambda settings: _attempt(jobs, settings), listener)


def _attempt(jobs: Sequence[ApplianceJob], settings: str) -> str:
    """One program, one appliance."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="unxen-appliance-")))
        blobs = [stack.enter_context(memory_file(job.data)) for job in jobs]
        request = {"drives": _drives(jobs, blobs, scratch)}
        program = stack.enter_context(appliance_program(CHILD, request, settings, scratch, blobs))
        accelerator = program.started()
        program.next(WRITE_SECONDS, "done")
        return accelerator


def _drives(jobs: Sequence[ApplianceJob], blobs: Sequence[int], scratch: Path) -> list[dict[str, Any]]:
    """What the program is asked."""
    drives: dict[tuple[Path, str], dict[str, Any]] = {}
    for job, blob in zip(jobs, blobs, strict=True):
        place = (job.socket, job.export)
        if place not in drives:
            drives[place] = {"socket": socket_link(job.socket, scratch, len(drives)), "export": job.export, "writes": []}
        path = "/" + job.hive_path.replace("\\", "/").strip("/")
        drives[place]["writes"].append({"partition": job.partition, "path": path, **_bytes(job, blob)})
    return list(drives.values())


def _bytes(job: ApplianceJob, blob: int) -> dict[str, Any]:
    """What is written, of which ranges (of everything when there is none), and what has to be read then."""
    ranges = list(differing(job))
    wanted = ranges if len(ranges) <= MOST_RANGES else []
    return {"fd": blob, "size": len(job.data), "ranges": wanted, "sha256": hashlib.sha256(job.data).hexdigest()}


def differing(job: ApplianceJob) -> Iterator[tuple[int, int]]:
    """(offset, length) of what differs, each no larger than a message may be; none where everything has to be written."""
    pieces = range(0, len(job.data), PIECE) if job.before else ()
    for at in pieces:
        piece = job.data[at : at + PIECE]
        if piece != job.before[at : at + PIECE]:
            yield at, len(piece)
