# SPDX-License-Identifier: Apache-2.0
"""Readers of damaged volumes return wrong data now and then, so a hive's bytes count only after they have shown what they are.

Reads one hive of one volume. Nothing is raised: what is wrong becomes a reason, and what could be read all the same is kept.
"""

from dataclasses import dataclass, replace

from unxen.errors import Refused
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.registry_facts import HiveFacts
from unxen.model.volume_facts import FileRecord
from unxen.probe.file_seen import SeenFiles
from unxen.probe.files import Entry
from unxen.probe.installations import Found
from unxen.probe.malformed import VOLUME_ERRORS
from unxen.probe.ntfs import NtfsVolume
from unxen.registry.base_block import read_base_block

# Real SYSTEM hives have 2 to 40 MB; Windows itself allowed up to 200 MB for all hives of old.
LARGEST_HIVE = 192 << 20
LOGS = (".LOG", ".LOG1", ".LOG2")


@dataclass(frozen=True)
class HiveFile:
    """The SYSTEM hive of one Windows; `data` is None when its bytes could not be had or are no hive."""

    record: FileRecord | None
    facts: HiveFacts | None
    data: bytes | None
    troubles: tuple[Reason, ...]


def read_hive_file(volume: NtfsVolume, found: Found, seen: SeenFiles, subject: str) -> HiveFile:
    """Bytes and facts of the hive, and everything that forbids editing it."""
    try:
        record = volume.record(found.hive)
        if record.size > LARGEST_HIVE:
            return _damaged(record, subject, f"{record.size} bytes")
        data = volume.read(found.hive_path, found.hive, 0, record.size)
    except VOLUME_ERRORS as error:
        return _damaged(None, subject, str(error))
    if len(data) != record.size:
        return _damaged(record, subject, f"{len(data)} of {record.size} bytes could be read")
    return _judge(record, data, _logs(volume, found, seen), subject)


def _judge(record: FileRecord, data: bytes, logs: tuple[tuple[str, int], ...], subject: str) -> HiveFile:
    file_troubles = _file_troubles(record, subject)
    try:
        block = read_base_block(data)
    except Refused as refusal:
        damaged = tuple(replace(each, subject=subject) for each in refusal.reasons)
        return HiveFile(record, None, None, damaged + file_troubles)
    facts = replace(block.facts(), logs=logs)
    return HiveFile(record, facts, data, _hive_troubles(facts, subject) + file_troubles)


def _hive_troubles(facts: HiveFacts, subject: str) -> tuple[Reason, ...]:
    if not facts.checksum_right:
        return (reason(ReasonKind.HIVE_DAMAGED, subject, cause="checksum"),)
    if facts.primary != facts.secondary:
        numbers = {"primary": facts.primary, "secondary": facts.secondary}
        return (reason(ReasonKind.HIVE_DIRTY, subject, **numbers),)
    return ()


def _file_troubles(record: FileRecord, subject: str) -> tuple[Reason, ...]:
    """What in the file's own record forbids to write its bytes where they are, and to trust what a driver would make of it."""
    flags = (
        (record.compressed, "compressed"),
        (record.encrypted, "encrypted"),
        (record.sparse, "sparse"),
        (record.wof, "wof"),
        (record.resident, "resident"),
        (record.attribute_list and not record.complete, "incomplete"),
    )
    return tuple(reason(ReasonKind.HIVE_FILE_NOT_EDITABLE, subject, what=what) for wrong, what in flags if wrong)


def _damaged(record: FileRecord | None, subject: str, cause: str) -> HiveFile:
    return HiveFile(record, None, None, (reason(ReasonKind.HIVE_DAMAGED, subject, cause=cause),))


def _logs(volume: NtfsVolume, found: Found, seen: SeenFiles) -> tuple[tuple[str, int], ...]:
    """Names, as spelled, and sizes of the hive's logs; -1 is one whose record cannot be read."""
    entries = (seen.entry(f"{found.hive_path}{ending}") for ending in LOGS)
    return tuple((each.name, _size(volume, each)) for each in entries if isinstance(each, Entry))


def _size(volume: NtfsVolume, entry: Entry) -> int:
    try:
        return volume.record(entry).size
    except VOLUME_ERRORS:
        return -1
