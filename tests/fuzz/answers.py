# SPDX-License-Identifier: Apache-2.0
"""A box that a disk took over answers as it likes: what it says is refused, or can be judged, told and planned without an error."""

import json
import random
from dataclasses import replace
from functools import cache

from unit.hive_guest import tables
from unxen.errors import Refused
from unxen.model.codec import CodecError, decode, encode
from unxen.model.facts import GuestFacts
from unxen.model.guest import Machine
from unxen.model.ids import Bus, DiskNumber
from unxen.plan.judge import judge
from unxen.plan.no_windows import judge_nothing
from unxen.probe.look_check import check_answer, check_partitions
from unxen.probe.look_protocol import DiskSize, LookAnswer, PartitionsAnswer

from fuzz import disk
from fuzz.telling import tell


@cache
def of_a_look() -> tuple[bytes, ...]:
    """What a box says of a real disk."""
    facts, hives = disk.look_of(b"")
    return (json.dumps(encode(LookAnswer(facts, tuple(hives)))).encode(),)


@cache
def of_partitions() -> tuple[bytes, ...]:
    """The same for the question that comes first."""
    bare = tuple(replace(each, volumes=(), boot_files=()) for each in disk.look_of(b"")[0].disks)
    return (json.dumps(encode(PartitionsAnswer(bare))).encode(),)


def believe_look(data: bytes) -> None:
    """The hives are judged by their own bytes anyway."""
    hives = tuple(disk.look_of(b"")[1].values())
    try:
        said = decode(LookAnswer, json.loads(data))
        check_answer(_asked(), said, hives)
    except (CodecError, Refused):
        return
    tell(said.facts)
    judge(said.facts, Machine(), tables(), bus=random.Random(data).choice((Bus.SATA, Bus.IDE, Bus.VIRTIO_SCSI)))


def believe_partitions(data: bytes) -> None:
    """Without a Windows there are no tables to judge by."""
    try:
        said = decode(PartitionsAnswer, json.loads(data))
        check_partitions(_asked(), said.disks)
    except (CodecError, Refused):
        return
    facts = GuestFacts(said.disks, ())
    assert judge_nothing(facts, Bus.UNKNOWN) == judge(facts, Machine(), tables())
    tell(facts)


def _asked() -> list[DiskSize]:
    return [DiskSize(DiskNumber(1), len(disk.sound()))]
