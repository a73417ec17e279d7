# SPDX-License-Identifier: Apache-2.0
"""A dirty hive is as old as its last full write: its logs make it new again, or it is told how old it is and what they lacked.

Reads one volume, writes nothing: the recovered hive exists in memory alone. Nothing is raised.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from unxen.model.hive_facts import HiveFacts, LogFacts, LogUse, ReplayFacts
from unxen.model.reason import Reason, ReasonKind, reason
from unxen.model.record import dataclass, replace
from unxen.probe.hive_logs import LogFile, read_log_file
from unxen.probe.ntfs import NtfsVolume
from unxen.registry.base_block import BLOCK_SIZE, MAGIC, read_base_block, unpack_base_block
from unxen.registry.log_numbers import highest_in_bytes
from unxen.registry.newest import newest_change
from unxen.registry.replay import Recovery, replay

EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Recovered:
    """What came of it: `hive` and `replay` are None where the logs do not make the hive new."""

    hive: bytes | None
    replay: ReplayFacts | None
    logs: tuple[LogFacts, ...]
    highest: int


def recover(volume: NtfsVolume, logs: Sequence[LogFile], data: bytes) -> Recovered:
    """The hive replayed; not where one of its logs cannot be read, for what stands in that one would be lost."""
    read = {log.entry.name: read_log_file(volume, log) for log in logs}
    contents = {name: each for name, each in read.items() if isinstance(each, bytes)}
    unused = [log.entry.name for log in logs if log.unused]
    made = replay(data, {name: each for name, each in contents.items() if name not in unused})
    if len(contents) < len(read):
        made = _given_up(made)
    told = {each.name: each for each in made.logs}
    facts = tuple(told.get(log.entry.name) or log.facts(_use(read[log.entry.name])) for log in logs)
    highest = max((made.highest, *map(highest_in_bytes, contents.values())))
    return Recovered(made.hive, made.facts, facts, highest)


def _use(read: bytes | LogUse) -> LogUse:
    return read if isinstance(read, LogUse) else LogUse.NOT_NEEDED


def _given_up(made: Recovery) -> Recovery:
    logs = tuple(replace(each, use=LogUse.NOT_FOLLOWING, applied=0) if each.applied else each for each in made.logs)
    return Recovery(None, None, logs, made.highest)


def facts_of(hive: bytes, before: bytes, made: Recovered) -> HiveFacts:
    """The recovered hive's own facts, but for the numbers, which are those on the disk; 0 where there is no base block at all."""
    after, highest = read_base_block(hive).facts(), made.highest
    block = unpack_base_block(before) if len(before) >= BLOCK_SIZE and before[:4] == MAGIC else None
    numbers = (block.primary, block.secondary, block.checksum_right) if block else (0, 0, False)
    return HiveFacts(after.size, after.bins_size, after.version, *numbers, max(after.highest, highest), made.logs, made.replay)


def dirty_troubles(facts: HiveFacts, data: bytes, subject: str) -> tuple[Reason, ...]:
    """Why a hive that its logs did not make new must not be built on. A damaged base block is more than old."""
    lacking = ", ".join(f"{each.name}={each.use.value}" for each in facts.logs)
    if not facts.checksum_right:
        return (reason(ReasonKind.HIVE_DAMAGED, subject, cause="checksum", logs=lacking),)
    numbers = {"primary": facts.primary, "secondary": facts.secondary}
    return (reason(ReasonKind.HIVE_DIRTY, subject, **numbers, logs=lacking or "none", newest=_newest(data)),)


def _newest(data: bytes) -> str:
    """When the youngest change in it was made, as far as its keys tell; empty when they tell nothing."""
    stamp = newest_change(data)
    try:
        return f"{EPOCH + timedelta(microseconds=stamp // 10):%Y-%m-%d %H:%M} UTC" if stamp else ""
    except OverflowError:
        return ""
