# SPDX-License-Identifier: Apache-2.0
"""A look at whole disks: what is found on them, in which state, at what cost, and that an answer which lies is not believed."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from generators.dirty_hives import dirty_hive
from generators.disks import MIB, WindowsTree, format_ntfs, make_disk, mounted, write_tree
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel
from generators.volumes import open_volume, patch, record_place, restart_page, set_volume_dirty, write_log
from unxen.errors import Refused
from unxen.host.nbd import serve_read_only
from unxen.host.sandbox import Box
from unxen.model.codec import decode, encode
from unxen.model.disk import Disk
from unxen.model.facts import GuestFacts
from unxen.model.ids import Architecture, DiskNumber, Firmware, ImageFormat, InstallationId, Missing
from unxen.model.reason import ReasonKind, reason
from unxen.model.volume_facts import Content, Hibernation, JournalState, Run, Scheme
from unxen.probe.device import file_device
from unxen.probe.images import check_images
from unxen.probe.look import Look, begin_look, load_ahead, look, look_at_partitions
from unxen.probe.look_check import check_answer, check_partitions
from unxen.probe.look_inside import look_inside
from unxen.probe.look_protocol import Code, DiskSize, LookAnswer
from unxen.probe.malformed import VOLUME_ERRORS
from unxen.probe.wanted import Wanted

HIVE = windows_hive("10")
WANTED = Wanted(("atapi", "disk", "storahci", "xenbus"), (), ("PCI\\VEN_5853",))
EMPTY = b"\xff" * 4096


def look_through_boxes(*disks: Disk) -> Look:
    """The whole way: header check, QEMU in its box, parser in its box."""
    with Box.open() as box:
        chains = check_images(disks, box, [])
        servers = [serve_read_only(chain) for chain in chains]
        connections = []
        try:
            for disk, chain, server in zip(disks, chains, servers, strict=True):
                connections.append((disk, chain.virtual_size, server.__enter__().connect()))
            return look(box, connections, WANTED)
        finally:
            for _, _, connection in connections:
                connection.close()
            for server in servers[: len(connections)]:
                server.__exit__(None, None, None)


@contextmanager
def served(disk: Disk, another: int = 0) -> Iterator[tuple[Box, list]]:
    """A box, and one disk's connection with the size of its header, or `another` bytes more."""
    with Box.open() as box:
        (chain,) = check_images([disk], box, [])
        with serve_read_only(chain) as server, server.connect() as connection:
            yield box, [(disk, chain.virtual_size + another, connection)]


def look_at(*paths: Path) -> tuple[GuestFacts, dict[InstallationId, bytes]]:
    """The child's part on plain files."""
    devices = [(DiskNumber(number), file_device(path)) for number, path in enumerate(paths, 1)]
    facts, hives = look_inside(devices, WANTED)
    check_answer(
        [DiskSize(number, device.size) for number, device in devices],
        LookAnswer(facts, tuple(dict(hives))),
        [data for _, data in hives],
    )
    assert decode(GuestFacts, encode(facts)) == facts
    return facts, dict(hives)


def volume_with(path: Path, *trees: WindowsTree, more: Callable[[Path], None] = lambda top: None) -> Path:
    format_ntfs(path, 24 * MIB)
    with mounted(path) as top:
        for tree in trees:
            write_tree(top, tree)
        more(top)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume with one Windows and nothing wrong; copy it before bending it."""
    path = tmp_path_factory.mktemp("plain") / "volume"
    return volume_with(path, WindowsTree(HIVE, kernel=kernel((10, 0, 19041)), files=driver_files(HIVE)))


@pytest.fixture
def volume(plain: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "volume"
    copy.write_bytes(plain.read_bytes())
    return copy


def kinds(facts: GuestFacts) -> list[tuple[ReasonKind, str]]:
    return [(each.kind, each.detail("state")) for each in facts.installations[0].troubles]


@pytest.mark.disk
def test_uefi_disk_through_both_boxes(tmp_path: Path):
    path = make_disk(
        tmp_path / "disk.qcow2", HIVE, scheme="gpt", kernel=kernel((10, 0, 19041)), files=driver_files(HIVE), size=32 * MIB
    )
    seen = look_through_boxes(Disk(DiskNumber(1), str(path), ImageFormat.QCOW2))
    (disk,), (windows,) = seen.facts.disks, seen.facts.installations
    assert (disk.scheme, [each.content for each in disk.partitions]) == (Scheme.GPT, [Content.FAT, Content.OTHER, Content.NTFS])
    assert {each.firmware for each in disk.boot_files} == {Firmware.UEFI}
    assert (windows.id, windows.hive_path, windows.troubles) == ("1:3:\\Windows", "\\Windows\\System32\\config\\SYSTEM", ())
    assert windows.windows is not None
    assert (windows.windows.version, windows.windows.architecture) == ((10, 0, 19041), Architecture.AMD64)
    assert seen.hives == {windows.id: HIVE}
    assert windows.system is not None
    assert any(each.file_seen is True for sets in windows.system.control_sets for each in sets.services)


@pytest.mark.disk
def test_windows_on_one_disk_and_its_boot_files_on_another(tmp_path: Path):
    boot = make_disk(tmp_path / "boot.raw", None, format="raw", size=16 * MIB)
    main = make_disk(tmp_path / "main.vhd", HIVE, format="vhd", logical=True, firmware="uefi", root="WINNT", size=24 * MIB)
    disks = (Disk(DiskNumber(1), str(boot), ImageFormat.RAW), Disk(DiskNumber(2), str(main), ImageFormat.VHD))
    seen = look_through_boxes(*disks)
    assert [each.id for each in seen.facts.installations] == ["2:5:\\WINNT"]
    assert {(each.disk, each.path) for disk in seen.facts.disks for each in disk.boot_files} >= {
        (1, "\\bootmgr"),
        (1, "\\Boot\\BCD"),
    }
    assert seen.hives == {"2:5:\\WINNT": HIVE}


@pytest.mark.disk
def test_look_goes_on_where_the_question_for_partitions_ended(tmp_path: Path):
    path = make_disk(tmp_path / "disk.raw", HIVE, format="raw", size=24 * MIB)
    disk = Disk(DiskNumber(1), str(path), ImageFormat.RAW)
    with served(disk) as (box, connections):
        with pytest.raises(Refused) as refusal:
            begin_look(box, connections, WANTED, opened=True)()
        assert refusal.value.first.detail("cause") == "other disks than opened before"
        load_ahead(box, Code.DISKS)
        (first,) = look_at_partitions(box, connections)
        load_ahead(box, Code.WINDOWS)
        seen = begin_look(box, connections, WANTED, opened=True)()
    (whole,) = seen.facts.disks
    assert (first.scheme, first.partitions, first.volumes) == (whole.scheme, whole.partitions, ())
    assert list(seen.hives.values()) == [HIVE]


@pytest.mark.disk
def test_disk_of_another_size_than_its_header_says_is_refused(tmp_path: Path):
    path = make_disk(tmp_path / "disk.raw", None, format="raw", size=16 * MIB)
    disk = Disk(DiskNumber(1), str(path), ImageFormat.RAW)
    with served(disk, another=512) as (box, connections), pytest.raises(Refused) as refusal:
        look(box, connections, WANTED)
    assert refusal.value.first.kind == ReasonKind.PROBE_FAILED


def test_every_windows_is_reported_and_what_setup_keeps_is_none(tmp_path: Path):
    roots = ("Windows", "winnt", "WIN2K3", "Windows.old", "$WINDOWS.~BT", "Windows.old.000")
    trees = [WindowsTree(HIVE, root=root) for root in roots]
    nested = WindowsTree(HIVE, root="Backup/Windows")
    facts, hives = look_at(volume_with(tmp_path / "volume", *trees, nested))
    assert [each.id for each in facts.installations] == ["1:0:\\WIN2K3", "1:0:\\Windows", "1:0:\\winnt"]
    assert hives.keys() == {each.id for each in facts.installations}


def test_names_are_found_in_any_case_and_reported_as_spelled(tmp_path: Path):
    def rename(top: Path) -> None:
        (top / "wInDoWs" / "System32").rename(top / "wInDoWs" / "SYSTEM32")
        (top / "wInDoWs" / "SYSTEM32" / "config" / "SYSTEM").rename(top / "wInDoWs" / "SYSTEM32" / "config" / "system")

    facts, _ = look_at(volume_with(tmp_path / "volume", WindowsTree(HIVE, root="wInDoWs"), more=rename))
    assert [(each.id, each.hive_path) for each in facts.installations] == [("1:0:\\wInDoWs", "\\wInDoWs\\SYSTEM32\\config\\system")]


def test_hive_without_a_kernel_beside_it_is_no_windows(tmp_path: Path):
    def remove(top: Path) -> None:
        (top / "Windows" / "System32" / "ntoskrnl.exe").unlink()

    assert look_at(volume_with(tmp_path / "volume", WindowsTree(HIVE), more=remove))[0].installations == ()


HIBERNATION_FILES = {
    "none": (None, Hibernation.ABSENT),
    "empty": (b"", Hibernation.UNUSED),
    "zeros": (bytes(8192), Hibernation.UNUSED),
    "NT 5": (b"hibr" + bytes(8188), Hibernation.HIBERNATED),
    "Vista": (b"HIBR" + bytes(8188), Hibernation.HIBERNATED),
    "awake": (b"wake" + bytes(8188), Hibernation.RESUMED),
    "AWAKE": (b"WAKE" + bytes(8188), Hibernation.RESUMED),
    "resume cut off": (b"RSTR" + bytes(8188), Hibernation.INTERRUPTED),
    "something": (b"what" + bytes(8188), Hibernation.INTERRUPTED),
    "zeros, then something": (bytes(4000) + b"x" + bytes(200), Hibernation.INTERRUPTED),
    "short": (bytes(100), Hibernation.INTERRUPTED),
}


@pytest.mark.parametrize(("content", "state"), HIBERNATION_FILES.values(), ids=HIBERNATION_FILES)
def test_hibernation_file(volume: Path, content: bytes | None, state: Hibernation):
    if content is not None:
        with mounted(volume) as top:
            (top / "hiberfil.sys").write_bytes(content)
    facts, _ = look_at(volume)
    assert facts.disks[0].volumes[0].hibernation == state
    asleep = state in (Hibernation.HIBERNATED, Hibernation.INTERRUPTED)
    assert kinds(facts) == ([(ReasonKind.HIBERNATED, state.value)] if asleep else [])


def test_windows_beside_a_hibernated_volume_is_not_editable(plain: Path, tmp_path: Path):
    sleeping = volume_with(tmp_path / "asleep", more=lambda top: (top / "hiberfil.sys").write_bytes(b"HIBR" + bytes(8188)) and None)
    facts, _ = look_at(plain, sleeping)
    assert facts.installations[0].troubles == (reason(ReasonKind.HIBERNATED, "1:0:\\Windows", volume="2:0", state="hibernated"),)


def test_dirty_volume(volume: Path):
    set_volume_dirty(volume)
    facts, _ = look_at(volume)
    assert facts.disks[0].volumes[0].dirty is True
    assert kinds(facts) == [(ReasonKind.VOLUME_DIRTY, "dirty")]


def test_volume_whose_own_record_is_lost_is_not_taken_for_clean(volume: Path):
    patch(volume, record_place(volume, 3), b"BAAD")
    facts, _ = look_at(volume)
    if facts.installations:
        assert facts.disks[0].volumes[0].dirty is Missing.UNREADABLE
        assert (ReasonKind.VOLUME_DIRTY, "unreadable") in kinds(facts)
    else:
        assert facts.disks[0].partitions[0].content == Content.UNREADABLE


@pytest.mark.parametrize(
    ("pages", "state"),
    [
        ([restart_page(clean=True)] * 2, JournalState.CLEAN),
        ([restart_page(clean=False)] * 2, JournalState.UNCLEAN),
        ([restart_page(clean=True, version=(2, 0))] * 2, JournalState.VERSION_2),
        ([bytes(4096)] * 32, JournalState.UNREADABLE),
    ],
)
def test_journal(volume: Path, pages: list[bytes], state: JournalState):
    write_log(volume, pages)
    facts, _ = look_at(volume)
    assert facts.disks[0].volumes[0].journal == state
    harmless = state == JournalState.CLEAN
    assert kinds(facts) == ([] if harmless else [(ReasonKind.JOURNAL_UNCLEAN, state.value)])


def test_dirty_hive_is_reported_with_its_facts(tmp_path: Path):
    dirty = bytearray(HIVE)
    dirty[4] += 1
    for at in range(4):
        dirty[508 + at] ^= HIVE[4 + at] ^ dirty[4 + at]
    facts, hives = look_at(volume_with(tmp_path / "volume", WindowsTree(bytes(dirty))))
    (windows,) = facts.installations
    assert [each.kind for each in windows.troubles] == [ReasonKind.HIVE_DIRTY]
    assert windows.system is not None
    assert list(hives.values()) == [bytes(dirty)]


def test_volume_that_cannot_be_read_is_a_fact(volume: Path):
    patch(volume, record_place(volume, 0), b"BAAD")
    facts, _ = look_at(volume)
    assert (facts.disks[0].partitions[0].content, facts.disks[0].volumes) == (Content.UNREADABLE, ())


def test_disk_without_ntfs_costs_one_read_and_no_library(tmp_path: Path):
    path = tmp_path / "disk"
    path.write_bytes(bytes(64 * MIB))
    device = file_device(path)
    loaded = set(sys.modules)
    facts, _ = look_inside([(DiskNumber(1), device)], WANTED)
    assert facts.disks[0].scheme == Scheme.EMPTY
    assert device.bytes_read == 512
    assert not {"pyfsntfs", "pytsk3", "hivex"} & (set(sys.modules) - loaded)


def test_probe_reads_little_besides_the_hive(tmp_path: Path):
    def crowd(top: Path) -> None:
        for index in range(1500):
            (top / "Windows" / "System32" / f"some_library_or_other_{index:05}.dll").write_bytes(b"MZ")
        (top / "spool").mkdir()
        for index in range(1500):
            (top / "spool" / f"{index:05}").touch()

    path = volume_with(tmp_path / "volume", WindowsTree(HIVE, files=driver_files(HIVE)), more=crowd)
    device = file_device(path)
    facts, _ = look_inside([(DiskNumber(1), device)], WANTED)
    assert len(facts.installations) == 1
    assert device.bytes_read < len(HIVE) + 4 * MIB


def test_damaged_volumes_give_facts_or_refusals_and_nothing_else(plain: Path, tmp_path: Path):
    """Bytes of boot sector, $MFT and indexes changed at random places: never a crash, never a hive that fails its check."""
    good = plain.read_bytes()
    opened = open_volume(plain)
    start = opened.mft.place(0)
    copy = tmp_path / "volume"
    for seed in range(60):
        data = bytearray(good)
        for index in range(1 + seed % 8):
            at = (seed * 7919 + index * 104729) % (80 * 1024)
            data[start + at if seed % 4 else at % 512] = (seed * 31 + index) % 256
        copy.write_bytes(data)
        facts, hives = look_at(copy)
        assert len(facts.disks) == 1
        assert all(data == HIVE or facts.installations[0].troubles for data in hives.values())


def lies(facts: GuestFacts) -> dict[str, GuestFacts]:
    """Answers that a box which was taken over might give, by what is wrong with them."""
    (disk,), (windows,) = facts.disks, facts.installations
    assert windows.record is not None
    assert windows.hive is not None
    (part,), (volume,) = disk.partitions, disk.volumes

    def installed(**changes: object) -> GuestFacts:
        return replace(facts, installations=(replace(windows, **changes),))

    def recorded(**changes: object) -> GuestFacts:
        return installed(record=replace(windows.record, **changes))

    def on_disk(**changes: object) -> GuestFacts:
        return replace(facts, disks=(replace(disk, **changes),))

    return {
        "no disk": replace(facts, disks=()),
        "another size": on_disk(size=disk.size + 1),
        "partition twice": on_disk(partitions=(part, part)),
        "partition before the disk": on_disk(partitions=(replace(part, start=-1),)),
        "partition of another disk": on_disk(partitions=(replace(part, disk=2),)),
        "volume elsewhere": on_disk(volumes=(replace(volume, start=512),)),
        "cluster of 3 bytes": on_disk(volumes=(replace(volume, cluster_size=3),)),
        "no volume": on_disk(volumes=()),
        "installation twice": replace(facts, installations=(windows, windows)),
        "id of another": installed(id=InstallationId("1:0:\\Other")),
        "root that climbs": installed(id=InstallationId("1:0:\\..\\x"), root="\\..\\x"),
        "hive elsewhere": installed(hive_path="\\Windows\\System32\\config\\SAM"),
        "runs past the volume": recorded(runs=(Run(1 << 40, 14),)),
        "runs before the volume": recorded(runs=(Run(-1, 14),)),
        "runs too short": recorded(runs=windows.record.runs[:-1]),
        "initialised past the end": recorded(initialised=windows.record.size + 1),
        "record past the disk": recorded(record_offset=disk.size),
        "another size of the hive": recorded(size=windows.record.size - 512),
        "no record": installed(record=None),
        "hive said to be newer": installed(hive=replace(windows.hive, primary=9, secondary=9)),
        "hive said to be right": installed(hive=replace(windows.hive, checksum_right=False)),
        "hive withheld": installed(hive=None, system=None),
    }


def test_answer_that_lies_is_refused(plain: Path):
    facts, hives = look_at(plain)
    asked, blobs = [DiskSize(DiskNumber(1), facts.disks[0].size)], list(hives.values())
    for what, lie in lies(facts).items():
        with pytest.raises(Refused) as refusal:
            check_answer(asked, LookAnswer(lie, tuple(hives)), blobs)
        assert refusal.value.first.kind == ReasonKind.PROBE_FAILED, what
    dirty = blobs[0][:4] + b"\x09" + blobs[0][5:]
    names = tuple(hives)
    for named, given in (((), ()), ((), blobs), (names, ()), (names, [b"x"]), (names, [dirty]), (("9",), blobs)):
        with pytest.raises(Refused):
            check_answer(asked, LookAnswer(facts, named), given)


def test_first_answer_that_lies_is_refused(plain: Path):
    facts, _ = look_at(plain)
    disk, asked = facts.disks[0], [DiskSize(DiskNumber(1), facts.disks[0].size)]
    bare = replace(disk, volumes=(), boot_files=())
    check_partitions(asked, (bare,))
    lies = {
        "more than partitions": disk,
        "another size": replace(bare, size=disk.size + 512),
        "a partition twice": replace(bare, partitions=bare.partitions * 2),
    }
    for what, lie in lies.items():
        with pytest.raises(Refused) as refusal:
            check_partitions(asked, (lie,))
        assert refusal.value.first.kind == ReasonKind.PROBE_FAILED, what


def test_replay_that_did_not_happen_is_not_believed(tmp_path: Path):
    newer = bytearray(HIVE)
    newer[-100:-96] = b"newer"[:4]
    made = dirty_hive([HIVE, bytes(newer)])
    facts, hives = look_at(volume_with(tmp_path / "volume", WindowsTree(made.primary, logs=made.logs)))
    (windows,) = facts.installations
    assert windows.hive is not None and windows.hive.replay is not None
    assert bytes(newer[4096:]) == hives[windows.id][4096:]
    asked = [DiskSize(DiskNumber(1), facts.disks[0].size)]
    hive, replayed = windows.hive, windows.hive.replay
    lies = {
        "no entry": replace(hive, replay=replace(replayed, applied=0)),
        "more than there were": replace(hive, replay=replace(replayed, applied=9)),
        "of a clean hive": replace(hive, primary=hive.secondary),
        "of another length": replace(hive, size=hive.size + 4096),
        "past no number": replace(hive, highest=1),
        "past every number": replace(hive, highest=1 << 32),
        "not at all": replace(hive, replay=None),
        "from four logs": replace(hive, logs=hive.logs * 2),
    }
    for what, lie in lies.items():
        told = replace(facts, installations=(replace(windows, hive=lie),))
        with pytest.raises(Refused):
            check_answer(asked, LookAnswer(told, tuple(hives)), list(hives.values()))
            pytest.fail(what)
    with pytest.raises(Refused):
        check_answer(asked, LookAnswer(facts, tuple(hives)), [made.primary])


def test_dirty_hive_that_is_passed_off_as_clean_is_refused(tmp_path: Path):
    dirty = bytearray(HIVE)
    dirty[4] ^= 0x10
    dirty[508] ^= 0x10
    facts, hives = look_at(volume_with(tmp_path / "volume", WindowsTree(bytes(dirty))))
    assert [each.kind for each in facts.installations[0].troubles] == [ReasonKind.HIVE_DIRTY]
    lie = replace(facts, installations=(replace(facts.installations[0], troubles=()),))
    with pytest.raises(Refused):
        check_answer([DiskSize(DiskNumber(1), facts.disks[0].size)], LookAnswer(lie, tuple(hives)), list(hives.values()))


def test_library_errors_are_all_caught_as_one_family():
    assert all(issubclass(each, Exception) for each in VOLUME_ERRORS)
    assert MemoryError not in VOLUME_ERRORS
