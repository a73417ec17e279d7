# SPDX-License-Identifier: Apache-2.0
"""Whatever is handed to unxen: a clear end with its own exit code, a document that keeps to the schema, and not one byte changed.

Each case makes one kind of bad input from one real disk; every verb that takes a disk is run on it.
"""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, plant, windows_hive
from unxen.cli.main import main
from unxen.host import process

pytestmark = pytest.mark.disk
SCHEMA = json.loads(files("unxen.report").joinpath("outcome.schema.json").read_text())
VERBS = ("inspect", "plan", "repair")
NOBODY = 65534


@dataclass
class Workshop:
    """Where a case builds its input: a directory of its own, the disk to start from, and what to take down at the end."""

    top: Path
    base: Path
    patch: pytest.MonkeyPatch
    stack: ExitStack = field(default_factory=ExitStack)

    def copy(self, name: str = "disk.raw") -> Path:
        target = self.top / name
        subprocess.run(["cp", "--sparse=always", self.base, target], check=True)
        return target

    def converted(self, name: str, format: str = "qcow2") -> Path:
        target = self.top / name
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", format, self.base, target], check=True)
        return target


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A raw disk with a repairable Windows 10."""
    hive = windows_hive("10", families=["xcpng"])
    return make_disk(
        tmp_path_factory.mktemp("bad") / "base.raw", hive, format="raw", files=driver_files(hive), size=64 * MIB, kernel=b"MZ"
    )


@pytest.fixture
def workshop(tmp_path: Path, base: Path, monkeypatch) -> Iterator[Workshop]:
    made = Workshop(tmp_path, base, monkeypatch)
    with made.stack:
        yield made


def missing(shop: Workshop) -> list[str]:
    return [str(shop.top / "none.qcow2")]


def directory(shop: Workshop) -> list[str]:
    (shop.top / "dir.raw").mkdir()
    return [str(shop.top / "dir.raw")]


def pipe(shop: Workshop) -> list[str]:
    os.mkfifo(shop.top / "pipe.raw")
    return [str(shop.top / "pipe.raw")]


def no_image(shop: Workshop) -> list[str]:
    path = shop.top / "noise.qcow2"
    path.write_bytes(random.Random(1).randbytes(MIB))
    return [str(path)]


def empty_file(shop: Workshop) -> list[str]:
    path = shop.top / "empty.qcow2"
    path.write_bytes(b"")
    return [str(path)]


def truncated(shop: Workshop) -> list[str]:
    path = shop.converted("cut.qcow2")
    os.truncate(path, path.stat().st_size // 2)
    return [str(path)]


def header_only(shop: Workshop) -> list[str]:
    path = shop.converted("stub.qcow2")
    os.truncate(path, 60)
    return [str(path)]


def wrong_format(shop: Workshop) -> list[str]:
    return [str(shop.converted("disk.vmdk", "vmdk")), "--format", "qcow2"]


def raw_as_qcow2(shop: Workshop) -> list[str]:
    return [str(shop.copy()), "--format", "qcow2"]


def qcow2_as_raw(shop: Workshop) -> list[str]:
    return [str(shop.converted("disk.qcow2")), "--format", "raw"]


def disguised(shop: Workshop) -> list[str]:
    return [str(shop.converted("disk.img"))]


def unknown_format(shop: Workshop) -> list[str]:
    return [str(shop.copy("disk"))]


def backing_outside(shop: Workshop) -> list[str]:
    (shop.top / "elsewhere").mkdir()
    (shop.top / "here").mkdir()
    below, above = shop.copy("elsewhere/below.raw"), shop.top / "here" / "above.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", "raw", above], check=True)
    return [str(above)]


def backing_gone(shop: Workshop) -> list[str]:
    below, above = shop.copy("below.raw"), shop.top / "above.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", "raw", above], check=True)
    below.unlink()
    return [str(above)]


def external_data(shop: Workshop) -> list[str]:
    path = shop.top / "outer.qcow2"
    option = f"data_file={shop.top / 'data.raw'}"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", option, path, "1M"], check=True)
    return [str(path)]


def no_windows(shop: Workshop) -> list[str]:
    return [str(make_disk(shop.top / "data.raw", None, format="raw", size=16 * MIB))]


def blank(shop: Workshop) -> list[str]:
    path = shop.top / "blank.raw"
    path.touch()
    os.truncate(path, 8 * MIB)
    return [str(path)]


def noise(shop: Workshop) -> list[str]:
    path = shop.top / "noise.raw"
    path.write_bytes(random.Random(2).randbytes(2 * MIB))
    return [str(path)]


def _with_hive(shop: Workshop, hive: bytes, **more: object) -> list[str]:
    return [str(make_disk(shop.top / "disk.raw", hive, format="raw", size=64 * MIB, **more))]


def damaged_hive(shop: Workshop) -> list[str]:
    hive = bytearray(windows_hive("10", families=["xcpng"]))
    hive[0:4] = b"REGF"
    return _with_hive(shop, bytes(hive))


def scrambled_hive(shop: Workshop) -> list[str]:
    hive = bytearray(windows_hive("10", families=["xcpng"]))
    hive[4096 + 32 : 8192] = random.Random(3).randbytes(4096 - 32)
    return _with_hive(shop, bytes(hive))


def dirty_hive(shop: Workshop) -> list[str]:
    from unxen.registry.base_block import read_base_block, stamp

    hive = bytearray(windows_hive("10", families=["xcpng"]))
    stamp(hive, 7)
    hive[8] ^= 1
    hive[508:512] = _checksum(hive).to_bytes(4, "little")
    assert read_base_block(bytes(hive)).dirty
    return _with_hive(shop, bytes(hive))


def _checksum(hive: bytearray) -> int:
    total = 0
    for start in range(0, 508, 4):
        total ^= int.from_bytes(hive[start : start + 4], "little")
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(total, total)


def dangling_filter(shop: Workshop) -> list[str]:
    text = (
        "[ControlSet001\\Control\\Class\\{4D36E967-E325-11CE-BFC1-08002BE10318}]\n"
        '"LowerFilters"=hex(7):67,00,6f,00,6e,00,65,00,00,00,00,00\n'
    )
    hive = plant(windows_hive("10", families=["xcpng"]), text)
    return _with_hive(shop, hive, files=driver_files(hive))


def let_others_in(top: Path) -> None:
    """Boxes start with another user's rights, and pytest's directories are closed to others."""
    for each in (top, *top.parents):
        if each.is_relative_to("/tmp") and each != Path("/tmp"):
            each.chmod(each.stat().st_mode | 0o111)


def missing_tool(shop: Workshop) -> list[str]:
    tools = shop.top / "bin"
    tools.mkdir()
    let_others_in(shop.top)
    for name in ("bwrap", "unshare", "setpriv", "sh", "true", "qemu-img"):
        if found := shutil.which(name, path=process.PATH):
            (tools / name).symlink_to(found)
    shop.patch.setattr(process, "PATH", str(tools))
    return [str(shop.copy())]


def bad_config(shop: Workshop) -> list[str]:
    Path(os.environ["UNXEN_CONFIG"]).write_text("preferences = ['sata']\n")
    return [str(shop.copy())]


def bad_knowledge(shop: Workshop) -> list[str]:
    rows = shop.top / "rows"
    rows.mkdir()
    (rows / "own.toml").write_text("[[xen_services]]\nname = 5\n")
    Path(os.environ["UNXEN_CONFIG"]).write_text(f"knowledge_dir = '{rows}'\n")
    return [str(shop.copy())]


def no_such_installation(shop: Workshop) -> list[str]:
    return [str(shop.copy()), "--installation", r"1:3:\Windows"]


def impossible_bus(shop: Workshop) -> list[str]:
    return [str(shop.copy()), "--bus", "virtio-blk"]


ALL: dict[Callable[[Workshop], list[str]], int] = {
    missing: 10,
    directory: 12,
    pipe: 12,
    no_image: 12,
    empty_file: 12,
    truncated: 12,
    header_only: 12,
    wrong_format: 13,
    raw_as_qcow2: 13,
    qcow2_as_raw: 13,
    disguised: 13,
    unknown_format: 2,
    backing_outside: 15,
    backing_gone: 10,
    external_data: 15,
    no_windows: 4,
    blank: 4,
    noise: 4,
    damaged_hive: 20,
    scrambled_hive: 20,
    dirty_hive: 21,
    dangling_filter: 26,
    missing_tool: 30,
    bad_config: 2,
    bad_knowledge: 2,
    no_such_installation: 2,
    impossible_bus: 26,
}


def fingerprints(top: Path) -> dict[str, tuple[str, int]]:
    """Hash and time of every file below; the state directory lies elsewhere."""
    found = {}
    for path in sorted(top.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 30:
            found[str(path)] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
    return found


def only_document(text: str) -> dict:
    document = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def leftovers(state: Path) -> list[Path]:
    """What a finished run must not leave: overlays, hives, sockets."""
    return [path for path in state.rglob("*") if path.suffix in (".qcow2", ".sock", ".overlay", ".hive")] if state.exists() else []


def check(verb: str, arguments: Sequence[str], code: int, top: Path, state: Path, capfd) -> dict:
    """Runs the verb for scripts and for people; both must agree and change nothing."""
    before = fingerprints(top)
    assert main([verb, *arguments, "--json"]) == code
    document = only_document(capfd.readouterr().out)
    assert (document["exit_code"], document["verb"], document["changed"]) == (code, verb, False)
    assert main([verb, *arguments]) == code
    seen = capfd.readouterr()
    if document["reasons"]:
        text = " ".join((seen.out + seen.err).split())
        assert "remedy:" in text
        assert " ".join(document["reasons"][0]["remedy"].split())[:40] in text
    assert fingerprints(top) == before
    assert leftovers(state) == []
    return document


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("case", ALL, ids=lambda case: case.__name__.replace("_", "-"))
def test_bad_input_ends_clearly_and_changes_nothing(case, verb: str, workshop: Workshop, own_state: Path, capfd) -> None:
    arguments = case(workshop)
    document = check(verb, arguments, ALL[case], workshop.top, own_state, capfd)
    assert document["verdict"] in ("refused", "no-windows", "failed")


@contextmanager
def machine_on(path: Path, format: str) -> Iterator[None]:
    """QEMU holding the image as a running machine does, with its locks."""
    socket = path.with_suffix(".sock")
    command = ["qemu-nbd", "--persistent", "--shared=0", "-f", format, "-k", str(socket), str(path)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        for _ in range(100):
            if socket.exists():
                break
            assert running.poll() is None, running.stderr.read() if running.stderr else ""
            time.sleep(0.05)
        yield
    finally:
        running.terminate()
        running.wait()


@pytest.mark.parametrize("format", ["raw", "qcow2"])
def test_disk_of_a_running_machine_is_judged_but_never_repaired(format: str, workshop: Workshop, own_state: Path, capfd) -> None:
    path = workshop.copy("disk.raw") if format == "raw" else workshop.converted("disk.qcow2")
    with machine_on(path, format):
        for verb in ("inspect", "plan"):
            document = check(verb, [str(path)], 3, workshop.top, own_state, capfd)
            assert document["stale"] is True
            assert [each["kind"] for each in document["notes"]].count("stale") == 1
        check("repair", [str(path)], 14, workshop.top, own_state, capfd)
    assert check("inspect", [str(path)], 3, workshop.top, own_state, capfd)["stale"] is False


def test_read_only_file_is_never_written(workshop: Workshop, own_state: Path, capfd) -> None:
    path = workshop.copy()
    path.chmod(0o444)
    for verb in VERBS:
        document = check(verb, [str(path)], 17, workshop.top, own_state, capfd)
        assert bool(document["plan"]) is (verb != "repair")


def test_full_state_directory_is_told_before_anything_is_done(workshop: Workshop, own_state: Path, capfd) -> None:
    own_state.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", own_state], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    workshop.stack.callback(subprocess.run, ["umount", own_state], check=True)
    check("repair", [str(workshop.copy())], 31, workshop.top, own_state, capfd)


def test_disk_of_somebody_else_is_a_matter_of_permission(workshop: Workshop) -> None:
    """As another user in a process of its own, because root may read everything."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    path = workshop.copy()
    path.chmod(0o600)
    let_others_in(workshop.top)
    code = "import sys; from unxen.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "inspect", "--json", str(path)]
    try:
        subprocess.run([sys.executable, "-c", "import unxen.cli.main"], user=NOBODY, group=NOBODY, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("another user cannot read this checkout")
    environment = {"PATH": os.environ["PATH"], "UNXEN_STATE_DIR": str(workshop.top / "state"), "UNXEN_CONFIG": "/nonexistent"}
    done = subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=(), env=environment, capture_output=True, check=False)
    assert done.returncode == 11, done.stderr
    assert only_document(done.stdout.decode())["reasons"][0]["kind"] == "no-permission"


def test_undo_of_a_disk_that_was_never_repaired(workshop: Workshop, own_state: Path, capfd) -> None:
    check("undo", [str(workshop.copy())], 43, workshop.top, own_state, capfd)
    check("undo", [str(workshop.top / "none.raw")], 10, workshop.top, own_state, capfd)
