# SPDX-License-Identifier: Apache-2.0
"""A VM whose disk is a LUN that QEMU itself reaches: repaired over iSCSI by a real target that knows its initiators by name."""

import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from unxen.cli.main import main
from unxen.platforms.proxmox import remote_volumes
from vms import config, disk

pytestmark = pytest.mark.disk
TARGET, OURS = "iqn.2003-01.org.example:t1", "iqn.1993-08.org.debian:01:node"


@dataclass(frozen=True)
class Target:
    """One target with one LUN, which only `OURS` may see."""

    port: int
    backing: Path

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.backing.read_bytes()).hexdigest()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    """A target in user space; its control channel has a number."""
    backing = disk(tmp_path / "lun.raw", "xcpng")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    channel = str(os.getpid() % 30000 + 1)
    argv = ["tgtd", "-f", "-C", channel, "--iscsi", f"portal=127.0.0.1:{port}"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            control(channel, "new", "target", "--tid", "1", "-T", TARGET)
            control(channel, "new", "logicalunit", "--tid", "1", "--lun", "1", "-b", str(backing))
            control(channel, "bind", "target", "--tid", "1", "-Q", OURS)
            yield Target(port, backing)
        finally:
            daemon.kill()


def control(channel: str, operation: str, mode: str, *words: str) -> None:
    """The daemon takes a moment until it listens."""
    argv = ["tgtadm", "-C", channel, "--lld", "iscsi", "--op", operation, "--mode", mode, *words]
    for _ in range(100):
        if subprocess.run(argv, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise AssertionError(argv)


@pytest.fixture
def vm(double, target, tmp_path: Path, monkeypatch):
    """VM 100 on LUN 1, on a node whose name the target knows."""
    name = tmp_path / "initiatorname.iscsi"
    name.write_text(f"InitiatorName={OURS}\n")
    monkeypatch.setattr(remote_volumes, "INITIATOR", name)
    double.node.add_storage("far", "iscsidirect", portal=f"127.0.0.1:{target.port}", target=TARGET, size="64M")
    double.define("100", config("boot: order=scsi0", "scsi0: far:lun1"))
    return double


def test_lun_is_repaired_moved_and_given_back(vm, target) -> None:
    before = target.digest
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    conf = vm.conf("100").main
    assert conf["sata0"].startswith("far:lun1")
    assert "lock" not in conf
    assert target.digest != before
    assert main(["inspect", "proxmox:100", "--quiet"]) == 0
    assert main(["undo", "proxmox:100", "--quiet"]) == 0
    assert vm.conf("100").main["scsi0"].startswith("far:lun1")
    assert target.digest == before


def test_node_that_the_target_does_not_know_is_told_so(vm, target, capfd) -> None:
    remote_volumes.INITIATOR.write_text("InitiatorName=iqn.1993-08.org.debian:01:other\n")
    before = target.digest
    assert main(["repair", "proxmox:100", "--json"]) != 0
    (why, *_) = json.loads(capfd.readouterr().out)["reasons"]
    assert why["kind"] == "remote-unreachable"
    assert "lock" not in vm.conf("100").main
    assert target.digest == before
