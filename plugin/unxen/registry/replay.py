# SPDX-License-Identifier: Apache-2.0
"""A dirty hive's newest data stands in its logs; here they are laid over it in memory, by the rules of Windows' own recovery.

Touches only the bytes it is given; raises nothing, whatever they hold. Gives a whole hive, its base block clean and right, or none
and what every log lacked. What does not verify ends the replay there. Source: "Windows registry file format specification" by
M. Suhanov.
"""

import struct
from collections.abc import Mapping, Sequence
from functools import cmp_to_key

from unxen.errors import Refused
from unxen.model.hive_facts import LogEnd, LogFacts, LogUse, ReplayFacts
from unxen.model.record import dataclass, field
from unxen.registry.base_block import (
    BLOCK_SIZE,
    FLAGS_AT,
    MAGIC,
    NUMBERS,
    BaseBlock,
    outdate_old_log,
    read_base_block,
    stamp,
    unpack_base_block,
)
from unxen.registry.bins import cells_whole
from unxen.registry.log_block import SECTOR, Log, precedes, read_log
from unxen.registry.log_new import apply_entry, count_entries, read_entry
from unxen.registry.log_numbers import highest_in_bytes
from unxen.registry.log_old import OldLog, apply_old_log, read_old_log

TYPE_AT, BINS_SIZE_AT = 28, 40
INTACT = (LogEnd.NO_MORE, LogEnd.OTHER_ROUND, LogEnd.WHOLE)


@dataclass(frozen=True)
class Recovery:
    """What came of a replay: `hive` and `facts` are None when no log was of use; `highest` is the largest number anywhere."""

    hive: bytes | None
    facts: ReplayFacts | None
    logs: tuple[LogFacts, ...]
    highest: int


@dataclass
class _Work:
    """A replay on its way. `base` is the hive's base block, None when that is damaged; `uses` what became of each log."""

    primary: bytes
    base: BaseBlock | None
    hive: bytearray
    uses: dict[str, LogUse]
    applied: dict[str, int] = field(default_factory=dict)
    found: int = 0
    last: int = 0
    ended: tuple[LogEnd, str] = (LogEnd.NO_MORE, "")
    source: str = ""


def replay(primary: bytes, logs: Mapping[str, bytes]) -> Recovery:
    """The hive as Windows would recover it from these logs (by name; LOG1 before LOG2)."""
    base = _base(primary)
    read = {name: read_log(name, data, base) for name, data in logs.items()}
    work = _Work(primary, base, bytearray(primary), {name: log for name, log in read.items() if isinstance(log, LogUse)})
    usable = [log for log in read.values() if isinstance(log, Log)]
    if base is not None and not base.dirty:
        # Windows never looks into the logs of a clean hive, whatever is in them.
        work.uses = dict.fromkeys(logs, LogUse.NOT_NEEDED)
    else:
        _replay(work, usable)
    hive = _finished(work) if work.applied else None
    if work.applied and hive is None:
        work.uses |= dict.fromkeys(work.applied, LogUse.BROKEN_RESULT)
    facts = _facts(work) if hive is not None else None
    highest = max((0, *_own_numbers(base), *map(highest_in_bytes, logs.values())))
    return Recovery(hive, facts, tuple(_log_facts(work, name, data) for name, data in logs.items()), highest)


def _base(primary: bytes) -> BaseBlock | None:
    """The hive's base block if it is one and its checksum right."""
    if len(primary) < BLOCK_SIZE or primary[:4] != MAGIC:
        return None
    block = unpack_base_block(primary)
    return block if block.checksum_right else None


def _own_numbers(base: BaseBlock | None) -> tuple[int, ...]:
    return (base.primary, base.secondary) if base else ()


def _replay(work: _Work, logs: Sequence[Log]) -> None:
    """By the rules of the format; logs of both formats beside one hive are a riddle that is not solved by guessing."""
    if len({log.new for log in logs}) > 1:
        work.uses |= {log.name: LogUse.AMBIGUOUS for log in logs}
    elif logs and logs[0].new:
        _replay_new(work, logs)
    else:
        _replay_old(work, logs)


def _replay_new(work: _Work, logs: Sequence[Log]) -> None:
    """In the order of their numbers, as long as each goes on where the one before ended."""
    ordered: Sequence[Log] = sorted(logs, key=cmp_to_key(_compared))
    if work.base is None:
        ordered = _without_base_block(work, ordered)
    expected: int | None = None
    for log in ordered:
        first = log.block.primary
        if work.base is not None and not precedes(work.base.secondary, first):
            work.uses[log.name] = LogUse.STALE
            continue
        work.found += count_entries(log.data, first)
        if expected in (None, first):
            expected = _apply_new(work, log)
        else:
            work.uses[log.name] = LogUse.NOT_FOLLOWING
            if work.ended[0] in INTACT:
                work.ended = (LogEnd.GAP, log.name)
    if work.source and work.source not in work.applied:
        # Its base block is younger than what was applied.
        work.uses |= dict.fromkeys(work.applied, LogUse.NOT_FOLLOWING)
        work.applied.clear()


def _without_base_block(work: _Work, ordered: Sequence[Log]) -> Sequence[Log]:
    """The logs that a hive of unknown age is to be made of; it takes the base block of the later one, as in Windows.

    Windows then replays the later log alone. Where that goes on from the other, both are: whole pages in order do no harm where the
    hive had them already, and where it had not, a hive without them would be a mixture of two ages.
    """
    _take_base_block(work, ordered[-1])
    earlier = [log for log in ordered[:-1] if _goes_on(log, ordered[-1])]
    work.uses |= {log.name: LogUse.NOT_FOLLOWING for log in ordered[:-1] if log not in earlier}
    return (*earlier, ordered[-1])


def _goes_on(log: Log, later: Log) -> bool:
    first = log.block.primary
    return (first + count_entries(log.data, first)) % NUMBERS == later.block.primary


def _compared(one: Log, other: Log) -> int:
    return -1 if precedes(one.block.primary, other.block.primary) else 1


def _apply_new(work: _Work, log: Log) -> int:
    """Its entries up to the first that does not verify; gives the number that would come next."""
    at, number, count = SECTOR, log.block.primary, 0
    while not isinstance(entry := read_entry(log.data, at, number), LogEnd):
        apply_entry(work.hive, log.data, entry)
        _note_in_base_block(work.hive, entry.bins_size, entry.flags)
        at, work.last, count = at + entry.size, number, count + 1
        number = (number + 1) % NUMBERS
    work.ended = (entry, log.name)
    work.uses[log.name] = LogUse.APPLIED if count else LogUse.NO_ENTRY
    if count:
        work.applied[log.name] = count
    return number


def _replay_old(work: _Work, logs: Sequence[Log]) -> None:
    """One log only: the one that was written with this state of the hive."""
    read = {log.name: read_old_log(log, work.base, work.primary) for log in logs}
    work.uses |= {name: old for name, old in read.items() if isinstance(old, LogUse)}
    matching = [old for old in read.values() if isinstance(old, OldLog)]
    if any(old.content != matching[0].content for old in matching):
        work.uses |= {old.log.name: LogUse.AMBIGUOUS for old in matching}
        return
    for old in matching[:1]:
        _apply_old(work, old)
    work.uses |= {old.log.name: LogUse.NOT_NEEDED for old in matching[1:]}


def _apply_old(work: _Work, old: OldLog) -> None:
    block = old.log.block
    if work.base is None:
        _take_base_block(work, old.log)
    apply_old_log(work.hive, old)
    outdate_old_log(work.hive)
    _note_in_base_block(work.hive, block.bins_size, None)
    work.last = (1 + max((block.primary, *_own_numbers(work.base)))) % NUMBERS
    work.found, work.applied = 1, {old.log.name: 1}
    work.uses[old.log.name], work.ended = LogUse.APPLIED, (LogEnd.WHOLE, old.log.name)


def _take_base_block(work: _Work, log: Log) -> None:
    """The copy that the log begins with in place of the damaged one."""
    work.hive.extend(bytes(max(0, BLOCK_SIZE - len(work.hive))))
    work.hive[:SECTOR] = log.data[:SECTOR]
    work.source = log.name


def _note_in_base_block(hive: bytearray, bins_size: int, flags: int | None) -> None:
    struct.pack_into("<I", hive, BINS_SIZE_AT, bins_size)
    if flags is not None:
        hive[FLAGS_AT] = hive[FLAGS_AT] & ~1 | flags & 1


def _finished(work: _Work) -> bytes | None:
    """The hive, marked clean; None when what came out is not whole: its bins and cells must follow each other to the end."""
    struct.pack_into("<I", work.hive, TYPE_AT, 0)
    stamp(work.hive, work.last)
    hive = bytes(work.hive)
    try:
        block = read_base_block(hive)
    except Refused:
        return None
    return hive if cells_whole(hive, block.bins_size) else None


def _facts(work: _Work) -> ReplayFacts:
    ended, where = work.ended
    return ReplayFacts(sum(work.applied.values()), work.found, work.last, ended, where, work.source)


def _log_facts(work: _Work, name: str, data: bytes) -> LogFacts:
    return LogFacts(name, len(data), work.uses[name], work.applied.get(name, 0))
