# SPDX-License-Identifier: Apache-2.0
"""A dirty hive becomes what its logs say, by the rules of Windows' own recovery, and never more than that."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from generators.dirty_hives import (
    PAGE,
    ROUND,
    SECTOR,
    Entry,
    bins_size,
    differing,
    dirty_hive,
    marvin,
    new_log,
    old_dirty_hive,
    old_log,
    stamped,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from unxen.model.hive_facts import LogEnd, LogUse
from unxen.registry.base_block import read_base_block
from unxen.registry.log_numbers import highest_in_bytes
from unxen.registry.marvin32 import marvin32
from unxen.registry.replay import Recovery, replay

TIME = 132223104000000000


def bin_of(index: int, seed: int) -> bytes:
    """A bin of one page that is one free cell full of noise, so that any mix of pages is a whole hive."""
    time = TIME if index == 0 else 0
    head = struct.pack("<4sII8xQIi", b"hbin", index * PAGE, PAGE, time, 0, PAGE - 32)
    return head + Random(f"{index} {seed}").randbytes(PAGE - len(head))


def hive_of(*seeds: int, name: str = "SYSTEM") -> bytes:
    """A hive with one such bin for every seed."""
    size = PAGE * len(seeds)
    head = struct.pack("<4sIIQIIIIIII64s", b"regf", 1, 1, TIME, 1, 5, 0, 1, 32, size, 1, name.encode("utf-16-le"))
    return stamped(head.ljust(PAGE, b"\0"), 1, 1) + b"".join(bin_of(index, seed) for index, seed in enumerate(seeds))


A, B, C = hive_of(0, 0, 0), hive_of(0, 1, 0), hive_of(0, 1, 2)
GROWN = hive_of(0, 1, 2, 3)
PAIR = dirty_hive([A, B, C])


def uses(made: Recovery) -> list[LogUse]:
    return [each.use for each in made.logs]


def entry(number: int, before: bytes, after: bytes, **changes: object) -> Entry:
    """The flush that makes one state the other."""
    return replace(Entry(number, differing(before, after), bins_size(after)), **changes)


EIGHTH = entry(8, B, C).written()


def replayed(entries: Sequence[Entry], *, second: Sequence[Entry] = (), number: int = 7, **log: object) -> Recovery:
    """A hive with its disk's state A and numbers 7/6, and logs of these entries."""
    logs = {"SYSTEM.LOG1": new_log(A, entries, **log)}
    if second:
        logs["SYSTEM.LOG2"] = new_log(A, second)
    return replay(stamped(A, number, number - 1), logs)


def bins(hive: bytes | None) -> bytes:
    assert hive is not None
    return hive[PAGE:]


# Marvin32


@pytest.mark.parametrize("length", [0, 4, 8, 32, 4000])
def test_hash_is_that_of_another_implementation(length):
    data = Random(length).randbytes(length)
    assert marvin32(data) == marvin(data)


@pytest.mark.parametrize(
    ("seed", "data", "expected"),
    # From the tests of the .NET runtime, whose string hash it is; one that ends inside a number, and so is not the registry's.
    [
        (0x004FB61A001BDBCC, b"", 0x30ED35C100CD3C7D),
        (0x004FB61A001BDBCC, b"\xaf", 0x48E73FC77D75DDC1),
        (0x004FB61A001BDBCC, b"\xe7\x0f", 0xB5F6E1FC485DBFF8),
    ],
)
def test_generator_hashes_as_published(seed, data, expected):
    assert marvin(data, seed) == expected


# New format


def test_entries_of_both_logs_are_applied_in_the_order_of_their_numbers():
    made = replay(PAIR.primary, dict(reversed(PAIR.logs.items())))
    assert bins(made.hive) == bins(C)
    assert made.facts is not None
    assert (made.facts.applied, made.facts.found, made.facts.last, made.facts.complete) == (2, 2, 8, True)
    assert (made.facts.ended, made.facts.ended_in) == (LogEnd.NO_MORE, "SYSTEM.LOG2")
    assert made.highest == 8
    block = read_base_block(made.hive)
    assert (block.primary, block.secondary, block.dirty, block.flags & 1) == (8, 8, False, 1)


def test_one_log_alone_is_enough():
    made = replay(PAIR.primary, {"SYSTEM.LOG1": PAIR.logs["SYSTEM.LOG1"]})
    assert bins(made.hive) == bins(B)


def test_numbers_may_begin_far_above_those_of_the_hive():
    entries = [entry(2107, A, B), entry(2108, B, C)]
    assert bins(replayed(entries).hive) == bins(C)


@pytest.mark.parametrize("name", ["SYSTEM.LOG1", "SYSTEM.LOG2"])
def test_older_log_is_skipped_wherever_it_is(name):
    other = {"SYSTEM.LOG1": "SYSTEM.LOG2", "SYSTEM.LOG2": "SYSTEM.LOG1"}[name]
    made = replay(stamped(A, 7, 6), {name: new_log(A, [entry(5, A, GROWN)]), other: new_log(A, [entry(6, A, B)])})
    assert bins(made.hive) == bins(B)
    assert uses(made) == [LogUse.STALE, LogUse.APPLIED]


def test_log_that_does_not_follow_is_left_out_and_told():
    made = replayed([entry(7, A, B)], second=[entry(9, B, C)])
    assert bins(made.hive) == bins(B)
    assert uses(made) == [LogUse.APPLIED, LogUse.NOT_FOLLOWING]
    assert made.facts is not None
    assert (made.facts.applied, made.facts.found, made.facts.ended, made.facts.ended_in) == (1, 2, LogEnd.GAP, "SYSTEM.LOG2")


def test_numbers_go_round():
    last = ROUND - 1
    entries = [entry(last - 1, A, B), entry(last, B, C)]
    made = replay(stamped(A, last, last - 1), {"1": new_log(A, entries), "2": new_log(A, [entry(0, C, GROWN)])})
    assert bins(made.hive) == bins(GROWN)
    assert made.facts is not None and made.facts.last == 0


def test_remnants_of_an_earlier_round_are_never_applied():
    remnants = entry(3, A, hive_of(9, 9, 9)).written()
    made = replayed([entry(7, A, B)], remnants=remnants)
    assert bins(made.hive) == bins(B)
    assert made.facts is not None and made.facts.complete and made.facts.ended is LogEnd.OTHER_ROUND
    assert made.highest == 7


def test_hive_grows_with_its_bins():
    made = replayed([entry(7, A, B), entry(8, B, GROWN)])
    assert bins(made.hive) == bins(GROWN)
    assert read_base_block(made.hive).bins_size == bins_size(GROWN)


def test_hive_with_room_behind_its_bins_keeps_its_length():
    roomy = stamped(A, 7, 6) + b"\xee" * (3 * PAGE)
    made = replay(roomy, {"SYSTEM.LOG1": new_log(A, [entry(7, A, GROWN)])})
    assert made.hive is not None
    assert len(made.hive) == len(roomy)
    assert made.hive[PAGE : PAGE + bins_size(GROWN)] == bins(GROWN)


SPOILED = {
    "torn": (LogEnd.DAMAGED_DATA, {"torn": True}),
    "wrong hash of the data": (LogEnd.DAMAGED_DATA, {"data_hash": 1}),
    "wrong hash of the head": (LogEnd.DAMAGED_HEADER, {"head_hash": 1}),
    "no entry": (LogEnd.NO_MORE, {"magic": b"HvLF"}),
    "longer than the log": (LogEnd.CUT_OFF, {"size": 1 << 20}),
    "shorter than its pages": (LogEnd.IMPOSSIBLE, {"size": 512, "data_hash": marvin(EIGHTH[40:512])}),
    "no multiple of a sector": (LogEnd.IMPOSSIBLE, {"size": 4200}),
    "no pages": (LogEnd.IMPOSSIBLE, {"count": 0}),
    "more pages than fit": (LogEnd.IMPOSSIBLE, {"count": 1 << 30}),
    "no bins": (LogEnd.IMPOSSIBLE, {"bins_size": 0}),
    "half a bin": (LogEnd.IMPOSSIBLE, {"bins_size": 3 * PAGE + 512}),
    "absurdly many bins": (LogEnd.IMPOSSIBLE, {"bins_size": 0xFFFFF000}),
    "page outside of the hive": (LogEnd.IMPOSSIBLE, {"pages": {3 * PAGE: bytes(PAGE)}}),
    "page that begins before": (LogEnd.IMPOSSIBLE, {"pages": {ROUND - PAGE: bytes(PAGE)}}),
    "page inside a sector": (LogEnd.IMPOSSIBLE, {"pages": {100: bytes(SECTOR)}}),
    "half a sector": (LogEnd.IMPOSSIBLE, {"pages": {0: bytes(100)}}),
}


@pytest.mark.parametrize("what", SPOILED)
def test_entry_that_does_not_verify_ends_the_replay_before_it(what):
    ended, changes = SPOILED[what]
    made = replayed([entry(7, A, B), entry(8, B, C, **changes), entry(9, C, hive_of(5, 5, 5))])
    assert bins(made.hive) == bins(B)
    assert made.facts is not None
    assert (made.facts.applied, made.facts.last, made.facts.ended) == (1, 7, ended)


@pytest.mark.parametrize("number", [3, 9])
def test_entry_out_of_sequence_ends_the_replay_before_it(number):
    made = replayed([entry(7, A, B), entry(number, B, C)])
    assert bins(made.hive) == bins(B)
    assert made.facts is not None and made.facts.ended is LogEnd.OTHER_ROUND


@pytest.mark.parametrize("what", SPOILED)
def test_log_whose_first_entry_does_not_verify_gives_nothing(what):
    _, changes = SPOILED[what]
    made = replayed([entry(7, A, B, **changes)], first=7)
    assert (made.hive, made.facts) == (None, None)
    assert uses(made) == [LogUse.NO_ENTRY]


def test_what_follows_a_torn_entry_counts_as_lost():
    made = replayed([entry(7, A, B), entry(8, B, C, torn=True), entry(9, C, B)], second=[entry(10, B, C)])
    assert made.facts is not None
    assert (made.facts.applied, made.facts.found, made.facts.complete) == (1, 4, False)
    assert (made.facts.ended, made.facts.ended_in) == (LogEnd.DAMAGED_DATA, "SYSTEM.LOG1")


def test_log_that_begins_where_the_other_was_torn_is_applied():
    made = replayed([entry(7, A, B), entry(8, B, hive_of(5, 5, 5), torn=True)], second=[entry(8, B, C)])
    assert bins(made.hive) == bins(C)
    assert uses(made) == [LogUse.APPLIED, LogUse.APPLIED]


def test_cut_log_gives_the_entries_before_the_cut():
    log = new_log(A, [entry(7, A, B), entry(8, B, C)])
    for cut in (1, 511, 512, PAGE):
        made = replay(stamped(A, 7, 6), {"SYSTEM.LOG1": log[:-cut]})
        assert bins(made.hive) == bins(B)


LOG = new_log(A, [entry(7, A, B)])
USELESS = {
    "empty": (LogUse.EMPTY, b""),
    "too short": (LogUse.NO_LOG, LOG[:511]),
    "no log": (LogUse.NO_LOG, bytes(PAGE)),
    "a hive": (LogUse.NO_LOG, stamped(LOG, 7, 7, kind=0)),
    "of an unknown kind": (LogUse.NO_LOG, stamped(LOG, 7, 7, kind=5)),
    "wrong checksum": (LogUse.WRONG_CHECKSUM, LOG[:508] + b"\0\0\0\0" + LOG[512:]),
    "half written": (LogUse.HALF_WRITTEN, stamped(LOG, 7, 6, kind=6)),
    "of another hive": (LogUse.OTHER_HIVE, new_log(hive_of(0, name="SOFTWARE"), [entry(7, A, B)])),
    "older": (LogUse.STALE, new_log(A, [entry(5, A, B)])),
    "nothing but a base block": (LogUse.NO_ENTRY, LOG[:512]),
    "result that is not whole": (LogUse.BROKEN_RESULT, new_log(A, [Entry(7, {PAGE: b"\xff" * PAGE}, 3 * PAGE)])),
    "result that ends in nothing": (LogUse.BROKEN_RESULT, new_log(A, [Entry(7, {0: bin_of(0, 1)}, 9 * PAGE)])),
}


@pytest.mark.parametrize("what", USELESS)
def test_useless_log_changes_nothing_and_says_what_it_lacks(what):
    use, data = USELESS[what]
    made = replay(stamped(A, 7, 6), {"SYSTEM.LOG1": data})
    assert (made.hive, made.facts, uses(made)) == (None, None, [use])
    both = replay(stamped(A, 7, 6), {"SYSTEM.LOG1": data, "SYSTEM.LOG2": LOG})
    if use is not LogUse.BROKEN_RESULT and use is not LogUse.NO_ENTRY:
        assert bins(both.hive) == bins(B)
        assert uses(both) == [use, LogUse.APPLIED]


def test_clean_hive_is_left_alone_whatever_its_logs_hold():
    made = replay(stamped(A, 7, 7), {"SYSTEM.LOG1": new_log(A, [entry(8, A, B)])})
    assert (made.hive, uses(made), made.highest) == (None, [LogUse.NOT_NEEDED], 8)


@pytest.mark.parametrize("damage", [lambda hive: bytes(PAGE) + hive[PAGE:], lambda hive: hive[:4] + b"\xff" + hive[5:]])
def test_damaged_base_block_comes_from_the_later_log(damage):
    made = replay(damage(PAIR.primary), PAIR.logs)
    assert bins(made.hive) == bins(C)
    assert made.facts is not None
    assert (made.facts.base_block_from, made.facts.last, made.facts.complete) == ("SYSTEM.LOG2", 8, True)
    block = read_base_block(made.hive)
    assert (block.name, block.file_type, block.dirty) == ("SYSTEM", 0, False)


def test_without_base_block_a_log_with_a_gap_behind_it_is_left_out():
    logs = {"SYSTEM.LOG1": new_log(A, [entry(9, B, C)]), "SYSTEM.LOG2": new_log(A, [entry(5, A, B)])}
    made = replay(bytes(PAGE) + A[PAGE:], logs)
    assert made.hive is not None and made.facts is not None
    assert made.hive[PAGE:] == A[PAGE : 3 * PAGE] + C[3 * PAGE :], "the later log's page alone"
    assert (made.facts.base_block_from, uses(made)) == ("SYSTEM.LOG1", [LogUse.APPLIED, LogUse.NOT_FOLLOWING])


def test_without_base_block_nothing_is_made_when_the_earlier_log_is_torn():
    logs = {"1": new_log(A, [entry(7, A, B), entry(8, B, A, torn=True)]), "2": new_log(A, [entry(9, A, C)])}
    assert replay(stamped(A, 7, 6), logs).hive is not None
    made = replay(bytes(PAGE) + A[PAGE:], logs)
    assert (made.hive, made.facts, uses(made)) == (None, None, [LogUse.NOT_FOLLOWING] * 2)


def test_logs_of_both_formats_are_a_riddle():
    made = replay(stamped(A, 7, 6), {"SYSTEM.LOG1": LOG, "SYSTEM.LOG2": old_log(A, B, number=7)})
    assert (made.hive, uses(made)) == (None, [LogUse.AMBIGUOUS] * 2)


# Old format


@pytest.mark.parametrize("kind", [1, 2])
def test_old_log_is_applied_by_its_bitmap(kind):
    log = old_log(A, GROWN, number=7, kind=kind, remnants=b"\xff" * 700)
    made = replay(stamped(A, 7, 6), {"SYSTEM.LOG": log})
    assert made.hive is not None and made.facts is not None
    assert made.hive[2 * PAGE :] == GROWN[2 * PAGE :]
    assert (made.facts.applied, made.facts.found, made.facts.ended) == (1, 1, LogEnd.WHOLE)
    block = read_base_block(made.hive)
    assert (block.primary, block.secondary, block.dirty) == (8, 8, False)
    assert (block.bins_size, block.written) == (bins_size(GROWN), TIME + 1)


@pytest.mark.parametrize("sector", range(1, 8))
def test_every_bit_of_the_bitmap_is_one_sector(sector):
    at = 2 * PAGE + SECTOR * sector
    changed = A[:at] + b"\x55" * SECTOR + A[at + SECTOR :]
    made = replay(stamped(A, 7, 6), {"SYSTEM.LOG": old_log(A, changed, number=7)})
    assert made.hive is not None and made.hive[2 * PAGE :] == changed[2 * PAGE :]


def test_first_old_page_lies_behind_a_bitmap_of_any_length():
    wide = hive_of(*range(600))
    changed = hive_of(*range(599), 7)
    made = replay(stamped(wide, 7, 6), {"SYSTEM.LOG": old_log(wide, changed, number=7)})
    assert made.hive is not None
    assert made.hive[2 * PAGE :] == changed[2 * PAGE :]


OLD_USELESS = {
    "of another time": (LogUse.OTHER_TIME, old_log(A, B, number=7, time=TIME - 1)),
    "newer than the hive": (LogUse.OTHER_TIME, old_log(A, B, number=7, time=TIME + 1)),
    "cut off": (LogUse.CUT_OFF, old_log(A, B, number=7, cut=1)),
    "half written": (LogUse.HALF_WRITTEN, stamped(old_log(A, B, number=7), 8, 7, kind=1)),
    "without its signature": (LogUse.NO_LOG, old_log(A, B, number=7).replace(b"DIRT", b"TRID")),
    "without pages": (LogUse.NO_ENTRY, old_log(A, A, number=7)),
    "torn": (LogUse.BROKEN_RESULT, old_log(A, B, number=7)[:1024] + bytes(len(old_log(A, B, number=7)) - 1024)),
}


@pytest.mark.parametrize("what", OLD_USELESS)
def test_useless_old_log_changes_nothing_and_says_what_it_lacks(what):
    use, data = OLD_USELESS[what]
    made = replay(stamped(A, 7, 6), {"SYSTEM.LOG": data})
    assert (made.hive, made.facts, uses(made)) == (None, None, [use])


def test_old_log_without_a_time_belongs_to_nobody():
    timeless = A[:12] + bytes(8) + A[20:]
    made = replay(stamped(timeless, 7, 6), {"SYSTEM.LOG": old_log(timeless, B, number=7)})
    assert uses(made) == [LogUse.OTHER_TIME]


def test_two_old_logs_that_differ_are_a_riddle_and_equal_ones_are_not():
    first, second = old_log(A, B, number=7), old_log(A, C, number=7)
    made = replay(stamped(A, 7, 6), {"SYSTEM.LOG1": first, "SYSTEM.LOG2": second})
    assert (made.hive, uses(made)) == (None, [LogUse.AMBIGUOUS] * 2)
    made = replay(stamped(A, 7, 6), {"SYSTEM.LOG1": first, "SYSTEM.LOG2": first})
    assert uses(made) == [LogUse.APPLIED, LogUse.NOT_NEEDED]


def test_old_log_gives_a_damaged_base_block_back_when_the_first_bin_has_its_time():
    made = replay(bytes(PAGE) + A[PAGE:], {"SYSTEM.LOG": old_log(A, B, number=7)})
    assert made.facts is not None and made.facts.base_block_from == "SYSTEM.LOG"
    assert made.hive is not None and made.hive[2 * PAGE :] == B[2 * PAGE :]
    read_base_block(made.hive)


# What is written afterwards


@pytest.mark.parametrize("made", [PAIR, old_dirty_hive(A, B), dirty_hive([A, B, C, GROWN], number=ROUND // 4, split=2)])
@pytest.mark.parametrize("flushes", [0, 1])
def test_old_logs_never_fit_the_hive_that_is_written_past_their_numbers(made, flushes):
    recovered = replay(made.primary, made.logs)
    number = recovered.highest + 1
    assert recovered.hive is not None
    written = stamped(recovered.hive, number + flushes, number)
    assert replay(written, made.logs).hive is None
    assert replay(stamped(recovered.hive, 9, 8), made.logs).hive is not None or made is not PAIR, "with low numbers they would"


def test_highest_number_counts_entries_that_are_not_applied_and_no_garbage():
    log = new_log(A, [entry(3, A, B), entry(90, A, B), entry(5, A, B, head_hash=1)])
    assert highest_in_bytes(log) == 90
    assert highest_in_bytes(stamped(log, 7, 200, kind=6)) == 200
    assert highest_in_bytes(log[:508] + b"abcd" + log[512:]) == 90
    high = stamped(log, 200, 200, kind=6)
    assert highest_in_bytes(high[:508] + b"abcd" + high[512:]) == 90
    assert highest_in_bytes(new_log(A, [entry(3, A, B, size=4200), entry(90, A, B)])) == 3
    assert highest_in_bytes(b"") == highest_in_bytes(bytes(600)) == highest_in_bytes(A[:511]) == 0


# Against a model, and against noise


@st.composite
def histories(draw):
    """States of a hive flush by flush; where the logs begin, change over, and what is spoiled."""
    states = [[0] * draw(st.integers(1, 4))]
    for flush in range(1, draw(st.integers(1, 6)) + 1):
        state = [*states[-1], *[flush] * draw(st.integers(0, 2))]
        for index in draw(st.sets(st.integers(0, len(state) - 1), min_size=1)):
            state[index] = flush
        states.append(state)
    first = draw(st.sampled_from([2, 1000, ROUND - 3]))
    split = draw(st.integers(0, len(states) - 1))
    spoiled = draw(st.none() | st.integers(0, len(states) - 2))
    return states, first, split, spoiled


@settings(max_examples=60, deadline=None)
@given(histories(), st.binary(max_size=700))
def test_replay_of_any_history_is_its_last_state_before_what_is_spoiled(history, garbage):
    states, first, split, spoiled = history
    hives = [hive_of(*state) for state in states]
    entries = [
        Entry(first + index, differing(old, new), bins_size(new), torn=index == spoiled)
        for index, (old, new) in enumerate(pairwise(hives))
    ]
    entries = [each for each in entries if each.pages]
    parts = [entries[:split], entries[split:]]
    logs = {str(index): new_log(hives[0], part) + garbage for index, part in enumerate(parts) if part}
    made = replay(stamped(hives[0], first, first - 1), logs)
    reached = len(entries) if spoiled is None else spoiled
    if reached == 0:
        assert made.hive is None
    else:
        assert bins(made.hive) == bins(hives[reached])
        assert made.facts is not None
        assert made.facts.complete is (spoiled is None)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_bytes_make_it_fail_and_what_it_gives_is_a_clean_hive(data):
    """Logs and hives with bytes changed, moved and cut; a checksum made right again now and then, to come further in."""
    pieces = [PAIR.primary, *PAIR.logs.values(), old_log(A, B, number=7)]
    primary, *logs = [bytearray(each) for each in data.draw(st.permutations(pieces))]
    for each in (primary, *logs):
        for at, byte in data.draw(st.dictionaries(st.integers(0, 5000), st.integers(0, 255), max_size=4)).items():
            each[min(at, len(each) - 1)] = byte
        del each[data.draw(st.sampled_from([len(each), 0, 511, 512, 552, 4096])) :]
    whole = [bytes(each) for each in (primary, *logs)]
    fixed = [stamped(each, 7, 6 + index, kind=each[28]) if len(each) >= 512 else each for index, each in enumerate(whole)]
    chosen = data.draw(st.sampled_from([whole, fixed]))
    made = replay(chosen[0], dict(zip("abcd", chosen[1:], strict=False)))
    assert (made.hive is None) == (made.facts is None)
    if made.hive is not None:
        assert not read_base_block(made.hive).dirty
