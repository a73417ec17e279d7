# SPDX-License-Identifier: Apache-2.0
"""Inside the parser's box all disks of a guest are looked at together: Windows may be on any of them, its boot files on another.

Reads through the connected sockets that the request carries; nothing else is reachable here. The answer is one JSON document and
the hives' bytes. A disk of another size than its header said is Refused(PROBE_FAILED): somebody changed it meanwhile.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from unxen.errors import refused
from unxen.host.box_protocol import Request, Response
from unxen.model.codec import CodecError, decode, encode
from unxen.model.facts import GuestFacts, Installation
from unxen.model.ids import DiskNumber, InstallationId
from unxen.model.reason import ReasonKind, reason
from unxen.model.record import dataclass, replace
from unxen.model.volume_facts import Content, DiskFacts, Hibernation, Partition, Scheme, Volume
from unxen.probe.device import Device, nbd_device
from unxen.probe.look_protocol import (
    MOST_HIVE_BYTES,
    MOST_INSTALLATIONS,
    OPERATION,
    DiskSize,
    LookAnswer,
    LookRequest,
    PartitionsAnswer,
    PartitionsRequest,
    may_hold_windows,
)
from unxen.probe.partitions import read_partitions
from unxen.probe.wanted import Wanted

T = TypeVar("T")
ASLEEP = (Hibernation.HIBERNATED, Hibernation.INTERRUPTED)


@dataclass
class _DiskLook:
    """A disk while it is being looked at."""

    number: DiskNumber
    device: Device
    scheme: Scheme
    partitions: tuple[Partition, ...]


_open: list[_DiskLook] = []
"""What the question for partitions has opened, for a look that follows it: a server's greeting can be answered only once."""


def answer_partitions(request: Request) -> Response:
    """The operation `partitions`."""
    asked = _decoded(PartitionsRequest, request)
    _open[:] = _opened(asked.disks, request.fds)
    return Response(encode(PartitionsAnswer(tuple(_bare(each) for each in _open))))


def answer(request: Request) -> Response:
    """The operation `look`."""
    asked = _decoded(LookRequest, request)
    disks = _opened(asked.disks, request.fds) if request.fds else list(_open)
    if [each.number for each in disks] != [each.number for each in asked.disks]:
        raise refused(ReasonKind.PROBE_FAILED, OPERATION, cause="other disks than opened before")
    facts, hives = _look_at_disks(disks, asked.wanted)
    payload: Any = encode(LookAnswer(facts, tuple(identity for identity, _ in hives)))
    return Response(payload, tuple(data for _, data in hives))


def _decoded(kind: type[T], request: Request) -> T:
    try:
        return decode(kind, request.payload)
    except CodecError as error:
        raise refused(ReasonKind.PROBE_FAILED, request.operation, cause=str(error)) from error


def _opened(disks: Sequence[DiskSize], fds: Sequence[int]) -> list[_DiskLook]:
    return [_with_partitions(disk.number, _connect(disk, fd)) for disk, fd in zip(disks, fds, strict=True)]


def _with_partitions(number: DiskNumber, device: Device) -> _DiskLook:
    return _DiskLook(number, device, *read_partitions(device, number))


def _bare(disk: _DiskLook) -> DiskFacts:
    return DiskFacts(disk.number, disk.device.size, disk.scheme, disk.partitions, (), ())


def _connect(disk: DiskSize, fd: int) -> Device:
    device = nbd_device(fd)
    if device.size != disk.size:
        raise refused(ReasonKind.PROBE_FAILED, OPERATION, disk=disk.number, expected=disk.size, found=device.size, cause="size")
    return device


def look_inside(
    devices: Sequence[tuple[DiskNumber, Device]], wanted: Wanted
) -> tuple[GuestFacts, list[tuple[InstallationId, bytes]]]:
    """The facts of all disks of one guest, and the hives' bytes."""
    return _look_at_disks([_with_partitions(number, device) for number, device in devices], wanted)


def _look_at_disks(disks: Sequence[_DiskLook], wanted: Wanted) -> tuple[GuestFacts, list[tuple[InstallationId, bytes]]]:
    worth_it = any(may_hold_windows(each.partitions) for each in disks)
    installations: list[Installation] = []
    hives: list[tuple[InstallationId, bytes]] = []
    facts = tuple(_look_at_disk(disk, wanted, worth_it, installations, hives) for disk in disks)
    volumes = [volume for disk in facts for volume in disk.volumes]
    judged = tuple(_beside_sleeping(each, volumes) for each in installations[:MOST_INSTALLATIONS])
    kept = _within_bounds([each.id for each in judged], hives)
    return GuestFacts(facts, tuple(_without_bytes(each) if each.id not in kept else each for each in judged)), list(kept.items())


def _look_at_disk(
    disk: _DiskLook,
    wanted: Wanted,
    worth_it: bool,
    installations: list[Installation],
    hives: list[tuple[InstallationId, bytes]],
) -> DiskFacts:
    """One disk's facts; what is found of installations and hives is added to the lists."""
    facts = _bare(disk)
    if not worth_it:
        return facts
    from unxen.probe.boot_files import read_fat_boot_files  # lazily: a disk without NTFS costs its table and no library
    from unxen.probe.look_at_volume import look_at_volume

    for index, partition in enumerate(disk.partitions):
        if partition.content == Content.FAT:
            facts = replace(facts, boot_files=facts.boot_files + read_fat_boot_files(disk.device, partition))
        if partition.content != Content.NTFS:
            continue
        look = look_at_volume(disk.device, partition, wanted)
        if look is None:
            facts = replace(facts, partitions=_unreadable(facts.partitions, index))
            continue
        facts = replace(facts, volumes=(*facts.volumes, look.volume), boot_files=facts.boot_files + look.boot_files)
        installations += look.installations
        hives += look.hives
    return facts


def _unreadable(partitions: tuple[Partition, ...], index: int) -> tuple[Partition, ...]:
    changed = replace(partitions[index], content=Content.UNREADABLE)
    return (*partitions[:index], changed, *partitions[index + 1 :])


def _beside_sleeping(installation: Installation, volumes: Sequence[Volume]) -> Installation:
    """A hibernated Windows on another volume may have this one mounted, and would write its old pages over an edit."""
    others = [each for each in volumes if (each.disk, each.partition) != (installation.disk, installation.partition)]
    troubles = tuple(
        reason(ReasonKind.HIBERNATED, installation.id, volume=f"{each.disk}:{each.partition}", state=each.hibernation.value)
        for each in others
        if each.hibernation in ASLEEP
    )
    return replace(installation, troubles=installation.troubles + troubles)


def _within_bounds(
    identities: Sequence[InstallationId], hives: Sequence[tuple[InstallationId, bytes]]
) -> dict[InstallationId, bytes]:
    kept: dict[InstallationId, bytes] = {}
    for identity, data in hives:
        if identity in identities and sum(map(len, kept.values())) + len(data) <= MOST_HIVE_BYTES:
            kept[identity] = data
    return kept


def _without_bytes(installation: Installation) -> Installation:
    """An installation whose hive does not travel: it had no bytes, or there was no room for them beside the others."""
    if installation.hive is None:
        return installation
    trouble = reason(ReasonKind.HIVE_DAMAGED, installation.id, cause=f"hives of more than {MOST_HIVE_BYTES} bytes together")
    return replace(installation, hive=None, windows=None, system=None, troubles=(*installation.troubles, trouble))
