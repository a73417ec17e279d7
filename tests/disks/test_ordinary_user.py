# SPDX-License-Identifier: Apache-2.0
"""Whoever owns an image needs no more rights to look into it, to repair it in place and to take that back."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from generators.kernels import kernel

pytestmark = [pytest.mark.disk, pytest.mark.skipif(os.geteuid() != 0, reason="this is already an ordinary user")]

USER = 12345
PROGRAM = "from unxen.cli.start import entry; entry()"
Unxen = Callable[..., tuple[int, dict]]


@pytest.fixture
def unxen(tmp_path) -> Unxen:
    """The installed program as an ordinary user, with a home of its own and nothing of root's environment."""
    plugin = Path(__file__).resolve().parents[2] / "plugin"
    for path in (Path(sys.executable).resolve(), plugin, *plugin.parents):
        if not path.stat().st_mode & 0o001:
            pytest.skip(f"{path} is closed to ordinary users")
    for path in (tmp_path, *tmp_path.parents):
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, USER, USER)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
    drop = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "--no-new-privs"]

    def run(*arguments: object) -> tuple[int, dict]:
        command = [*drop, sys.executable, "-c", PROGRAM, *map(str, arguments), "--json"]
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False, timeout=120)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


def own_disk(folder: Path, name: str) -> Path:
    hive = windows_hive("10", families=["xcpng"])
    path = folder / name
    make_disk(path, hive, format=path.suffix[1:], kernel=kernel((10, 0, 19045)), files=driver_files(hive), size=48 * MIB)
    os.chown(path, USER, USER)
    path.chmod(0o600)
    os.chown(folder, USER, USER)
    return path


@pytest.mark.parametrize("name", ["disk.raw", "disk.qcow2"])
def test_owner_of_an_image_looks_repairs_and_undoes_without_root(unxen, tmp_path, name) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    path = own_disk(folder, name)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    code, document = unxen("inspect", path)
    assert (code, document["verdict"]) == (3, "repairable")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    code, document = unxen("repair", path)
    assert (code, document["verdict"], document["delivery"]) == (0, "repaired", "in-place")
    assert unxen("inspect", path)[0] == 0
    assert unxen("undo", path)[0] == 0
    if name.endswith(".raw"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert unxen("inspect", path)[0] == 3
    assert path.stat().st_uid == USER


def test_image_of_another_user_is_not_opened(unxen, tmp_path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    path = own_disk(folder, "disk.raw")
    os.chown(path, 0, 0)
    for verb in ("inspect", "repair"):
        assert unxen(verb, path)[0] == 11, verb
