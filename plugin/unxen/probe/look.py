# SPDX-License-Identifier: Apache-2.0
"""The box that reads the disks may have been taken over by what it read, so its answer is held against itself and the request.

Talks to the box and touches nothing else. Any answer that breaks a rule is Refused(PROBE_FAILED) naming the rule; nothing of it
is used then.
"""

import socket
from collections.abc import Mapping, Sequence

from unxen.errors import refused
from unxen.host.sandbox import Box
from unxen.model.codec import CodecError, decode, encode
from unxen.model.disk import Disk
from unxen.model.facts import GuestFacts
from unxen.model.ids import InstallationId
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.probe.look_check import check_answer
from unxen.probe.look_protocol import OPERATION, DiskSize, LookAnswer, LookRequest
from unxen.probe.wanted import Wanted


@dataclass(frozen=True)
class Look:
    """What one look at a guest gave: facts, and the SYSTEM hive of every installation whose bytes are those of a hive."""

    facts: GuestFacts
    hives: Mapping[InstallationId, bytes]


def look(box: Box, connections: Sequence[tuple[Disk, int, socket.socket]], wanted: Wanted) -> Look:
    """Look at all disks of one guest through their connected NBD sockets; each comes with the size its header says."""
    disks = tuple(DiskSize(disk.number, size) for disk, size, _ in connections)
    request = encode(LookRequest(disks, wanted))
    response = box.ask(OPERATION, request, fds=tuple(connection.fileno() for _, _, connection in connections))
    try:
        said = decode(LookAnswer, response.payload)
    except CodecError as error:
        raise refused(ReasonKind.PROBE_FAILED, OPERATION, cause=str(error)) from error
    check_answer(disks, said, response.blobs)
    return Look(said.facts, dict(zip(said.hives, response.blobs, strict=True)))
