# SPDX-License-Identifier: Apache-2.0
"""A parser or a QEMU that a disk took over can do nothing from its box, whoever owns the image and however the box is made."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxes import escapes
from unxen.host import nbd, sandbox
from unxen.host.sandbox import BoxMode
from unxen.model.ids import ImageFormat

pytestmark = pytest.mark.disk
ROOT = os.geteuid() == 0
OTHER = 12345
MODES = {
    "as here": (None, 0),
    "as here, another's image": (None, OTHER),
    "without user namespaces": (BoxMode.PLAIN, 0),
    "without user namespaces, another's image": (BoxMode.PLAIN, OTHER),
}


def state(path: Path) -> tuple[bytes, int, int, int]:
    """What a touched file would differ in."""
    seen = path.stat()
    return path.read_bytes(), seen.st_mode, seen.st_mtime_ns, seen.st_ctime_ns


@pytest.fixture(params=MODES.values(), ids=MODES.keys())
def owner(request, monkeypatch) -> int:
    """Whose an image is, with boxes made in one way."""
    forced, owner = request.param
    if not ROOT and (forced or owner):
        pytest.skip("only root has more than one way")
    if forced:
        monkeypatch.setattr(sandbox, "box_mode", lambda: forced)
        monkeypatch.setattr(nbd, "box_mode", lambda: forced)
    return owner


@pytest.fixture
def chain(owner: int, tmp_path):
    """A disk above another, in a closed directory."""
    directory = tmp_path / "images"
    directory.mkdir()
    made = escapes.image_in(directory)
    for each in (*directory.iterdir(), directory):
        each.chmod(0o700)
        if ROOT:
            os.chown(each, owner, owner)
    return made


def counted(owner: int) -> tuple[str, ...]:
    """Threads are counted for each box only of users other than root, in a user namespace."""
    return () if owner and sandbox.box_mode() is BoxMode.DROPPED else ("--may-thread",)


def test_nothing_can_be_done_from_the_parsers_box(chain, owner: int) -> None:
    before = [state(Path(layer.path)) for layer in chain.layers]
    assert escapes.from_parser(Path(chain.disk.path)) == []
    assert [state(Path(layer.path)) for layer in chain.layers] == before


def test_nothing_can_be_done_from_the_box_that_reads(chain, owner: int) -> None:
    before = [state(Path(layer.path)) for layer in chain.layers]
    assert escapes.from_reader(chain, *counted(owner)) == []
    assert [state(Path(layer.path)) for layer in chain.layers] == before


def test_only_disk_and_directory_can_be_touched_from_the_daemons_box(chain, owner: int, tmp_path) -> None:
    (tmp_path / "work").mkdir(mode=0o700)
    base = Path(chain.layers[1].path)
    before = state(base)
    assert escapes.from_daemon(chain, tmp_path / "work", *counted(owner)) == []
    assert state(base) == before


@pytest.fixture
def device(tmp_path) -> Iterator[Path]:
    (tmp_path / "disk").write_bytes(bytes(escapes.MIB))
    done = subprocess.run(["losetup", "--find", "--show", tmp_path / "disk"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no loop device can be made here: {done.stderr.strip()}")
    yield Path(done.stdout.strip())
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


@pytest.mark.skipif(not ROOT, reason="only root makes loop devices")
@pytest.mark.parametrize("mode", [None, BoxMode.PLAIN], ids=["as here", "without user namespaces"])
def test_a_block_device_cannot_be_written_from_the_box_that_reads(device: Path, monkeypatch, mode: BoxMode | None) -> None:
    if mode:
        monkeypatch.setattr(sandbox, "box_mode", lambda: mode)
        monkeypatch.setattr(nbd, "box_mode", lambda: mode)
    chain = escapes.checked(device, ImageFormat.RAW)
    assert escapes.from_reader(chain, "--may-thread") == []


@pytest.mark.skipif(not ROOT, reason="this is already an ordinary user")
def test_nothing_can_be_done_from_the_boxes_of_an_ordinary_user(tmp_path) -> None:
    place = Path(tempfile.mkdtemp(prefix="unxen-own-"))
    try:
        for path in (sandbox.PACKAGE_PARENT, *sandbox.PACKAGE_PARENT.parents):
            if not path.stat().st_mode & 0o001:
                pytest.skip(f"{path} is closed to ordinary users")
        os.chown(place, OTHER, OTHER)
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(place), "PYTHONPATH": str(sandbox.PACKAGE_PARENT)}
        command = ["setpriv", "--reuid", str(OTHER), "--regid", str(OTHER), "--clear-groups", sys.executable, escapes.__file__]
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=60)
    finally:
        shutil.rmtree(place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"mode": "own", "parser": [], "reader": [], "daemon": []}
