# SPDX-License-Identifier: Apache-2.0
"""What is fed with bent input, and what each may do with it: refuse in its own way, or give what keeps its promises.

Anything else that is raised, a promise that is broken, or no end within the time of the runner is a finding.
"""

import json
import os
import random
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from generators.dirty_hives import dirty_hive, old_dirty_hive
from generators.hives import windows_hive
from generators.kernels import kernel
from generators.volumes import restart_page
from registry.cell_hives import Key, make
from registry.edits import dword, multi, set_value
from registry.plans import repair_like
from unit.hive_guest import guest
from unxen.errors import Refused
from unxen.host.box_protocol import FrameError, receive
from unxen.model.codec import decode, encode
from unxen.model.disk import ImageHeader
from unxen.model.edit import Action, Edit
from unxen.model.ids import ControlSetNumber, DiskNumber, ImageFormat, KeyPath
from unxen.model.registry_facts import RegistryValue
from unxen.probe.boot_sector import read_boot_sector
from unxen.probe.device import Device
from unxen.probe.headers.source import MOST_VIRTUAL_BYTES, Source
from unxen.probe.image_header import read_header
from unxen.probe.kernel_version import read_kernel
from unxen.probe.malformed import VOLUME_ERRORS, Malformed
from unxen.probe.mft_record import decode_record
from unxen.probe.partitions import read_partitions
from unxen.probe.volume_state import judge_journal
from unxen.registry.audit import audit, full_audit, sound_audit
from unxen.registry.base_block import next_sequence, read_base_block
from unxen.registry.changes import deviations, expected_changes
from unxen.registry.diff import compare
from unxen.registry.editor import edit_hive
from unxen.registry.proof import prove
from unxen.registry.replay import replay

from fuzz import answers, disk, program
from fuzz.mutation import STRINGS, bend, bend_document
from fuzz.telling import check_reg_file, tell

MIB = 1 << 20
Bend = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Target:
    """Sound inputs, a way to bend them, and what happens to the result."""

    seeds: Callable[[], Sequence[bytes]]
    run: Callable[[bytes], None]
    bend: Bend = bend


def _made_by(*command: str) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "made"
        subprocess.run([*command[:-1], path, command[-1]], check=True, stdout=subprocess.DEVNULL)
        return path.read_bytes()


def _image(driver: str, *options: str) -> bytes:
    words = [word for option in options for word in ("-o", option)]
    return _made_by("qemu-img", "create", "-q", "-f", driver, *words, "3M")


@cache
def _images(format: ImageFormat) -> tuple[bytes, ...]:
    rows = {
        ImageFormat.QCOW2: (("qcow2",), ("qcow2", "compat=0.10"), ("qcow2", "extended_l2=on"), ("qcow2", "preallocation=metadata")),
        ImageFormat.VHD: (("vpc", "force_size=on"), ("vpc", "subformat=fixed", "force_size=on")),
        ImageFormat.VHDX: (("vhdx",),),
        ImageFormat.VMDK: (("vmdk",), ("vmdk", "subformat=streamOptimized"), ("vmdk", "subformat=monolithicFlat")),
        ImageFormat.VDI: (("vdi",), ("vdi", "static=on")),
    }
    return tuple(_image(*row) for row in rows[format])


def _read_header(format: ImageFormat) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        fd = os.memfd_create("image")
        try:
            os.write(fd, data)
            header = read_header(Source(fd), format)
        except Refused:
            return
        finally:
            os.close(fd)
        assert 0 < header.virtual_size <= MOST_VIRTUAL_BYTES
        assert decode(ImageHeader, json.loads(json.dumps(encode(header)))) == header

    return run


def _heads(rng: random.Random, length: int) -> int:
    """The places of an image where its numbers stand."""
    starts = (0, 0, 0, 512, 0x10000, 0x20000, 0x30000, 0x40000, 0x200000, length - 512, length - 1024)
    return min(length - 1, max(0, rng.choice(starts) + rng.randrange(512)))


def _bend_head(data: bytes, rng: random.Random) -> bytes:
    return bend(data, rng, _heads)


def _disk_with_table(kind: str) -> bytes:
    script = {
        "gpt": "label: gpt\nsize=64,type=U\nsize=128\n",
        "mbr": "label: dos\nsize=64,type=7\ntype=5\nsize=32,type=7\nsize=32,type=c\n",
    }
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "disk"
        path.write_bytes(bytes(2 * MIB))
        command = ["sfdisk", "-q", path]
        done = subprocess.run(command, input=script[kind], text=True, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
        return path.read_bytes()


def _read_table(data: bytes) -> None:
    device = Device(lambda offset, length: data[offset : offset + length], len(data))
    scheme, found = read_partitions(device, DiskNumber(1))
    encode((scheme, found))
    assert device.bytes_read < 64 * MIB
    for each in found:
        assert each.number >= 0
        assert each.start >= 0
        assert each.length >= 0


def _table_places(rng: random.Random, length: int) -> int:
    return min(length - 1, rng.choice((440, 512, 1024, length - 512, 1 << 20)) + rng.randrange(96))


@cache
def _records() -> tuple[bytes, ...]:
    from unit.test_mft_record import non_resident, record, resident

    longer = record(resident(b"a" * 100, "name"), non_resident(), non_resident(flags=0x4001), size=4096)
    return bytes(record(resident(b"hello", "stream"), non_resident())), bytes(longer)


def _read_record(data: bytes) -> None:
    with suppress(Malformed):
        decode_record(data, "record")


BOOT = bytes.fromhex(
    "eb52904e5446532020202000020800000000000000f800003f00ff00000800000000000080008000ff7f00000000000004000000000000000200000000000000f6000000010000"
)


def _read_boot(data: bytes) -> None:
    with suppress(*VOLUME_ERRORS):
        read_boot_sector(data)


def _read_log(data: bytes) -> None:
    judge_journal(data)


def _read_kernel(data: bytes) -> None:
    with suppress(*VOLUME_ERRORS):
        read_kernel(lambda offset, length: data[offset : offset + length])


def _read_base(data: bytes) -> None:
    with suppress(Refused):
        read_base_block(data)


# Hives


@cache
def _small_hive() -> bytes:
    override = Key(values={"0": (4, b"\3\0\0\0")})
    service = Key(
        values={"Start": (4, b"\3\0\0\0"), "UpperFilters": (7, multi("XENFILT", "other").data), "Long": (3, bytes(300))},
        keys={"StartOverride": override},
        class_name=b"c\0",
    )
    services = Key(keys={"a": service, "b": replace(service, security=1), "ü": service})
    classes = Key(keys={"{x}": Key(values={"UpperFilters": (7, multi("XENFILT").data), "LowerFilters": (7, multi("a", "b").data)})})
    control = Key(keys={"Class": classes})
    return make(Key(keys={"ControlSet001": Key(keys={"Services": services, "Control": control})}))


def _healed(data: bytes) -> bytes:
    """The same hive with a checksum that is right, or every change to the base block would end there."""
    if len(data) < 512:
        return data
    total = 0
    for (word,) in struct.iter_unpack("<I", data[:508]):
        total ^= word
    total = {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(total, total)
    return data[:508] + struct.pack("<I", total) + data[512:]


def _bend_hive(data: bytes, rng: random.Random) -> bytes:
    """Mostly in the cells: the beginnings of all that is allocated are where references stand."""

    def places(rng: random.Random, length: int) -> int:
        return rng.randrange(512) if rng.random() < 0.1 else min(length - 1, 4096 + rng.randrange(max(1, length - 4096)))

    return _healed(bend(data, rng, places)) if rng.random() < 0.9 else bend(data, rng, places)


def _edit(data: bytes) -> None:
    """Whatever a hive is, an edit of it is refused, or changes what it says and leaves a hive that is as sound as before."""
    try:
        before = audit(data)
    except Refused:
        return
    edits = _edits_for(data)
    try:
        made = edit_hive(data, edits)
    except Refused:
        return
    assert len(made) == len(data)
    assert set(audit(made)) <= set(before)
    assert read_base_block(made).primary == next_sequence(read_base_block(data))
    try:
        found = compare(data, made)
    except Refused:
        return
    assert deviations(found, expected_changes(edits)) == ()


def _edits_for(data: bytes) -> tuple[Edit, ...]:
    """Those that the sound hive would get; on what was bent they may fit or not."""
    sound = _small_hive() if len(data) < 64 << 10 else _real_hive()
    return tuple(repair_like(sound, most=4))


@cache
def _real_hive() -> bytes:
    return windows_hive("10", families=["xcpng"])


def _audit_twice(data: bytes) -> None:
    """The quick audit says nothing, or what the whole one says."""
    with suppress(Refused):
        quick = sound_audit(data)
        assert quick is None or quick.flaws == full_audit(data)


def _prove(data: bytes) -> None:
    """What came out of a box as the edited hive is found out by the quick proof exactly as by two whole walks."""
    before = _small_hive()
    try:
        expected = compare(before, data), full_audit(data)
    except Refused:
        expected = None
    try:
        proof = prove(before, data)
    except Refused:
        assert expected is None
        return
    assert (proof.changes, proof.flaws) == expected


@cache
def _edited() -> bytes:
    return edit_hive(_small_hive(), _edits_for(_small_hive()))


def _judge_hive(data: bytes) -> None:
    """What is read from a hive is judged and told without an error, whatever it is."""
    try:
        facts = guest(data, lambda _path: True)
    except Refused:
        return
    tell(facts)


def _strange_edits(data: bytes) -> None:
    """A plan whose strings are of the input's choosing, as a .reg file."""
    rng = random.Random(data)
    edits = tuple(_strange_edit(rng) for _ in range(rng.randrange(1, 5)))
    with suppress(Refused):
        check_reg_file(edits)


def _strange_edit(rng: random.Random) -> Edit:
    def text() -> str:
        return "".join(
            rng.choice((*STRINGS, "a", "Start", "\\", '"', "\r", "\n", "=", "\u2028", chr(rng.randrange(0xFFFF)))) for _ in range(3)
        )

    value = rng.choice(
        (
            dword(1),
            RegistryValue(7, text().encode("utf-16-le", "surrogatepass")),
            RegistryValue(rng.randrange(20), rng.randbytes(9)),
        )
    )
    action = rng.choice((Action.SET_VALUE, Action.DELETE_VALUE, Action.DELETE_KEY, Action.CREATE_KEY))
    after = value if action is Action.SET_VALUE else None
    name = text() if action in (Action.SET_VALUE, Action.DELETE_VALUE) else None
    return Edit(action, ControlSetNumber(1), KeyPath(text()), name, None, after, None, "rule", text(), text(), True)


@cache
def _dirty_hives() -> tuple[bytes, ...]:
    """A hive and its logs, of the newer and the older kind, as one text."""
    states = [_small_hive()]
    for number in range(3):
        edit = set_value(states[-1], "ControlSet001\\Services\\a", "Start", dword(number))
        states.append(edit_hive(states[-1], (edit,)))
    return tuple(_packed(each.primary, each.logs) for each in (dirty_hive(states), old_dirty_hive(states[0], states[1])))


def _packed(hive: bytes, logs: Mapping[str, bytes]) -> bytes:
    return json.dumps({name: data.hex() for name, data in {"": hive, **logs}.items()}).encode()


def _bend_logs(data: bytes, rng: random.Random) -> bytes:
    """One or two of the files, mostly logs; checksums of their base blocks are right again half the time."""
    files = {name: bytes.fromhex(each) for name, each in json.loads(data).items()}
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(sorted(files))
        bent = bend(files[name], rng, lambda rng, length: min(length - 1, rng.choice((0, 512, 1024, 4096)) + rng.randrange(1024)))
        files[name] = _healed(bent) if rng.random() < 0.5 else bent
    return _packed(files.pop(""), files)


def _replay(data: bytes) -> None:
    """Nothing is raised; a hive that comes out is clean, past every number, and read or refused like any other."""
    files = {name: bytes.fromhex(each) for name, each in json.loads(data).items()}
    made = replay(files.pop(""), files)
    if made.hive is None:
        return
    block = read_base_block(made.hive)
    assert not block.dirty
    with suppress(Refused):
        audit(made.hive)
    with suppress(Refused):
        _edit(made.hive)


def _look(data: bytes) -> None:
    """What was read of a bent disk is judged and told."""
    with suppress(Refused):
        facts, _ = disk.look_of(data)
        tell(facts)


# What comes out of a box


def _receive(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=_send, args=(theirs, data))
        sender.start()
        with suppress(FrameError):
            frame = receive(ours)
            assert frame is None or sum(map(len, frame.blobs)) <= len(data)
        ours.close()
        sender.join()


def _send(sock: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        sock.sendall(data)
    sock.close()


def _frames() -> tuple[bytes, ...]:
    text = json.dumps({"answer": {"a": [1, "x", None]}}).encode()
    return struct.pack(">II", len(text), 0) + text, struct.pack(">IIQQ", len(text), 2, 5, 0) + text + b"hello"


def _small(data: bytes) -> Callable[[], tuple[bytes, ...]]:
    return lambda: (data,)


TARGETS: dict[str, Target] = {
    **{
        f"header-{each.value}": Target(lambda each=each: _images(each), _read_header(each), _bend_head)
        for each in ImageFormat
        if each is not ImageFormat.RAW
    },
    "partitions": Target(
        lambda: (_disk_with_table("gpt"), _disk_with_table("mbr")), _read_table, lambda data, rng: bend(data, rng, _table_places)
    ),
    "mft-record": Target(_records, _read_record),
    "boot-sector": Target(_small(BOOT.ljust(510, b"\0") + b"\x55\xaa"), _read_boot),
    "journal": Target(lambda: (restart_page(clean=True) * 2, restart_page(clean=False) + bytes(4096)), _read_log),
    "kernel": Target(lambda: (kernel((10, 0, 19041)), kernel((5, 1, 2600), "x86")), _read_kernel),
    "base-block": Target(lambda: (_small_hive()[:8192],), _read_base),
    "quick-audit": Target(lambda: (_small_hive(),), _audit_twice, _bend_hive),
    "proof": Target(lambda: (_edited(), _small_hive()), _prove, _bend_hive),
    "edit": Target(lambda: (_small_hive(),), _edit, _bend_hive),
    "edit-real": Target(lambda: (_real_hive(),), _edit, _bend_hive),
    "judge": Target(lambda: (_real_hive(), windows_hive("xp", families=["gplpv"])), _judge_hive, _bend_hive),
    "replay": Target(_dirty_hives, _replay, _bend_logs),
    "reg-file": Target(_small(b"seed"), _strange_edits, lambda _data, rng: rng.randbytes(8)),
    "frame": Target(_frames, _receive),
    "answer": Target(answers.of_a_look, answers.believe_look, bend_document),
    "first-answer": Target(answers.of_partitions, answers.believe_partitions, bend_document),
    "look": Target(_small(b"[]"), _look, disk.bend_disk),
    "program": Target(_small(b"[]"), program.run, disk.bend_disk),
}
