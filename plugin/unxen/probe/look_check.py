# SPDX-License-Identifier: Apache-2.0
"""The rules that an answer of the parser's box has to keep, one row each, so that the list can be read and tested as one.

Touches nothing. The hives are judged anew from their own bytes here; what the box said about them only has to agree.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from unxen.errors import Refused, refused
from unxen.model.facts import Installation
from unxen.model.hive_facts import HiveFacts, HiveState
from unxen.model.reason import ReasonKind
from unxen.model.volume_facts import BootFile, DiskFacts, FileRecord, Partition, Volume
from unxen.probe.look_protocol import MOST_INSTALLATIONS, MOST_PARTITIONS, OPERATION, DiskSize, LookAnswer
from unxen.registry.base_block import NUMBERS, read_base_block

LARGEST = 1 << 63
ROOT = re.compile(r'\\[^\x00-\x1f"*/:<>?|\\\ud800-\udfff]{1,255}')
LONGEST_PATH = 1024
MOST_LOGS = 3
HIVE_TROUBLES = frozenset((ReasonKind.HIVE_DIRTY, ReasonKind.HIVE_DAMAGED))


def check_answer(disks: Sequence[DiskSize], said: LookAnswer, blobs: Sequence[bytes]) -> None:
    """Refuses an answer that breaks a rule."""
    _keep(_disks(disks, said.facts.disks), _installations(said), _hives(said, blobs))


def check_partitions(disks: Sequence[DiskSize], said: Sequence[DiskFacts]) -> None:
    """The same for an answer that has no more than partitions."""
    _keep(_bare(said), _disks(disks, said))


Checks = Iterator[tuple[bool, str]]


def _keep(*rules: Checks) -> None:
    for kept, name in chain.from_iterable(rules):
        if not kept:
            raise refused(ReasonKind.PROBE_FAILED, OPERATION, cause=name)


def _bare(said: Sequence[DiskFacts]) -> Checks:
    yield all(not each.volumes and not each.boot_files for each in said), "more than partitions"


def _disks(disks: Sequence[DiskSize], said: Sequence[DiskFacts]) -> Checks:
    yield [DiskSize(each.number, each.size) for each in said] == list(disks), "other disks than asked"
    for disk in said:
        yield len(disk.partitions) <= MOST_PARTITIONS, "too many partitions"
        numbers = [each.number for each in disk.partitions]
        yield len(set(numbers)) == len(numbers), "a partition twice"
        yield all(_is_partition(disk, each) for each in disk.partitions), "an impossible partition"
        yield all(_is_volume(disk, each) for each in disk.volumes), "an impossible volume"
        yield all(_is_boot_file(disk, each) for each in disk.boot_files), "an impossible boot file"


def _is_partition(disk: DiskFacts, each: Partition) -> bool:
    return each.disk == disk.number and 0 <= each.number <= MOST_PARTITIONS and _within(LARGEST, each.start, each.length)


def _is_volume(disk: DiskFacts, each: Volume) -> bool:
    places = {(row.number, row.start, row.length) for row in disk.partitions}
    sizes = (each.cluster_size, each.sector_size)
    powers = all(size.bit_count() == 1 and 256 <= size <= 2 << 20 for size in sizes)
    known = each.disk == disk.number and (each.partition, each.start, each.length) in places
    return known and powers and _within(disk.size + 1, each.start, each.length, each.heads) and len(each.serial) <= 16


def _is_boot_file(disk: DiskFacts, each: BootFile) -> bool:
    numbers = {row.number for row in disk.partitions}
    return each.disk == disk.number and each.partition in numbers and len(each.path) <= LONGEST_PATH


def _installations(said: LookAnswer) -> Checks:
    found = said.facts.installations
    volumes = {(each.disk, each.partition): each for disk in said.facts.disks for each in disk.volumes}
    sizes = {disk.number: disk.size for disk in said.facts.disks}
    yield len(found) <= MOST_INSTALLATIONS, "too many installations"
    yield len({each.id for each in found}) == len(found), "an installation twice"
    for each in found:
        volume = volumes.get((each.disk, each.partition))
        yield volume is not None and _is_installation(each), "an impossible installation"
        record = each.record
        yield volume is None or record is None or _is_record(record, volume, sizes[each.disk]), "an impossible file record"
        yield each.record is not None or each.hive is None, "a hive without its file record"
        yield each.system is None or each.hive is not None, "a registry without its hive"


def _is_installation(each: Installation) -> bool:
    named = each.id == f"{each.disk}:{each.partition}:{each.root}" and ROOT.fullmatch(each.root) is not None
    below = each.hive_path.upper() == f"{each.root}\\System32\\config\\SYSTEM".upper()
    return named and below and each.hive_path.startswith(each.root)


def _is_record(record: FileRecord, volume: Volume, disk_size: int) -> bool:
    clusters = volume.length // volume.cluster_size
    mapped = sum(run.count for run in record.runs) * volume.cluster_size
    inside = all(run.cluster >= 0 and run.count > 0 and run.cluster + run.count <= clusters for run in record.runs)
    numbers = _within(1 << 48, record.number) and _within(1 << 16, record.sequence)
    sizes = _within(LARGEST, record.size, record.allocated) and 0 <= record.initialised <= record.size
    covered = not record.complete or record.resident or record.compressed or record.size <= record.allocated == mapped
    return inside and numbers and sizes and covered and volume.start <= record.record_offset < disk_size


def _hives(said: LookAnswer, blobs: Sequence[bytes]) -> Checks:
    by_id = {each.id: each for each in said.facts.installations}
    yield len(said.hives) == len(blobs) == len(set(said.hives)), "other hives than named"
    yield set(said.hives) == {each.id for each in by_id.values() if each.hive is not None}, "hives of other installations"
    for identity, blob in zip(said.hives, blobs, strict=True):
        yield _agrees(by_id[identity], blob), "a hive that is not what was said of it"


def _agrees(installation: Installation, blob: bytes) -> bool:
    """The base block read anew gives the same facts, and a state that forbids editing was reported."""
    said, record = installation.hive, installation.record
    if said is None or record is None:
        return False
    try:
        facts = read_base_block(blob).facts()
    except Refused:
        return False
    same = (facts.size, facts.bins_size, facts.version) == (said.size, said.bins_size, said.version)
    reported = bool(HIVE_TROUBLES & {each.kind for each in installation.troubles})
    logs = len(said.logs) <= MOST_LOGS and all(len(each.name) <= 255 and each.size >= -1 for each in said.logs)
    fits = _is_recovered(facts, said, record) if said.state is HiveState.REPLAYED else _is_as_read(facts, said, record)
    return same and logs and fits and facts.highest <= said.highest < NUMBERS and (reported or said.state is not HiveState.DIRTY)


def _is_recovered(facts: HiveFacts, said: HiveFacts, record: FileRecord) -> bool:
    """What came out of a replay is clean and has not shrunk; the numbers on the disk were its reason."""
    counts = said.replay is not None and 0 < said.replay.applied <= said.replay.found
    return not facts.dirty and said.dirty and counts and facts.size >= record.size


def _is_as_read(facts: HiveFacts, said: HiveFacts, record: FileRecord) -> bool:
    numbers = (facts.primary, facts.secondary, facts.checksum_right) == (said.primary, said.secondary, said.checksum_right)
    return numbers and said.replay is None and facts.size == record.size


def _within(bound: int, *numbers: int) -> bool:
    return all(0 <= number < bound for number in numbers)
