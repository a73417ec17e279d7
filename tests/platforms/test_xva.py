# SPDX-License-Identifier: Apache-2.0
"""Exports of XenServer and XCP-ng: every byte lands where the exporter meant it, and whatever is damaged is refused."""

import hashlib
import random
import subprocess
import sys
import tarfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from generators.xva import BLOCK, ExportedDisk, ExportedMachine, block_members, disk_members, make_xva, member, ova_xml, wrapped
from unxen.errors import Refused
from unxen.host.disk_sink import RawSink
from unxen.model.ids import Firmware
from unxen.model.machine import BootDevice, Clock, Media
from unxen.model.progress import Advanced
from unxen.model.reason import ReasonKind
from unxen.platforms.xen.xva import open_xva

READERS = Path(__file__).resolve().parent.parent / "readers"
MIB = 1 << 20


def content(*parts: int | bytes, seed: int = 1) -> bytes:
    """Numbers are MiB of noise when positive, of zeros when negative; bytes stand for themselves."""
    noise = random.Random(seed)
    return b"".join(
        part if isinstance(part, bytes) else noise.randbytes(part * MIB) if part > 0 else bytes(-part * MIB) for part in parts
    )


class Memory:
    """A sink that remembers, and that knows which bytes nobody spoke of."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(b"?" * size)
        self.closed = False

    def write(self, offset: int, data: bytes) -> None:
        self.data[offset : offset + len(data)] = data

    def zero(self, offset: int, length: int) -> None:
        self.data[offset : offset + length] = bytes(length)

    def close(self) -> None:
        self.closed = True


def extract(path: Path) -> dict[str, bytes]:
    """Every disk by its slot."""
    sinks: dict[str, Memory] = {}
    with open_xva(str(path)) as export:
        export.stream(lambda disk: sinks.setdefault(disk.slot, Memory(disk.size)))
    assert all(each.closed for each in sinks.values())
    return {slot: bytes(each.data) for slot, each in sinks.items()}


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "export.xva"
    path.write_bytes(data)
    return path


def refusal(path: Path) -> Refused:
    with pytest.raises(Refused) as caught:
        extract(path)
    return caught.value


HOLES = content(1, -2, 1, -1, b"end" * 1000)


@pytest.mark.parametrize("checksum", ["checksum", "xxhash"])
@pytest.mark.parametrize("wrap", ["", "gzip", "zstd"])
def test_every_kind_of_export_gives_back_its_disk(tmp_path, checksum, wrap):
    path = written(tmp_path, make_xva(ExportedMachine(), [ExportedDisk(HOLES)], checksum=checksum, wrap=wrap))
    assert extract(path) == {"0": HOLES}


@pytest.mark.parametrize(
    "disk",
    [
        ExportedDisk(HOLES, keep_alive_before=(1, 3, 3, 5)),
        ExportedDisk(HOLES, keep_alive_before=(0, 0, 4)),
        ExportedDisk(HOLES, send_zeros=True),
        ExportedDisk(content(-5)),
        ExportedDisk(content(b"x" * 512)),
        ExportedDisk(content(b"y" * 700, -3)[: 2 * MIB]),
    ],
    ids=["keep-alives", "keep-alives-at-once", "zeros-sent", "all-zeros", "one-sector", "whole-blocks"],
)
def test_blocks_land_by_length_not_by_number(tmp_path, disk):
    if 0 in disk.keep_alive_before:
        # The first block is the measure of a gap, so the exporter sends none before it that is empty.
        disk = replace(disk, keep_alive_before=[each or 1 for each in disk.keep_alive_before])
    path = written(tmp_path, make_xva(ExportedMachine(), [disk]))
    assert extract(path) == {"0": disk.content}


def test_disks_come_by_name_and_go_to_their_slots(tmp_path):
    """`Ref:10` comes before `Ref:9`, and `Ref:1` is no beginning of `Ref:12`."""
    disks = [
        ExportedDisk(content(2, seed=9), "Ref:9", "Ref:20", "0"),
        ExportedDisk(content(1, seed=12), "Ref:12", "Ref:21", "1"),
        ExportedDisk(content(1, b"t" * 512, seed=1), "Ref:1", "Ref:22", "2"),
    ]
    path = written(tmp_path, make_xva(ExportedMachine(), disks))
    assert extract(path) == {each.slot: each.content for each in disks}


def test_progress_grows_to_the_whole(tmp_path):
    path = written(tmp_path, make_xva(ExportedMachine(), [ExportedDisk(HOLES)]))
    heard: list[Advanced] = []
    with open_xva(str(path)) as export:
        export.stream(lambda disk: Memory(disk.size), heard.append)
    assert [each.done for each in heard] == sorted(each.done for each in heard)
    assert (heard[-1].done, heard[-1].total) == (len(HOLES), len(HOLES))


def test_definition_tells_the_machine(tmp_path):
    machine = ExportedMachine(
        boot_params={"order": "ndc", "firmware": "uefi"},
        platform={"viridian": "true", "secureboot": "true", "timeoffset": "-7200", "cores-per-socket": "4", "vtpm": "true"},
        vcpus=8,
        nvram={"EFI-variables": "VkFSUw=="},
    )
    disks = [ExportedDisk(content(1), "Ref:7", "Ref:17", "0"), ExportedDisk(content(1), "Ref:8", "Ref:18", "1", mode="RO")]
    with open_xva(str(written(tmp_path, make_xva(machine, disks)))) as export:
        seen = export.definition
    assert (seen.name, seen.uuid, seen.memory, seen.vcpus, seen.cores_per_socket) == (machine.name, machine.uuid, 4 << 30, 8, 4)
    assert (seen.firmware, seen.secure_boot, seen.tpm, seen.clock) == (Firmware.UEFI, True, True, Clock.LOCALTIME)
    assert (seen.on_poweroff, seen.on_reboot, seen.on_crash) == ("destroy", "restart", "restart")
    assert seen.boot == (BootDevice.NETWORK, BootDevice.CDROM, BootDevice.DISK)
    assert [(each.mac, each.bridge) for each in seen.cards] == [("5a:3e:11:00:00:01", "xenbr0")]
    assert [(each.slot, each.media, each.read_only) for each in seen.drives] == [
        ("0", Media.DISK, False), ("1", Media.DISK, True), ("3", Media.CDROM, True)
    ]  # fmt: skip
    assert "hypervclock" in seen.hyperv
    assert [each.item for each in seen.losses] == ["nvram/EFI-variables"]


@pytest.mark.parametrize(
    ("policy", "domain_type", "kind"), [("", "", "PV"), ("", "pv", "PV"), ("BIOS order", "pvh", "PVH"), ("", "unspecified", "PV")]
)
def test_paravirtual_guest_is_refused_by_name(tmp_path, policy, domain_type, kind):
    machine = ExportedMachine(name="web-01", boot_policy=policy, domain_type=domain_type)
    error = refusal(written(tmp_path, make_xva(machine, [ExportedDisk(content(1))])))
    assert (error.first.kind, error.first.subject, error.first.detail("guest_kind")) == (
        ReasonKind.PARAVIRTUAL_GUEST,
        "web-01",
        kind,
    )


def test_memory_of_a_suspended_machine_is_left_aside_and_told(tmp_path):
    memory = ExportedDisk(content(1, seed=5), "Ref:3", "Ref:13", "9")
    machine = ExportedMachine(more_objects=[("VDI", "Ref:3", {"type": "suspend", "virtual_size": str(MIB)})])
    disk = ExportedDisk(HOLES)
    data = member("ova.xml", ova_xml(machine, [disk])) + b"".join(
        [*disk_members(memory, "xxhash"), *disk_members(disk, "xxhash"), bytes(1024)]
    )
    path = written(tmp_path, data)
    assert extract(path) == {"0": HOLES}
    with open_xva(str(path)) as export:
        assert [each.item for each in export.definition.losses] == ["suspended"]


def test_holes_stay_holes_in_a_raw_file(tmp_path):
    path = written(tmp_path, make_xva(ExportedMachine(), [ExportedDisk(content(1, -30, 1), send_zeros=True)]))
    target = tmp_path / "disk.raw"
    with open_xva(str(path)) as export:
        export.stream(lambda disk: RawSink.new_file(str(target), disk.size))
    assert target.read_bytes() == content(1, -30, 1)
    assert target.stat().st_blocks * 512 <= 3 * MIB
    assert target.stat().st_mode & 0o777 == 0o600


def test_existing_file_is_never_overwritten(tmp_path):
    (tmp_path / "there.raw").write_text("precious")
    with pytest.raises(Refused) as caught:
        RawSink.new_file(str(tmp_path / "there.raw"), 512)
    assert caught.value.first.kind is ReasonKind.OUTPUT_EXISTS
    assert (tmp_path / "there.raw").read_text() == "precious"


# What a stream that broke off looks like: cut at every kind of place.
SMALL = make_xva(ExportedMachine(), [ExportedDisk(content(1, -1, b"z" * 700))])
OVA = len(member("ova.xml", ova_xml(ExportedMachine(), [ExportedDisk(content(1, -1, b"z" * 700))])))
CUTS = {
    "before-the-disks": OVA,
    "in-a-header": OVA + 100,
    "in-a-block": OVA + 512 + 5000,
    "before-a-checksum": OVA + 512 + BLOCK,
    "in-a-checksum": OVA + 512 + BLOCK + 512 + 3,
    "between-blocks": OVA + 512 + BLOCK + 1024,
    "before-the-end-mark": len(SMALL) - 1024,
    "in-the-end-mark": len(SMALL) - 512,
    "in-ova-xml": 700,
}


@pytest.mark.parametrize("wrap", ["", "gzip", "zstd"])
@pytest.mark.parametrize("length", CUTS.values(), ids=CUTS)
def test_cut_export_is_refused(tmp_path, length, wrap):
    error = refusal(written(tmp_path, wrapped(SMALL[:length], wrap)))
    assert error.first.kind is ReasonKind.EXPORT_DAMAGED


@pytest.mark.parametrize("wrap", ["gzip", "zstd"])
@pytest.mark.parametrize("missing", [1, 4, 9, 4000])
def test_cut_compression_is_refused_though_the_archive_is_whole(tmp_path, wrap, missing):
    """The last bytes of a frame hold its own checksum; without them nobody knows that what came out is what went in."""
    error = refusal(written(tmp_path, wrapped(SMALL, wrap)[:-missing]))
    assert error.first.kind is ReasonKind.EXPORT_DAMAGED


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        (OVA + 512 + 77, "checksum of Ref:7/00000000 is wrong"),
        (OVA + 512 + BLOCK + 512 + 5, "checksum of Ref:7/00000000 is wrong"),
        (OVA + 5, "a header of the archive is damaged"),
        (len(SMALL) - 5, "end mark is damaged"),
    ],
    ids=["block", "checksum", "header", "end"],
)
def test_one_flipped_bit_is_found(tmp_path, place, cause):
    error = refusal(written(tmp_path, flipped(SMALL, place)))
    assert error.first.kind is ReasonKind.EXPORT_DAMAGED
    assert cause.lower() in error.first.detail("cause").lower()


def archive(*parts: bytes, machine: ExportedMachine | None = None, disks: list[ExportedDisk] | None = None) -> bytes:
    """An export whose disk part a test writes by hand."""
    head = member("ova.xml", ova_xml(machine or ExportedMachine(), disks or [ExportedDisk(content(3))]))
    return head + b"".join(parts) + bytes(1024)


def block(number: int, data: bytes = bytes(BLOCK), reference: str = "Ref:7") -> bytes:
    return b"".join(block_members(reference, number, data, "xxhash"))


def as_folder(header: bytes) -> bytes:
    """The same member as a directory."""
    made = bytearray(header)
    made[156:157] = b"5"
    made[148:156] = b" " * 8
    made[148:156] = f"{sum(made[:512]):06o}\0 ".encode()
    return bytes(made)


HOSTILE = {
    "block behind the end": (archive(block(0), block(2), block(3)), "behind the end"),
    "gap that never ends": (archive(block(0), block(99_999_999)), "behind the end"),
    "block number again": (archive(block(0), block(1), block(1)), "comes after block 1"),
    "disk in two parts": (
        archive(
            block(0),
            block(0, reference="Ref:8"),
            block(1),
            disks=[ExportedDisk(content(3)), ExportedDisk(content(1), "Ref:8", "Ref:18", "1")],
        ),
        "after another disk",
    ),
    "disk that is none": (archive(block(0, reference="Ref:77")), "belongs to no disk"),
    "disk that ends early": (archive(block(0), block(1)), "ends at byte"),
    "no checksum": (archive(member("Ref:7/00000000", bytes(BLOCK)), block(1)), "has no checksum"),
    "no disks": (archive(), "no disks"),
    "name with a path": (archive(member("../../etc/passwd", b"x"), member("../../etc/passwd.xxhash", b"")), "not expected"),
    "huge member": (archive(member("Ref:7/00000000", bytes(5 << 20)), member("Ref:7/00000000.xxhash", b"")), "bytes large"),
    "something behind the end": (archive(block(0), block(2)) + b"more" + bytes(508), "follows the archive's end"),
    "entities in ova.xml": (
        member("ova.xml", b'<!DOCTYPE v [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><value>&b;</value>') + bytes(1024),
        "document type",
    ),
    "ova.xml that reads files": (
        member("ova.xml", b'<!DOCTYPE v [<!ENTITY a SYSTEM "file:///etc/passwd">]><value>&a;</value>') + bytes(1024),
        "document type",
    ),
    "folder instead of ova.xml": (as_folder(member("ova.xml", b"")) + block(0) + bytes(1024), "has no ova.xml"),
    "no XML": (member("ova.xml", b"hello") + bytes(1024), "not well-formed"),
    "no objects": (member("ova.xml", b"<value>hello</value>") + bytes(1024), "has no objects"),
    "deep XML": (member("ova.xml", b"<value><array><data>" * 5000) + bytes(1024), "cannot be read"),
    "MAC address that is none": (archive(machine=ExportedMachine(macs=("5a:3e:11:00:00:01,bridge=x",))), "no MAC address"),
    "size that is no number": (
        archive(machine=ExportedMachine(more_objects=[("VDI", "Ref:7", {"virtual_size": "-5", "SR": "Ref:60"})])),
        "has no size",
    ),
}


@pytest.mark.parametrize(("data", "cause"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_export_is_refused(tmp_path, data, cause):
    error = refusal(written(tmp_path, data))
    assert error.first.kind is ReasonKind.EXPORT_DAMAGED
    assert cause.lower() in error.first.detail("cause").lower()


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"<!DOCTYPE html><html>500 Internal", "web page"),
        (b"", "empty"),
        (bytes(4096), "empty"),
        (b"\xeb\x52\x90NTFS" + bytes(600), "something else"),
        (member("Ref:7/00000000", b"x") + bytes(1024), "its first file is Ref:7/00000000"),
    ],
    ids=["html", "empty", "zeros", "disk", "raw-vdi-export"],
)
def test_other_files_are_named(tmp_path, data, cause):
    error = refusal(written(tmp_path, data))
    assert error.first.kind is ReasonKind.NOT_AN_EXPORT
    assert cause.lower() in error.first.detail("cause").lower()


def test_bomb_stays_within_the_box(tmp_path):
    """Sixteen GiB of zeros in a few hundred KiB: the numbers do not fit the disk, and no memory is taken for them."""
    bomb = wrapped(archive(*[block(number, bytes(4 << 20)) for number in range(12)]), "zstd")
    assert len(bomb) < 200_000
    assert refusal(written(tmp_path, bomb)).first.kind is ReasonKind.EXPORT_DAMAGED


def repacked(data: bytes, form: int) -> bytes:
    """What Python's tarfile makes of the same members, folders and padding included."""
    out = BytesIO()
    with tarfile.open(fileobj=BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w", format=form) as new:
        folder = tarfile.TarInfo("Ref:7")
        folder.type = tarfile.DIRTYPE
        new.addfile(next(iter(old)), old.extractfile("ova.xml"))
        new.addfile(folder)
        for each in list(old)[1:]:
            new.addfile(each, old.extractfile(each))
    return out.getvalue()


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT], ids=["ustar", "gnu"])
def test_archive_that_was_packed_again_is_read(tmp_path, form):
    data = repacked(make_xva(ExportedMachine(), [ExportedDisk(HOLES)]), form)
    assert extract(written(tmp_path, data)) == {"0": HOLES}


@pytest.mark.parametrize(
    "disk", [ExportedDisk(HOLES), ExportedDisk(content(2, -3, 1), keep_alive_before=(1, 2))], ids=["plain", "kept"]
)
def test_xva_img_extracts_the_same_bytes(tmp_path, disk):
    """An independent extractor, run on the untarred archive; the version of Debian 12 knows SHA-1 only."""
    path = written(tmp_path, make_xva(ExportedMachine(), [disk], checksum="checksum"))
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-xf", path, "-C", tree], check=True)
    subprocess.run(["chmod", "-R", "u+rwX", tree], check=True)
    other = tmp_path / "other.raw"
    subprocess.run(["xva-img", "-p", "disk-export", f"{tree}/Ref:7/", other], check=True, stdout=subprocess.DEVNULL)
    ours = extract(path)["0"]
    assert hashlib.sha256(other.read_bytes()).digest() == hashlib.sha256(ours).digest() == hashlib.sha256(disk.content).digest()


@pytest.mark.parametrize("wrap", ["", "gzip"])
def test_dissect_extracts_the_same_bytes(tmp_path, wrap):
    """Another one, a process of its own because of its licence; it never gives a disk's last block."""
    disks = [ExportedDisk(HOLES), ExportedDisk(content(1, -1, 2, seed=3), "Ref:8", "Ref:18", "1", keep_alive_before=(2,))]
    path = written(tmp_path, make_xva(ExportedMachine(), disks, wrap=wrap))
    told = subprocess.run(
        [sys.executable, READERS / "read_xva_dissect.py", path], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    ours = {hashlib.sha256(each[: (len(each) - 1) // BLOCK * BLOCK]).hexdigest() for each in extract(path).values()}
    assert set(told.split()) == ours
