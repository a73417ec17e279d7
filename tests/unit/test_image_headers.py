# SPDX-License-Identifier: Apache-2.0
"""Headers of every image format: read as QEMU reads them, and refused where they lie, are cut off, or lead elsewhere."""

import os
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.model.reason import ReasonKind
from unxen.probe.headers.source import Source
from unxen.probe.headers.vhdx import HEADERS, crc32c
from unxen.probe.image_header import marks_of, read_header

MIB = 1 << 20
NAMES = {"vhd": "vpc"}


def create(path: Path, format: str, size: str | int = 10 * MIB, *options: str) -> Path:
    settings = [word for option in options for word in ("-o", option)]
    subprocess.run(["qemu-img", "create", "-q", "-f", NAMES.get(format, format), *settings, path, str(size)], check=True)
    return path


def fill(path: Path, format: str, where: str = "3M", length: str = "2M") -> None:
    name = NAMES.get(format, format)
    subprocess.run(["qemu-io", "-f", name, "-c", f"write -P 7 {where} {length}", path], check=True, stdout=subprocess.DEVNULL)


def read(path: Path, format: str) -> ImageHeader:
    fd = os.open(path, os.O_RDONLY)
    try:
        return read_header(Source(fd), ImageFormat(format))
    finally:
        os.close(fd)


def refusal(path: Path, format: str):
    with pytest.raises(Refused) as caught:
        read(path, format)
    return caught.value.first


def patch(path: Path, offset: int, data: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
        file.write(data)
    return path


def cut(path: Path, length: int) -> Path:
    os.truncate(path, length)
    return path


FORMATS = {
    "qcow2": ("qcow2", (), ""),
    "qcow2 of old": ("qcow2", ("compat=0.10",), ""),
    "qcow2 with small clusters": ("qcow2", ("cluster_size=512",), ""),
    "qcow2 with large clusters": ("qcow2", ("cluster_size=2M",), ""),
    "qcow2 with subclusters": ("qcow2", ("extended_l2=on",), ""),
    "qcow2 with one-bit counts": ("qcow2", ("refcount_bits=1",), ""),
    "qcow2 with wide counts": ("qcow2", ("refcount_bits=64",), ""),
    "qcow2 preallocated": ("qcow2", ("preallocation=metadata",), ""),
    "qcow2 with zstd": ("qcow2", ("compression_type=zstd",), ""),
    "raw": ("raw", (), ""),
    "vhd": ("vhd", ("force_size=on",), "dynamic"),
    "fixed vhd": ("vhd", ("subformat=fixed,force_size=on",), "fixed"),
    "vhdx": ("vhdx", (), "dynamic"),
    "fixed vhdx": ("vhdx", ("subformat=fixed",), "fixed"),
    "vmdk": ("vmdk", (), "monolithicSparse"),
    "vdi": ("vdi", (), "dynamic"),
    "fixed vdi": ("vdi", ("static=on",), "fixed"),
}


@pytest.mark.parametrize("written", [False, True], ids=["empty", "written to"])
@pytest.mark.parametrize(("format", "options", "kind"), FORMATS.values(), ids=FORMATS.keys())
def test_size_and_kind_of_every_format(tmp_path, format: str, options: tuple[str, ...], kind: str, written: bool) -> None:
    image = create(tmp_path / "image", format, 10 * MIB, *options)
    if written:
        fill(image, format)
    header = read(image, format)
    assert (header.format, header.virtual_size, header.kind) == (ImageFormat(format), 10 * MIB, kind)
    assert not any((header.dirty, header.corrupt, header.encrypted, header.backing_file, header.data_file, header.unknown_features))


@pytest.mark.parametrize(("format", "options", "kind"), FORMATS.values(), ids=FORMATS.keys())
def test_the_mark_of_every_format_but_raw(tmp_path, format: str, options: tuple[str, ...], kind: str) -> None:
    fd = os.open(create(tmp_path / "image", format, MIB * 10, *options), os.O_RDONLY)
    expected = set() if format == "raw" else {ImageFormat(format)}
    assert set(marks_of(Source(fd))) == expected
    os.close(fd)


@pytest.mark.parametrize("format", ["qcow2", "vhd", "vhdx", "vmdk", "vdi"])
def test_another_format_than_declared_is_told_by_name(tmp_path, format: str) -> None:
    other = "vdi" if format != "vdi" else "qcow2"
    found = refusal(create(tmp_path / "image", other), format)
    assert (found.kind, found.detail("expected"), found.detail("found")) == (ReasonKind.WRONG_FORMAT, format, other)


@pytest.mark.parametrize("format", ["qcow2", "vhd", "vhdx", "vmdk", "vdi"])
@pytest.mark.parametrize("content", [b"x", b"hello\n" * 1000, bytes(2 * MIB)], ids=["a byte", "text", "zeros"])
def test_a_file_of_no_format_is_no_image(tmp_path, format: str, content: bytes) -> None:
    (tmp_path / "image").write_bytes(content)
    assert refusal(tmp_path / "image", format).kind is ReasonKind.NOT_AN_IMAGE


def test_an_empty_file_is_no_disk(tmp_path) -> None:
    (tmp_path / "image").touch()
    assert refusal(tmp_path / "image", "raw").kind is ReasonKind.NOT_AN_IMAGE


def test_a_raw_disk_stays_raw_whatever_its_guest_wrote(tmp_path) -> None:
    image = create(tmp_path / "image", "qcow2")
    size = image.stat().st_size
    header = read(image, "raw")
    assert (header.format, header.virtual_size, header.backing_file) == (ImageFormat.RAW, -(-size // 512) * 512, "")


def test_a_fixed_vhd_stays_one_whatever_its_guest_wrote(tmp_path) -> None:
    image = create(tmp_path / "image", "vhd", MIB, "subformat=fixed,force_size=on")
    assert read(patch(image, 0, b"QFI\xfb"), "vhd").kind == "fixed"


# What a qcow2 header says, patched into a real one: (offset, bytes), and what is refused or seen.
INCOMPATIBLE = 72
QCOW2_LIES: dict[str, tuple[int, bytes, ReasonKind]] = {
    "version 4": (4, struct.pack(">I", 4), ReasonKind.UNSUPPORTED_FEATURE),
    "tiny clusters": (20, struct.pack(">I", 8), ReasonKind.IMAGE_DAMAGED),
    "huge clusters": (20, struct.pack(">I", 63), ReasonKind.IMAGE_DAMAGED),
    "size 0": (24, struct.pack(">Q", 0), ReasonKind.ABSURD_SIZE),
    "size beyond its table": (24, struct.pack(">Q", 1 << 40), ReasonKind.IMAGE_DAMAGED),
    "size of 8 EiB": (24, struct.pack(">Q", 1 << 63), ReasonKind.IMAGE_DAMAGED),
    "table without end": (36, struct.pack(">I", 0xFFFFFFFF), ReasonKind.IMAGE_DAMAGED),
    "table past the end": (40, struct.pack(">Q", 1 << 50), ReasonKind.IMAGE_DAMAGED),
    "counts past the end": (48, struct.pack(">Q", 1 << 50), ReasonKind.IMAGE_DAMAGED),
    "counts without end": (56, struct.pack(">I", 0xFFFFFFFF), ReasonKind.IMAGE_DAMAGED),
    "backing name past the first cluster": (8, struct.pack(">QI", 65530, 100), ReasonKind.IMAGE_DAMAGED),
    "backing name without end": (8, struct.pack(">QI", 200, 1 << 31), ReasonKind.IMAGE_DAMAGED),
    "header longer than a cluster": (100, struct.pack(">I", 1 << 20), ReasonKind.IMAGE_DAMAGED),
    "counts of 2 to the 200": (96, struct.pack(">I", 200), ReasonKind.IMAGE_DAMAGED),
    "extension without end": (104 + 8, struct.pack(">II", 0x6803F857, 1 << 31), ReasonKind.IMAGE_DAMAGED),
}


@pytest.mark.parametrize(("offset", "data", "kind"), QCOW2_LIES.values(), ids=QCOW2_LIES.keys())
def test_a_qcow2_header_that_lies_is_refused(tmp_path, offset: int, data: bytes, kind: ReasonKind) -> None:
    assert refusal(patch(create(tmp_path / "image", "qcow2"), offset, data), "qcow2").kind is kind


def with_bit(path: Path, bit: int) -> Path:
    return patch(create(path, "qcow2"), INCOMPATIBLE, struct.pack(">Q", 1 << bit))


def test_dirty_and_corrupt_are_seen(tmp_path) -> None:
    assert read(with_bit(tmp_path / "dirty", 0), "qcow2").dirty
    assert read(with_bit(tmp_path / "corrupt", 1), "qcow2").corrupt


def test_a_feature_that_nobody_knows_is_named(tmp_path) -> None:
    assert read(with_bit(tmp_path / "image", 17), "qcow2").unknown_features == ("incompatible bit 17",)


def test_an_external_data_file_is_seen_with_and_without_its_name(tmp_path) -> None:
    image = create(tmp_path / "image", "qcow2", MIB, f"data_file={tmp_path / 'data'}")
    assert read(image, "qcow2").data_file == str(tmp_path / "data")
    assert read(with_bit(tmp_path / "nameless", 2), "qcow2").data_file == "?"


@pytest.mark.parametrize("method", [1, 2, 77])
def test_encryption_is_seen_whatever_its_method(tmp_path, method: int) -> None:
    assert read(patch(create(tmp_path / "image", "qcow2"), 32, struct.pack(">I", method)), "qcow2").encrypted


def test_snapshots_bitmaps_and_backing_are_seen(tmp_path) -> None:
    create(tmp_path / "base", "raw")
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", "base", "-F", "raw", image], check=True)
    subprocess.run(["qemu-img", "snapshot", "-c", "one", image], check=True)
    subprocess.run(["qemu-img", "bitmap", "--add", image, "two"], check=True)
    header = read(image, "qcow2")
    assert (header.backing_file, header.backing_format) == ("base", "raw")
    assert (header.has_snapshots, header.has_bitmaps) == (True, True)


@pytest.mark.parametrize("options", ["cluster_size=64k", "extended_l2=on", "refcount_bits=1", "compression_type=zstd"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_qcow2_that_was_cut_off_is_damaged(tmp_path, options: str, part: float) -> None:
    (tmp_path / "raw").write_bytes(os.urandom(4 * MIB))
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", options, tmp_path / "raw", image], check=True)
    read(image, "qcow2")
    assert refusal(cut(image, int(image.stat().st_size * part)), "qcow2").kind is ReasonKind.IMAGE_DAMAGED


def test_a_compressed_qcow2_that_was_cut_off_is_damaged(tmp_path) -> None:
    (tmp_path / "raw").write_bytes(os.urandom(100) * 50_000)
    image = tmp_path / "image"
    subprocess.run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", tmp_path / "raw", image], check=True)
    read(image, "qcow2")
    assert refusal(cut(image, image.stat().st_size - 70_000), "qcow2").kind is ReasonKind.IMAGE_DAMAGED


def test_clusters_counted_past_the_end_and_never_used_do_no_harm(tmp_path) -> None:
    image = create(tmp_path / "image", "qcow2")
    fill(image, "qcow2")
    block = struct.unpack(">Q", image.read_bytes()[struct.unpack_from(">Q", image.read_bytes(), 48)[0] :][:8])[0]
    patch(image, block + 2 * 1000, struct.pack(">H", 1))
    subprocess.run(["qemu-img", "check", "-q", image], check=False)
    assert read(image, "qcow2").virtual_size == 10 * MIB


# A VHD as its makers write it: XenServer ("caml"), Xen Orchestra ("xo  "), tapdisk, Hyper-V; the size is no whole cylinder.
@pytest.mark.parametrize("creator", [b"caml", b"xo  ", b"tap\0", b"win ", b"vpc "])
@pytest.mark.parametrize("kind", ["fixed", "dynamic"])
def test_the_size_of_a_vhd_is_the_footers(tmp_path, vhd_of: Callable[..., Path], kind: str, creator: bytes) -> None:
    assert read(vhd_of(kind, creator=creator), "vhd").virtual_size == 100 * MIB


@pytest.fixture
def vhd_of(tmp_path) -> Callable[..., Path]:
    """A VHD of 100 MiB whose footers have other fields, checksums right."""

    def make(
        kind: str, *, creator: bytes = b"caml", number: int | None = None, size: int | None = None, ends: str = "both"
    ) -> Path:
        image = create(tmp_path / f"{kind}.vhd", "vhd", 100 * MIB, f"subformat={kind},force_size=on")
        footer = bytearray(image.read_bytes()[-512:])
        footer[28:32] = creator
        footer[60:64] = struct.pack(">I", number) if number else footer[60:64]
        footer[48:56] = struct.pack(">Q", size) if size else footer[48:56]
        footer[64:68] = bytes(4)
        footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
        patch(image, -512, footer)
        return patch(image, 0, footer) if kind == "dynamic" and ends == "both" else image

    return make


def test_a_differencing_vhd_is_told(vhd_of) -> None:
    assert read(vhd_of("dynamic", number=4), "vhd").kind == "differencing"


def test_a_vhd_that_can_be_read_in_two_ways_is_damaged(vhd_of) -> None:
    assert refusal(vhd_of("dynamic", number=4, ends="last"), "vhd").kind is ReasonKind.IMAGE_DAMAGED
    fixed = vhd_of("fixed")
    assert refusal(patch(fixed, 0, fixed.read_bytes()[-512:]), "vhd").kind is ReasonKind.IMAGE_DAMAGED


def test_vhds_that_lie_are_refused(vhd_of) -> None:
    assert refusal(vhd_of("fixed", size=200 * MIB), "vhd").kind is ReasonKind.IMAGE_DAMAGED
    assert refusal(vhd_of("dynamic", size=1 << 40), "vhd").kind is ReasonKind.IMAGE_DAMAGED
    assert refusal(vhd_of("dynamic", size=1 << 62), "vhd").kind is ReasonKind.ABSURD_SIZE
    assert refusal(vhd_of("fixed", number=7), "vhd").kind is ReasonKind.UNSUPPORTED_FEATURE
    assert refusal(patch(vhd_of("fixed"), -400, b"x"), "vhd").kind is ReasonKind.IMAGE_DAMAGED


@pytest.mark.parametrize("format", ["vhd", "vhdx", "vmdk", "vdi"])
def test_images_that_lost_their_end_are_damaged(tmp_path, format: str) -> None:
    image = create(tmp_path / "image", format)
    fill(image, format, "1M", "8M")
    # VHDX's data is held against the file by QEMU.
    rest = 200 << 10 if format == "vhdx" else image.stat().st_size - 2 * MIB
    assert refusal(cut(image, rest), format).kind is ReasonKind.IMAGE_DAMAGED


def test_a_stream_that_lost_its_end_is_damaged(tmp_path) -> None:
    """As VMware writes them: the header says that the directory follows, and a copy of it near the end says where."""
    image = create(tmp_path / "image", "vmdk", MIB, "subformat=streamOptimized")
    patch(image, 56, b"\xff" * 8)
    header = image.read_bytes()[:512]
    assert refusal(image, "vmdk").kind is ReasonKind.IMAGE_DAMAGED
    image.write_bytes(image.read_bytes() + header + bytes(512))
    assert read(image, "vmdk").kind == "streamOptimized"


def test_a_vhd_whose_data_lies_past_its_end_is_damaged(tmp_path) -> None:
    image = create(tmp_path / "image", "vhd")
    table = struct.unpack(">Q", image.read_bytes()[512 + 16 : 512 + 24])[0]
    assert refusal(patch(image, table, struct.pack(">I", 1 << 20)), "vhd").kind is ReasonKind.IMAGE_DAMAGED


def vhdx_header(path: Path, at: int, **fields: bytes) -> Path:
    """One of the two headers with other fields, checksum right."""
    block = bytearray(path.read_bytes()[at : at + 4096])
    for offset, data in ((8, fields.get("sequence", b"")), (48, fields.get("log", b""))):
        block[offset : offset + len(data)] = data
    block[4:8] = bytes(4)
    block[4:8] = struct.pack("<I", crc32c(block))
    return patch(path, at, block)


def test_the_checksum_is_the_one_of_the_rfc() -> None:
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"123456789") == 0xE3069283


def test_a_vhdx_with_a_log_is_dirty_by_its_current_header_only(tmp_path) -> None:
    image = create(tmp_path / "image", "vhdx")
    assert not read(image, "vhdx").dirty
    numbers = [struct.unpack_from("<Q", image.read_bytes(), at + 8)[0] for at in HEADERS]
    current = HEADERS[numbers.index(max(numbers))]
    (other,) = set(HEADERS) - {current}
    assert not read(vhdx_header(image, other, log=b"x" * 16), "vhdx").dirty
    assert read(vhdx_header(image, current, log=b"x" * 16), "vhdx").dirty
    # A header with a wrong checksum does not count, however high its number.
    patch(image, current + 4, b"bad!")
    vhdx_header(image, other, log=bytes(16))
    assert not read(image, "vhdx").dirty


def test_vhdx_oddities_are_refused_or_told(tmp_path) -> None:
    image = create(tmp_path / "image", "vhdx")
    data = image.read_bytes()
    parameters = data.index(bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b"))
    region = data.index(b"metadata")
    flags = region + struct.unpack_from("<I", data, parameters + 16)[0] + 4
    assert read(patch(image, flags, struct.pack("<I", 2)), "vhdx").kind == "differencing"
    sector = data.index(bytes.fromhex("1dbf41816fa90947ba47f233a8faab5f"))
    patch(image, region + struct.unpack_from("<I", data, sector + 16)[0], struct.pack("<I", 4096))
    assert refusal(image, "vhdx").kind is ReasonKind.UNSUPPORTED_FEATURE


@pytest.mark.parametrize("kind", ["twoGbMaxExtentFlat", "twoGbMaxExtentSparse", "monolithicFlat"])
def test_a_vmdk_whose_data_lies_elsewhere_is_told_with_names(tmp_path, kind: str) -> None:
    found = refusal(create(tmp_path / "image.vmdk", "vmdk", MIB, f"subformat={kind}"), "vmdk")
    assert found.kind is ReasonKind.EXTENT_OUTSIDE
    assert found.detail("extents").startswith("image-")


def test_a_vmdk_that_only_wraps_a_descriptor_is_not_followed(tmp_path) -> None:
    image = create(tmp_path / "image", "vmdk")
    patch(image, 12, bytes(8))
    patch(image, 512, b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 2048 FLAT "/etc/shadow" 0\n\0')
    found = refusal(image, "vmdk")
    assert (found.kind, found.detail("extents")) == (ReasonKind.EXTENT_OUTSIDE, "/etc/shadow")


def test_a_streamed_vmdk_is_told_by_its_flags(tmp_path) -> None:
    image = create(tmp_path / "image", "vmdk", MIB, "subformat=streamOptimized")
    assert read(image, "vmdk").kind == "streamOptimized"
    where = image.read_bytes().index(b"streamOptimized")
    assert read(patch(image, where, b"monolithicSpars"), "vmdk").kind == "streamOptimized"


def test_the_parent_of_a_vmdk_is_seen(tmp_path) -> None:
    create(tmp_path / "base.vmdk", "vmdk")
    image = tmp_path / "image.vmdk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-b", "base.vmdk", "-F", "vmdk", image], check=True, cwd=tmp_path)
    assert read(image, "vmdk").backing_file == "base.vmdk"


def test_a_differencing_vdi_is_told(tmp_path) -> None:
    image = create(tmp_path / "image", "vdi")
    assert read(patch(image, 0x4C, struct.pack("<I", 4)), "vdi").kind == "differencing"
    linked = create(tmp_path / "linked", "vdi")
    assert read(patch(linked, 0x1A8, b"x" * 16), "vdi").kind == "differencing"


@pytest.mark.parametrize("format", ["qcow2", "vhd", "vhdx", "vmdk", "vdi"])
def test_garbled_headers_end_in_a_refusal_or_a_header(tmp_path, format: str) -> None:
    image = create(tmp_path / "image", format)
    whole = bytearray(image.read_bytes()[: 4 * MIB])
    places = [*range(0, 0x200, 3), *range(0x10000, 0x10040, 5), *range(0x30000, 0x30040, 5), *range(0x200000, 0x200060, 3)]
    for place in (each for each in places if each < len(whole)):
        for value in (0x00, 0x7F, 0xFF):
            before = whole[place : place + 1]
            patch(image, place, bytes([value]))
            with suppress(Refused):
                read(image, format)
            patch(image, place, before)
