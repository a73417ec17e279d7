# SPDX-License-Identifier: Apache-2.0
"""A Proxmox node for a test, and the one rule that no request of unxen may ever break."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from forbidden import destructive
from node_double.conf_file import Conf, load, write
from node_double.state import Node

HERE = Path(__file__).resolve().parent
PROGRAMS = ("qm", "pvesm", "pvesh", "perl")


@dataclass(frozen=True)
class Double:
    """A node on disk, with its executables in `bin`."""

    node: Node
    bin: Path

    @property
    def root(self) -> Path:
        return self.node.root

    def run(self, program: str, *arguments: str, **more: str) -> subprocess.CompletedProcess:
        """One call, as a shell would make it; `more` is for its environment."""
        env = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}", **more}
        argv = [self.bin / program, *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, env=env)

    def ok(self, program: str, *arguments: str) -> str:
        done = self.run(program, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def define(self, vmid: str, text: str) -> Path:
        """A configuration as somebody wrote it."""
        path = self.node.config_path(vmid)
        path.write_text(text)
        self.node.changed(vmid)
        return path

    def conf(self, vmid: str) -> Conf:
        return load(self.node, vmid)

    def write(self, vmid: str, conf: Conf) -> None:
        write(self.node, vmid, conf)

    def volume(self, name: str, content: bytes | Path = b"\0" * 4096) -> Path:
        """A file of the storage `local`, like `100/vm-100-disk-0.raw`."""
        path = self.root / "storage" / "local" / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            subprocess.run(["cp", "--sparse=always", str(content), str(path)], check=True)
        else:
            path.write_bytes(content)
        return path

    def faults(self, **faults: object) -> None:
        self.node.write_json(self.root / "faults.json", faults)

    def requests(self) -> list[list[str]]:
        """Every call that was made until now."""
        path = self.root / "requests.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def make_double(root: Path) -> Double:
    node = Node.make(root)
    programs = root / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec /usr/bin/python3 -S -E {HERE / "run_double.py"} {root} {name} "$@"\n')
        path.chmod(0o755)
    own = programs / "unxen"
    own.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "run_unxen.py"} {root} "$@"\n')
    own.chmod(0o755)
    return Double(node, programs)


@pytest.fixture
def bare_double(tmp_path: Path) -> Iterator[Double]:
    """A node for the tests of the double itself, which may destroy."""
    double = make_double(tmp_path / "node")
    yield double
    for each in double.node.run.glob("*.pid"):
        each.unlink()


@pytest.fixture
def double(bare_double: Double, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """A node that unxen works on. Every request that any test sends is looked at: none may destroy a volume."""
    from unxen.host import process
    from unxen.platforms.proxmox import node as door

    monkeypatch.setattr(process, "PATH", f"{bare_double.bin}:{process.PATH}")
    monkeypatch.setattr(door, "PLACES", places(bare_double))
    yield bare_double
    requests = bare_double.requests()
    made = {each[1] for each in requests if each[0] == "=made"}
    assert [each for each in requests if destructive(each, made)] == []


def places(double: Double):
    """Where the program finds what a node keeps in files."""
    from unxen.platforms.proxmox.node import Places

    return Places(double.node.etc, double.node.locks, double.node.run)
