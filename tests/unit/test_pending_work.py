# SPDX-License-Identifier: Apache-2.0
"""What an open journal still has to do: read whole or not believed, on a journal of a real Windows and on made ones."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from generators.disks import MIB, WindowsTree, format_ntfs, mounted, write_tree
from generators.hives import windows_hive
from generators.journals import FIRST, PAGE, SIZE, Action, journal
from generators.volumes import open_volume, write_log
from unxen.model.volume_facts import PendingWork
from unxen.probe import journal_pages
from unxen.probe.journal_pages import records
from unxen.probe.malformed import Malformed
from unxen.probe.mft_record import Type
from unxen.probe.ntfs import NtfsVolume
from unxen.probe.pending_work import pending_work

QUIET = Action(0x1B, 0x01)
ELSEWHERE = Action(0x07, 0x07, (9,), bytes(300))
HIVE, CONFIG = r"\Windows\System32\config\SYSTEM", r"\Windows\System32\config"


def numbers(log: bytes) -> list[int]:
    return [each.number for each in records(log)]


@pytest.mark.parametrize("count", [1, 2, 7, 60])
@pytest.mark.parametrize("buffered", [False, True])
def test_every_record_is_read_wherever_its_page_lies(count: int, buffered: bool) -> None:
    found = list(records(journal([ELSEWHERE] * count, buffered=buffered)))
    assert [each.data for each in found] == [ELSEWHERE.packed()] * count


def test_records_that_go_over_pages_and_round_the_end_are_read() -> None:
    long = Action(0x08, 0x08, (9,), bytes(range(256)) * 40)
    actions = [QUIET, long, ELSEWHERE, long, QUIET]
    found = list(records(journal(actions, page=SIZE // PAGE - 2)))
    assert [each.data for each in found] == [each.packed() for each in actions]
    assert [each.number for each in found] == sorted(each.number for each in found)


def test_journal_whose_newest_page_is_lost_is_not_believed() -> None:
    with pytest.raises(Malformed, match=r"but there is|no page|torn"):
        numbers(journal([ELSEWHERE] * 60, cut=1))


def test_journal_with_a_torn_page_is_not_believed() -> None:
    log = bytearray(journal([ELSEWHERE] * 60))
    log[(FIRST + 1) * PAGE + 510] ^= 0xFF
    with pytest.raises(Malformed, match=r"but there is|no page|torn"):
        numbers(bytes(log))


@pytest.mark.parametrize("at", [16, 20, 28, 48 + 12, 48 + 16, 48 + 22, 48 + 24, 48 + 36, 48 + 38, 48 + 64, 48 + 96])
def test_restart_pages_that_lie_are_not_believed(at: int) -> None:
    log = bytearray(journal([ELSEWHERE] * 20))
    for page in (0, PAGE):
        log[page + at] ^= 0xA5
    with pytest.raises((Malformed, struct.error)):
        numbers(bytes(log))


@pytest.mark.parametrize("size", [0, 511, PAGE, 34 * PAGE, 40 * PAGE])
def test_journal_that_is_cut_short_is_not_believed(size: int) -> None:
    with pytest.raises((Malformed, struct.error)):
        numbers(journal([ELSEWHERE] * 60)[:size])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("volume") / "volume"
    format_ntfs(path, 32 * MIB)
    with mounted(path) as top:
        write_tree(top, WindowsTree(windows_hive("10")))
        for index in range(200):
            (top / "Windows" / "System32" / "config" / f"a name that is long enough {index:04}").write_bytes(b"")
    return path


class Opened:
    """A volume with a journal, and where things lie on it."""

    def __init__(self, volume: Path) -> None:
        self.path = volume
        self.volume: NtfsVolume = open_volume(volume)
        self.hive, self.config = (self._number(path) for path in (HIVE, CONFIG))

    def _number(self, path: str) -> int:
        entry = self.volume.find(path)
        assert entry is not None
        return entry.number

    def clusters(self, number: int, kind: Type = Type.DATA, name: str = "") -> list[int]:
        extents = self.volume.mft.stream(self.volume.mft.file(number), kind, name).extents
        return [each.cluster + index for each in extents for index in range(each.count)]

    def record(self, number: int) -> int:
        return self.volume.mft.place(number) // self.volume.boot.cluster_size

    def work(self, actions: Sequence[Action]) -> PendingWork:
        write_log(self.path, [journal(actions)])
        return pending_work(open_volume(self.path), [self.hive], self.config)


@pytest.fixture
def opened(plain: Path, tmp_path: Path) -> Opened:
    copy = tmp_path / "volume"
    copy.write_bytes(plain.read_bytes())
    return Opened(copy)


def bits(first: int, count: int) -> bytes:
    return struct.pack("<II", first, count)


def test_work_elsewhere_is_no_work_here(opened: Opened) -> None:
    free = 32 * MIB // 4096 - 10
    (bitmap, *_) = opened.clusters(6)
    actions = [
        QUIET,
        Action(0x1D, 0x00, data=bytes(900)),
        Action(0x02, 0x00, (opened.record(opened.hive) + 50,), bytes(500)),
        Action(0x0E, 0x0F, (free,), bytes(80)),
        Action(0x15, 0x16, (bitmap,), bits(free, 3)),
        Action(0x0A, 0x00, data=struct.pack("<QQ", free, 2)),
        Action(0x00, type=2),
    ]
    assert opened.work(actions) is PendingWork.ELSEWHERE


def test_work_on_anything_that_the_hive_stands_on_is_seen(opened: Opened) -> None:
    data, index = opened.clusters(opened.hive), opened.clusters(opened.config, Type.INDEX_ALLOCATION, "$I30")
    (bitmap, *_), (records_bitmap, *_) = opened.clusters(6), opened.clusters(0, Type.BITMAP)
    here = {
        "a cluster of the hive": Action(0x08, 0x08, (5, data[-1]), bytes(8)),
        "its record": Action(0x0B, 0x0B, (opened.record(opened.hive),), bytes(24)),
        "its directory's record": Action(0x07, 0x07, (opened.record(opened.config),), bytes(24)),
        "its directory's index": Action(0x0E, 0x0F, (index[0],), bytes(80)),
        "the $MFT's own record": Action(0x09, 0x09, (opened.record(0),), bytes(8)),
        "a cluster set free": Action(0x16, 0x15, (bitmap,), bits(data[0] - 1, 2)),
        "its record set free": Action(0x16, 0x15, (records_bitmap,), bits(opened.hive, 1)),
        "clusters thrown away": Action(0x0A, 0x00, data=struct.pack("<QQ", data[3], 1)),
    }
    for what, action in here.items():
        assert opened.work([QUIET, action, QUIET]) is PendingWork.HERE, what


def test_work_that_is_not_understood_is_unknown_even_behind_work_here(opened: Opened) -> None:
    here = Action(0x08, 0x08, (opened.clusters(opened.hive)[0],), bytes(8))
    odd = {
        "an operation nobody knows": Action(0x30),
        "a hot fix": Action(0x17, 0x00, (9,)),
        "a page without clusters": Action(0x07, 0x07),
        "a type nobody knows": Action(0x07, 0x07, (9,), type=3),
        "bits without a number": Action(0x15, 0x16, (9,), b"\x01"),
    }
    for what, action in odd.items():
        assert opened.work([here, action]) is PendingWork.UNKNOWN, what


@pytest.mark.corpus
def test_open_journal_of_a_real_windows_is_read_to_its_end(corpus) -> None:
    volume = open_volume(corpus.path("ntfs-compressed/test.ntfs.dd"))
    log = volume.mft.read(volume.mft.stream(volume.mft.file(2), Type.DATA), 0, 2 << 20)
    assert [(each.type, len(each.data)) for each in records(log)] == [(1, 40), (1, 1024), (1, 128), (2, 112)]
    files = [number for number in range(24, 80) if _is_file(volume, number)]
    assert len(files) > 5
    assert {pending_work(volume, [number], 5) for number in files} == {PendingWork.ELSEWHERE}


# The number of a record in that journal from which on all others are whole.
EARLIER = 2639347


@pytest.mark.corpus
def test_history_of_a_real_windows_names_the_pages_that_it_changed(corpus, monkeypatch) -> None:
    """Every earlier record is read too, as if it were still to be done: its page is what it should be on the volume."""
    volume = open_volume(corpus.path("ntfs-compressed/test.ntfs.dd"))
    log = volume.mft.read(volume.mft.stream(volume.mft.file(2), Type.DATA), 0, 2 << 20)
    restart = journal_pages._restart(log)
    monkeypatch.setattr(journal_pages, "_restart", lambda _: replace(restart, oldest=EARLIER))
    found = list(records(log))
    assert len(found) == 437
    changed = {number for each in found if each.type == 1 for number in _clusters(each.data)}
    magics = {volume.source.read(cluster * 1024, 4) for each in found for cluster in _first(each.data, each.type)}
    assert {b"FILE", b"INDX"} == magics
    for number in [each for each in range(24, 80) if _is_file(volume, each)]:
        place = volume.mft.place(number) // 1024
        root = volume.mft.place(5) // 1024
        expected = PendingWork.HERE if {place, root} & changed else PendingWork.ELSEWHERE
        assert pending_work(volume, [number], 5) is expected


def _clusters(data: bytes) -> tuple[int, ...]:
    (count,) = struct.unpack_from("<H", data, 14)
    return struct.unpack_from(f"<{count}Q", data, 32)


def _first(data: bytes, kind: int) -> tuple[int, ...]:
    """The first cluster of a record that works on a file record or an index block."""
    on_blocks = kind == 1 and data[0] in (0x02, 0x03, 0x05, 0x06, 0x07, 0x0B, 0x0C, 0x0E, 0x0F, 0x13, 0x14)
    return _clusters(data)[:1] if on_blocks else ()


def _is_file(volume: NtfsVolume, number: int) -> bool:
    try:
        return bool(volume.mft.file(number).named(Type.DATA)) and not volume.mft.file(number).listed
    except Malformed:
        return False


def test_journal_with_bytes_changed_at_random_is_read_or_not_believed() -> None:
    """Never anything else, and never without end."""
    good = journal([ELSEWHERE, Action(0x08, 0x08, (9,), bytes(9000)), QUIET] * 20, buffered=True)
    random = Random(7)
    places = [*range(200), *range(PAGE, PAGE + 200), *range(2 * PAGE, 2 * PAGE + 300), *range(FIRST * PAGE, (FIRST + 20) * PAGE)]
    for _ in range(300):
        log = bytearray(good)
        for at in random.sample(places, random.randint(1, 6)):
            log[at] = random.choice((0, 0xFF, log[at] ^ 1 << random.randint(0, 7)))
        try:
            found = numbers(bytes(log))
        except (Malformed, struct.error):
            continue
        assert found == sorted(set(found))
