# SPDX-License-Identifier: Apache-2.0
"""An image that lies, leads elsewhere or is none is refused before any QEMU program starts: strace watches every process.

All cases run in one watched process, `inspect` and `repair` each, and a sound disk between them shows that the watch sees what it
should: its server starts, and opens it.
"""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from unxen.probe.headers.vhdx import HEADERS, crc32c

pytestmark = pytest.mark.disk
MIB = 1 << 20
SOUND, DIRTY, CORRUPT = "sound", "dirty", "corrupt"
DRIVER = """
import contextlib, io, json, os, sys
from unxen.cli.main import main
codes = {}
for name, arguments in json.load(open(sys.argv[1])):
    for verb in ("inspect", "repair"):
        with contextlib.suppress(OSError):
            open(f"/case/{name}/{verb}")
        with contextlib.redirect_stdout(io.StringIO()):
            codes[f"{name}/{verb}"] = main([verb, "--json", *arguments])
json.dump(codes, open(sys.argv[2], "w"))
"""


def qemu_img(*words: object, cwd: Path | None = None) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, stdout=subprocess.DEVNULL, cwd=cwd)


def qcow2(path: Path, *, backing: str = "", format: str = "raw", options: str = "") -> Path:
    below = ("-u", "-b", "x" * len(backing), "-F", format) if backing else ()
    qemu_img("create", "-q", "-f", "qcow2", *below, *(("-o", options) if options else ()), path, "1M")
    if backing:
        patch(path, path.read_bytes().index(b"x" * len(backing)), backing.encode())
    return path


def patch(path: Path, at: int, data: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        file.write(data)
    return path


def raw(path: Path) -> Path:
    path.write_bytes(bytes(MIB))
    return path


def in_kind(path: Path, driver: str, options: str = "") -> Path:
    qemu_img("create", "-q", "-f", driver, *(("-o", options) if options else ()), path, "10M")
    return path


def external_data(top: Path) -> Path:
    return qcow2(top / "disk.qcow2", options=f"data_file={top / 'data'}")


def named_data(name: str) -> Callable[[Path], Path]:
    """A data file that the header names, without QEMU having made it."""

    def make(top: Path) -> Path:
        path = qcow2(top / "disk.qcow2")
        extension = struct.pack(">II", 0x44415441, len(name)) + name.encode().ljust(-(-len(name) // 8) * 8, b"\0")
        return patch(patch(path, 72, struct.pack(">Q", 4)), 112, extension + bytes(8))

    return make


def backed_by(name: str, format: str = "raw") -> Callable[[Path], Path]:
    return lambda top: qcow2(top / "disk.qcow2", backing=name, format=format)


def through_a_link(top: Path) -> Path:
    (top / "innocent").symlink_to("/etc/shadow")
    return qcow2(top / "disk.qcow2", backing="innocent")


def through_a_linked_directory(top: Path) -> Path:
    (top / "pool").symlink_to("/etc")
    return qcow2(top / "disk.qcow2", backing="pool/shadow")


def a_pipe_below(top: Path) -> Path:
    os.mkfifo(top / "pipe")
    return qcow2(top / "disk.qcow2", backing="pipe")


def a_directory_below(top: Path) -> Path:
    (top / "below").mkdir()
    return qcow2(top / "disk.qcow2", backing="below")


def a_socket(top: Path) -> Path:
    import socket

    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(top / "disk.raw"))
    return top / "disk.raw"


def a_pipe(top: Path) -> Path:
    os.mkfifo(top / "disk.raw")
    return top / "disk.raw"


def a_directory(top: Path) -> Path:
    (top / "disk.raw").mkdir()
    return top / "disk.raw"


def a_circle(top: Path) -> Path:
    qcow2(top / "other.qcow2", backing="disk.qcow2", format="qcow2")
    return qcow2(top / "disk.qcow2", backing="other.qcow2", format="qcow2")


def its_own_base(top: Path) -> Path:
    return qcow2(top / "disk.qcow2", backing="disk.qcow2", format="qcow2")


def unsafe_below(top: Path) -> Path:
    qcow2(top / "base.qcow2", backing="/etc/shadow")
    return qcow2(top / "disk.qcow2", backing="base.qcow2", format="qcow2")


def patched(at: int, data: bytes) -> Callable[[Path], Path]:
    return lambda top: patch(qcow2(top / "disk.qcow2"), at, data)


def no_format_of_the_base(top: Path) -> Path:
    raw(top / "base")
    path = qcow2(top / "disk.qcow2", backing="base")
    return patch(path, path.read_bytes().index(struct.pack(">I", 0xE2792ACA)), struct.pack(">I", 0x01020304))


def extents(kind: str) -> Callable[[Path], Path]:
    return lambda top: in_kind(top / "disk.vmdk", "vmdk", f"subformat={kind}")


def a_descriptor(top: Path) -> Path:
    text = '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
    (top / "disk.vmdk").write_text(text + 'RW 8 FLAT "/etc/shadow" 0\n')
    return top / "disk.vmdk"


def a_wrapped_descriptor(top: Path) -> Path:
    path = in_kind(top / "disk.vmdk", "vmdk")
    text = b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 2048 FLAT "/etc/shadow" 0\n\0'
    return patch(patch(path, 12, bytes(8)), 512, text)


def a_vmdk_above_a_file_elsewhere(top: Path) -> Path:
    path = in_kind(top / "disk.vmdk", "vmdk")
    parent = b'CID=1\nparentCID=00000002\nparentFileNameHint="/etc/shadow"\n'
    return patch(path, 512, b"# Disk DescriptorFile\nversion=1\n" + parent + b'createType="monolithicSparse"\n\0')


def two_pebibytes(top: Path) -> Path:
    """Its tables are as large as such a disk needs."""
    path = patch(qcow2(top / "disk.qcow2"), 20, struct.pack(">IQIIQ", 16, 1 << 51, 0, 1 << 22, 0x30000))
    os.truncate(path, 40 * MIB)
    return path


def differencing_vhd(top: Path) -> Path:
    path = in_kind(top / "disk.vhd", "vpc")
    footer = bytearray(path.read_bytes()[-512:])
    footer[60:64], footer[64:68] = struct.pack(">I", 4), bytes(4)
    footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
    return patch(patch(path, -512, footer), 0, footer)


def a_fixed_vhd_with_two_meanings(top: Path) -> Path:
    path = in_kind(top / "disk.vhd", "vpc", "subformat=fixed,force_size=on")
    return patch(path, 0, path.read_bytes()[-512:])


def a_vhdx_with_a_log(top: Path) -> Path:
    path = in_kind(top / "disk.vhdx", "vhdx")
    for at in HEADERS:
        block = bytearray(path.read_bytes()[at : at + 4096])
        block[48:64], block[4:8] = b"x" * 16, bytes(4)
        block[4:8] = struct.pack("<I", crc32c(block))
        patch(path, at, block)
    return path


def differencing_vhdx(top: Path) -> Path:
    path = in_kind(top / "disk.vhdx", "vhdx")
    data = path.read_bytes()
    region, item = data.index(b"metadata"), data.index(bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b"))
    return patch(path, region + struct.unpack_from("<I", data, item + 16)[0] + 4, struct.pack("<I", 2))


def differencing_vdi(top: Path) -> Path:
    return patch(in_kind(top / "disk.vdi", "vdi"), 0x4C, struct.pack("<I", 4))


def disguised(top: Path) -> Path:
    """A disk called raw whose guest wrote the header of another format."""
    return backed_by("/etc/shadow")(top).rename(top / "disk.raw")


def cut_off(top: Path) -> Path:
    path = qcow2(top / "disk.qcow2", options="preallocation=metadata")
    os.truncate(path, 100_000)
    return path


def no_image(top: Path) -> Path:
    (top / "disk.qcow2").write_bytes(b"hello" * 1000)
    return top / "disk.qcow2"


@dataclass(frozen=True)
class Case:
    """A disk, the code that both verbs end with, and other arguments."""

    make: Callable[[Path], Path]
    code: int
    more: tuple[str, ...] = field(default=())


CASES = {
    "external data file": Case(external_data, 15),
    "data file that only the header names": Case(named_data("/etc/shadow"), 15),
    "data file by a protocol": Case(named_data("nbd://127.0.0.1/x"), 15),
    "backing file elsewhere": Case(backed_by("/etc/shadow"), 15),
    "backing file above": Case(backed_by("../../../../../../../etc/shadow"), 15),
    "backing file through a link": Case(through_a_link, 15),
    "backing file through a linked directory": Case(through_a_linked_directory, 15),
    "backing file json": Case(backed_by('json:{"driver":"raw","file":{"driver":"file","filename":"/etc/shadow"}}'), 15),
    "backing file nbd": Case(backed_by("nbd:unix:/run/x:exportname=y"), 15),
    "backing file fat": Case(backed_by("fat:rw:/etc"), 15),
    "backing file fat in capitals": Case(backed_by("FAT:/etc"), 15),
    "backing file blkdebug": Case(backed_by("blkdebug::/etc/shadow"), 15),
    "backing file http": Case(backed_by("http://127.0.0.1/x"), 15),
    "backing file with host device": Case(backed_by("host_device:/dev/sda"), 15),
    "backing device": Case(backed_by("/dev/sda"), 15),
    "backing memory": Case(backed_by("/proc/self/mem"), 15),
    "backing file missing": Case(backed_by("gone"), 10),
    "backing pipe": Case(a_pipe_below, 12),
    "backing directory": Case(a_directory_below, 12),
    "backing file of a format unsaid": Case(no_format_of_the_base, 15),
    "backing file of a format unknown": Case(backed_by("disk.qcow2", "vvfat"), 15),
    "circle": Case(a_circle, 15),
    "its own base": Case(its_own_base, 15),
    "unsafe below": Case(unsafe_below, 15),
    "absurd size": Case(patched(24, struct.pack(">Q", 1 << 63)), 12),
    "absurd size with tables to match": Case(two_pebibytes, 15),
    "no size": Case(patched(24, bytes(8)), 15),
    "huge table": Case(patched(36, struct.pack(">I", 0xFFFFFFFF)), 12),
    "table past the end": Case(patched(40, struct.pack(">Q", 1 << 50)), 12),
    "encrypted": Case(patched(32, struct.pack(">I", 2)), 24),
    "feature unknown": Case(patched(72, struct.pack(">Q", 1 << 40)), 15),
    "version unknown": Case(patched(4, struct.pack(">I", 9)), 15),
    "cut off": Case(cut_off, 12),
    "vmdk in pieces": Case(extents("twoGbMaxExtentSparse"), 15),
    "vmdk flat": Case(extents("monolithicFlat"), 15),
    "vmdk descriptor": Case(a_descriptor, 15),
    "vmdk around a descriptor": Case(a_wrapped_descriptor, 15),
    "vmdk above a file elsewhere": Case(a_vmdk_above_a_file_elsewhere, 15),
    "differencing vhd": Case(differencing_vhd, 15),
    "vhd with two meanings": Case(a_fixed_vhd_with_two_meanings, 12),
    "vhdx with a log": Case(a_vhdx_with_a_log, 12),
    "differencing vhdx": Case(differencing_vhdx, 15),
    "differencing vdi": Case(differencing_vdi, 15),
    "another format than its name": Case(disguised, 13),
    "another format than given": Case(lambda top: in_kind(top / "disk.vmdk", "vmdk"), 13, ("--format", "qcow2")),
    "no image": Case(no_image, 12),
    "socket": Case(a_socket, 12),
    "pipe": Case(a_pipe, 12),
    "directory": Case(a_directory, 12),
    "device that is no disk": Case(lambda _: Path("/dev/zero"), 12, ("--format", "raw")),
}


@dataclass(frozen=True)
class Watched:
    """What strace wrote of each case and verb, and the exit codes."""

    lines: dict[str, list[str]]
    codes: dict[str, int]


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Watched:
    if not shutil.which("strace"):
        pytest.skip("strace is not installed (Debian package strace)")
    top = tmp_path_factory.mktemp("watched")
    calls = [(SOUND, [str(qcow2(top / "sound.qcow2"))])]
    for name, bit in ((DIRTY, 1), (CORRUPT, 2)):
        calls.append((name, [str(patch(qcow2(top / f"{name}.qcow2"), 72, struct.pack(">Q", bit)))]))
    for number, (name, case) in enumerate(CASES.items()):
        (top / str(number)).mkdir()
        calls.append((name, [str(case.make(top / str(number))), *case.more]))
    (top / "calls").write_text(json.dumps(calls))
    log, codes = top / "log", top / "codes"
    trace = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-s",
        "8192",
        "-e",
        "trace=execve,open,openat,openat2,creat",
        "-e",
        "signal=none",
        "-o",
        log,
    ]
    environment = {**os.environ, "UNXEN_STATE_DIR": str(top / "state"), "UNXEN_CONFIG": str(top / "none")}
    command = [*trace, sys.executable, "-c", DRIVER, str(top / "calls"), str(codes)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    if "PTRACE" in done.stderr:
        pytest.skip(f"nothing can be watched here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return Watched(_by_case(log), json.loads(codes.read_text()))


def _by_case(log: Path) -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {}
    current: list[str] = []
    for line in log.read_text(errors="replace").splitlines():
        if mark := re.search(r'"/case/([^"]+)"', line):
            current = lines.setdefault(mark[1], [])
        current.append(line)
    return lines


def started(lines: list[str]) -> list[str]:
    """Programs that were to be started, and what bubblewrap was to start."""
    return [line for line in lines if "execve(" in line and "qemu" in line]


@pytest.mark.parametrize("verb", ["inspect", "repair"])
@pytest.mark.parametrize("name", CASES)
def test_no_qemu_starts_for_an_image_that_is_refused(watched: Watched, name: str, verb: str) -> None:
    lines = watched.lines[f"{name}/{verb}"]
    assert started(lines) == []
    opened = [line for line in lines if re.search(r"/etc/shadow|/dev/sda|/proc/self/mem", line) and "= -1" not in line]
    assert opened == []
    assert watched.codes[f"{name}/{verb}"] == CASES[name].code


@pytest.mark.parametrize(("verb", "program"), [("inspect", "qemu-nbd"), ("repair", "qemu-storage-daemon")])
def test_the_watch_sees_what_starts_for_a_sound_disk(watched: Watched, verb: str, program: str) -> None:
    assert any(program in line for line in started(watched.lines[f"{SOUND}/{verb}"]))
    assert watched.codes[f"{SOUND}/{verb}"] == 4


@pytest.mark.parametrize("name", [DIRTY, CORRUPT])
def test_no_qemu_opens_a_dirty_or_corrupt_disk_for_a_repair(watched: Watched, name: str) -> None:
    """To look at it is safe: it is opened read-only, and neither bit is changed by that."""
    assert started(watched.lines[f"{name}/repair"]) == []
    assert watched.codes[f"{name}/repair"] == 12
