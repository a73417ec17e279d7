# SPDX-License-Identifier: Apache-2.0
"""The box that reads the disks may have been taken over by what it read, so its answer is held against itself and the request.

Talks to the box and touches nothing else. Any answer that breaks a rule is Refused(PROBE_FAILED) naming the rule; nothing of it
is used then.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from unxen.errors import refused
from unxen.host.box_protocol import Response
from unxen.host.sandbox import Box
from unxen.model.codec import CodecError, decode, encode
from unxen.model.disk import Disk
from unxen.model.facts import GuestFacts
from unxen.model.ids import InstallationId
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.model.volume_facts import DiskFacts
from unxen.probe.look_check import check_answer, check_partitions
from unxen.probe.look_protocol import (
    LOAD,
    OPERATION,
    PARTITIONS,
    Code,
    DiskSize,
    LookAnswer,
    LookRequest,
    PartitionsAnswer,
    PartitionsRequest,
)
from unxen.probe.wanted import Wanted

T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """What one look at a guest gave: facts, and the SYSTEM hive of every installation whose bytes are those of a hive."""

    facts: GuestFacts
    hives: Mapping[InstallationId, bytes]


Connections = Sequence[tuple[Disk, int, socket.socket]]
"""The disks of one guest with the sizes that their headers say and their connected NBD sockets."""


def load_ahead(box: Box, code: Code) -> None:
    """The box loads while we do something else; what goes wrong is said at the next question."""
    box.begin(LOAD, code.value)


def look_at_partitions(box: Box, connections: Connections) -> tuple[DiskFacts, ...]:
    """What a disk without Windows needs no more than; a look in the same box may go on from here."""
    disks = _sizes(connections)
    response = box.ask(PARTITIONS, encode(PartitionsRequest(disks)), fds=_numbers(connections))
    said = _decoded(PartitionsAnswer, response).disks
    check_partitions(disks, said)
    return said


def look(box: Box, connections: Connections, wanted: Wanted) -> Look:
    """Look at all disks of one guest."""
    return begin_look(box, connections, wanted)()


def begin_look(box: Box, connections: Connections, wanted: Wanted, *, opened: bool = False) -> Callable[[], Look]:
    """The same; the box looks until the answer is asked for. `opened`: it was asked for the partitions of these disks before."""
    disks = _sizes(connections)
    request = encode(LookRequest(disks, wanted))
    answer = box.begin(OPERATION, request, fds=() if opened else _numbers(connections))

    def seen() -> Look:
        response = answer()
        said = _decoded(LookAnswer, response)
        check_answer(disks, said, response.blobs)
        return Look(said.facts, dict(zip(said.hives, response.blobs, strict=True)))

    return seen


def _sizes(connections: Connections) -> tuple[DiskSize, ...]:
    return tuple(DiskSize(disk.number, size) for disk, size, _ in connections)


def _numbers(connections: Connections) -> tuple[int, ...]:
    return tuple(connection.fileno() for _, _, connection in connections)


def _decoded(kind: type[T], response: Response) -> T:
    try:
        return decode(kind, response.payload)
    except CodecError as error:
        raise refused(ReasonKind.PROBE_FAILED, OPERATION, cause=str(error)) from error
