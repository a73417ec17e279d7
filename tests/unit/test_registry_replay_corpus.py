# SPDX-License-Identifier: Apache-2.0
"""Real dirty hives become what Windows itself, or the tool that knows its rules best, made of them; useless logs make nothing."""

import pytest
from generators.dirty_hives import stamped
from unxen.model.hive_facts import LogEnd, LogUse
from unxen.probe.hive_recovery import dirty_troubles
from unxen.registry.audit import audit
from unxen.registry.base_block import BLOCK_SIZE, read_base_block
from unxen.registry.flaws import forbidding
from unxen.registry.log_numbers import highest_in_bytes
from unxen.registry.replay import Recovery, replay

pytestmark = pytest.mark.corpus

WIN10, USERS, BAD = "win10-1709-x64-dell-dirty-logs", "win10-x64-userhives-dirty-logs", "yarp-badlogs"
# Set and hive, the recovered reference, entries in the logs, number of the last one; and the bytes behind the base block that the
# reference has otherwise, because Windows wrote to the hive again after it had recovered it: the time in the first bin, and the
# length of the longest value name of one key.
RECOVERED = [
    (f"{WIN10}/SYSTEM", f"{WIN10}/SYSTEM.recovered", 24, 2130, set()),
    (f"{USERS}/DEFAULT", f"{USERS}/DEFAULT.recovered", 5, 110, set()),
    (f"{USERS}/NETWORKSERVICE-NTUSER.DAT", f"{USERS}/NETWORKSERVICE-NTUSER.DAT.recovered", 8, 436, set()),
    (f"{USERS}/UsrClass.dat", f"{USERS}/UsrClass.dat.recovered", 6, 151, set()),
    ("yarp-newdirty1/NewDirtyHive", "yarp-newdirty1/RecoveredHive_Windows10", 4, 5, set()),
    ("yarp-newdirty2/NewDirtyHive", "yarp-newdirty1/RecoveredHive_Windows10", 3, 5, set()),
    ("yarp-olddirty/OldDirtyHive", "yarp-olddirty/RecoveredHive_Windows7", 1, 6, {*range(0x1014, 0x1019), 0x6BDC8}),
]


def logs_of(corpus, name: str) -> dict[str, bytes]:
    return {name.rpartition("/")[2] + end: corpus.read(name + end) for end in (".LOG1", ".LOG2") if name + end in corpus.rows}


def replayed(corpus, name: str) -> Recovery:
    return replay(corpus.read(name), logs_of(corpus, name))


@pytest.mark.parametrize(("name", "reference", "entries", "last", "touched"), RECOVERED, ids=lambda value: str(value)[:40])
def test_replay_gives_the_recovered_reference(corpus, name, reference, entries, last, touched) -> None:
    made, wanted = replayed(corpus, name), corpus.read(reference)
    assert made.hive is not None and made.facts is not None
    assert (made.facts.applied, made.facts.found, made.facts.last) == (entries, entries, last)
    assert len(made.hive) == len(wanted)
    differing = {at for at in range(BLOCK_SIZE, len(wanted)) if made.hive[at] != wanted[at]} if made.hive != wanted else set()
    assert differing <= touched
    assert not read_base_block(made.hive).dirty


@pytest.mark.parametrize(("name", "reference"), [row[:2] for row in RECOVERED if row[1].endswith(".recovered")])
def test_even_the_base_block_is_that_of_the_other_tool(corpus, name, reference) -> None:
    assert replayed(corpus, name).hive == corpus.read(reference)


def test_stale_entries_behind_the_newest_are_left_alone(corpus) -> None:
    """429 and 430 are followed by 423 to 425 of an earlier round; the second log goes on with 431."""
    made = replayed(corpus, f"{USERS}/NETWORKSERVICE-NTUSER.DAT")
    assert [(each.use, each.applied) for each in made.logs] == [(LogUse.APPLIED, 2), (LogUse.APPLIED, 6)]


def test_log_that_the_hive_has_outgrown_is_skipped(corpus) -> None:
    made = replayed(corpus, "yarp-newdirty2/NewDirtyHive")
    assert [each.use for each in made.logs] == [LogUse.STALE, LogUse.APPLIED]


def test_hive_with_one_log_only_is_recovered_as_far_as_that_goes(corpus) -> None:
    made = replayed(corpus, f"{USERS}/SECURITY")
    assert made.facts is not None and made.facts.applied == 1
    assert made.hive is not None and not forbidding(audit(made.hive))


@pytest.mark.parametrize(
    ("name", "use"),
    [
        (f"{BAD}/BadLogHive1/BadLogHive", LogUse.WRONG_CHECKSUM),
        (f"{BAD}/BadLogHive2/BadLogHive", LogUse.NO_LOG),
        (f"{BAD}/BadLogHive3/BadLogHive", LogUse.WRONG_CHECKSUM),
        # Its base block is damaged, and its log is younger than the time in its first bin: whether the log belongs to this state
        # of the hive is not known, so it is not applied.
        (f"{BAD}/BadBaseBlockHive/BadBaseBlockHive", LogUse.OTHER_TIME),
    ],
)
def test_useless_logs_make_nothing(corpus, name, use) -> None:
    made = replayed(corpus, name)
    assert (made.hive, made.facts, made.logs[0].use) == (None, None, use)


def test_logs_without_their_hive_belong_to_no_other(corpus) -> None:
    logs = {name: corpus.read(f"win2019-x64-awspv-logs-only/{name}") for name in ("system.log1", "system.log2")}
    assert [highest_in_bytes(each) for each in logs.values()] == [4066, 4073]
    made = replay(corpus.read(f"{WIN10}/SYSTEM"), logs)
    assert made.hive is None
    made = replay(bytes(8192), logs)
    assert made.hive is None, "nor do they make one out of nothing"


def test_age_of_a_hive_without_logs_is_told(corpus) -> None:
    data = corpus.read("win81-x64-virtualbox-dirty-nologs/SYSTEM")
    (trouble,) = dirty_troubles(read_base_block(data).facts(), data, "here")
    assert (trouble.detail("newest"), trouble.detail("logs")) == ("2015-12-12 03:30 UTC", "none")


@pytest.mark.parametrize(("spoiled", "applied"), [(512 + 15872 + 600, 1), (512, 0)])
def test_one_flipped_byte_ends_the_replay_there(corpus, spoiled, applied) -> None:
    logs = logs_of(corpus, f"{WIN10}/SYSTEM")
    log = bytearray(logs["SYSTEM.LOG1"])
    log[spoiled] ^= 1
    made = replay(corpus.read(f"{WIN10}/SYSTEM"), {**logs, "SYSTEM.LOG1": bytes(log)})
    if applied:
        assert made.facts is not None
        assert (made.facts.applied, made.facts.last, made.facts.ended) == (1, 2107, LogEnd.DAMAGED_DATA)
        assert made.logs[1].use is LogUse.NOT_FOLLOWING
    else:
        assert made.hive is None


@pytest.mark.parametrize("name", [row[0] for row in RECOVERED])
def test_old_logs_do_not_come_back_after_a_write_past_their_numbers(corpus, name) -> None:
    made, logs = replayed(corpus, name), logs_of(corpus, name)
    assert made.hive is not None
    for flush in (0, 1):
        assert replay(stamped(made.hive, made.highest + 1 + flush, made.highest + 1), logs).hive is None


def test_numbers_as_hivex_leaves_them_bring_old_logs_back(corpus) -> None:
    """1624 and 1623: one more than the hive's own, and one flush later."""
    made, logs = replayed(corpus, f"{WIN10}/SYSTEM"), logs_of(corpus, f"{WIN10}/SYSTEM")
    assert made.hive is not None
    assert replay(stamped(made.hive, 1624, 1623), logs).hive is not None
