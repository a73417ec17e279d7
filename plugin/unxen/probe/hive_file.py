# SPDX-License-Identifier: Apache-2.0
"""Readers of damaged volumes return wrong data now and then, so a hive's bytes count only after they have shown what they are.

Reads one hive of one volume and its logs. Nothing is raised: what is wrong becomes a reason, and what could be read all the same is
kept. A dirty hive is recovered in memory before anything looks into it.
"""

from collections.abc import Iterator, Sequence

from unxen.errors import Refused
from unxen.host.sealed import collected, shareable
from unxen.model.hive_facts import HiveFacts, LogUse
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.record import dataclass, replace
from unxen.model.volume_facts import FileRecord
from unxen.probe.device import BLOCK, PIECE
from unxen.probe.file_seen import SeenFiles
from unxen.probe.hive_logs import LogFile, find_logs, look_at_logs
from unxen.probe.installations import Found
from unxen.probe.malformed import VOLUME_ERRORS
from unxen.probe.ntfs import NtfsVolume
from unxen.registry.base_block import BLOCK_SIZE, LARGEST_BINS, read_base_block
from unxen.registry.log_numbers import MOST

LARGEST_HIVE = BLOCK_SIZE + LARGEST_BINS
NOT_READ = (LogUse.UNREADABLE, LogUse.TOO_LARGE)


@dataclass(frozen=True)
class HiveFile:
    """The SYSTEM hive of one Windows.

    `data` is None when its bytes could not be had or are no hive. `made_of` are the numbers of the records that it was made of: its
    own, and those of its logs where it is dirty.
    """

    record: FileRecord | None
    facts: HiveFacts | None
    data: bytes | None
    troubles: tuple[Reason, ...]
    made_of: tuple[int, ...] = ()


def read_hive_file(volume: NtfsVolume, found: Found, seen: SeenFiles, subject: str) -> HiveFile:
    """Bytes and facts of the hive, recovered if it was dirty, and everything that forbids editing it."""
    try:
        record = volume.record(found.hive)
        if record.size > LARGEST_HIVE:
            return _damaged(record, subject, f"{record.size} bytes")
        data = collected(_pieces(volume, found, record.size))
    except VOLUME_ERRORS as error:
        return _damaged(None, subject, str(error))
    if len(data) != record.size:
        return _damaged(record, subject, f"{len(data)} of {record.size} bytes could be read")
    logs = find_logs(volume, found, seen)
    made = _judge(volume, logs, data, subject)
    beside = tuple(log.entry.number for log in logs) if made.facts and made.facts.dirty else ()
    troubles = made.troubles + _file_troubles(record, subject)
    return replace(made, record=record, troubles=troubles, made_of=(record.number, *beside))


def _pieces(volume: NtfsVolume, found: Found, size: int) -> Iterator[bytes]:
    """The file in few pieces, none of them much shorter than the others: a short one would be read block by block."""
    count = -(-size // PIECE)
    length = -(-size // max(1, count) // BLOCK) * BLOCK
    for at in range(0, size, length or 1):
        yield volume.read(found.hive_path, found.hive, at, min(length, size - at))


def _judge(volume: NtfsVolume, logs: Sequence[LogFile], data: bytes, subject: str) -> HiveFile:
    """The hive as it is when it is clean, else as its logs make it."""
    facts: HiveFacts | None = None
    flaws: tuple[Reason, ...] = ()
    try:
        facts = read_base_block(data).facts()
    except Refused as refusal:
        flaws = tuple(replace(each, subject=subject) for each in refusal.reasons)
    if facts is not None and not facts.dirty:
        beside, highest = look_at_logs(volume, logs)
        return _with(replace(facts, logs=beside, highest=max(facts.highest, highest)), data, (), subject)
    from unxen.probe.hive_recovery import dirty_troubles, facts_of, recover  # lazily: a clean hive does not need it

    made = recover(volume, logs, data)
    if made.hive is not None:
        return _with(facts_of(made.hive, data, made), made.hive, (), subject)
    if facts is None:
        return HiveFile(None, None, None, flaws)
    facts = replace(facts, logs=made.logs, highest=max(facts.highest, made.highest))
    return _with(facts, data, dirty_troubles(facts, data, subject), subject)


def _with(facts: HiveFacts, data: bytes, troubles: tuple[Reason, ...], subject: str) -> HiveFile:
    return HiveFile(None, facts, shareable(data), _log_troubles(facts, subject) + troubles)


def _log_troubles(facts: HiveFacts, subject: str) -> tuple[Reason, ...]:
    """Without every number in the logs none can be chosen that is past them."""
    unread = next((each.name for each in facts.logs if each.use in NOT_READ), "")
    if unread:
        return (reason(ReasonKind.HIVE_DAMAGED, subject, cause="log-unreadable", log=unread),)
    if facts.highest >= MOST:
        return (reason(ReasonKind.HIVE_DAMAGED, subject, cause="sequence-number", number=facts.highest),)
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
