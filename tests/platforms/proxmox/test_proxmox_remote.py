# SPDX-License-Identifier: Apache-2.0
"""A VM of a cluster elsewhere, over HTTPS, against a fake of Proxmox' API that knows tokens, privileges, schema and digests."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.platforms.proxmox.remote import parse_token

# Looked for, never imported here: the fake's licence is not ours, so it runs as a process of its own.
MISSING = [name for name in ("fakepve", "proxmoxer", "requests") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

HERE = Path(__file__).resolve().parent
TOKEN, SECRET = "mover@pve!unxen", "11111111-2222-3333-4444-555555555555"
DISK = "local-lvm:vm-100-disk-0"
CONFIG = {"boot": "order=scsi0;net0", "net0": "e1000=52:54:00:00:00:01,bridge=vmbr0", "scsi0": f"{DISK},iothread=1,size=32G"}
RIGHTS = ("VM.Audit", "VM.Config.Disk", "VM.Config.HWType", "Datastore.AllocateSpace", "Datastore.Audit")


@dataclass
class Fake:
    """A running fake."""

    process: subprocess.Popen
    port: int
    ca: str
    token: Path

    def switch(self, *options: str, trust: tuple[str, ...] | None = None, target: str = "proxmox:100") -> int:
        trust = ("--ca", self.ca) if trust is None else trust
        words = ("--host", f"127.0.0.1:{self.port}", "--token-file", str(self.token))
        return main(["switch", target, *words, *trust, *options])

    def config(self) -> dict[str, str]:
        import requests

        url = f"https://127.0.0.1:{self.port}/api2/json/nodes/pve1/qemu/100/config"
        headers = {"Authorization": f"PVEAPIToken={TOKEN}={SECRET}"}
        found = requests.get(url, headers=headers, verify=self.ca, timeout=30).json()["data"]
        return {key: value for key, value in found.items() if key not in ("digest", "name", "vmgenid", "meta")}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator:
    started: list[subprocess.Popen] = []

    def start(config: dict | None = None, *, rights: tuple[str, ...] = RIGHTS, **more: object) -> Fake:
        asked = {"vms": {"100": config or dict(CONFIG)}, "tokens": {TOKEN: SECRET}, "certs": str(tmp_path), **more}
        asked["grants"] = [[TOKEN, "/", *rights]]
        argv = [sys.executable, HERE / "run_fakepve.py", json.dumps(asked)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        told = json.loads(process.stdout.readline())
        token = tmp_path / "token"
        token.write_text(f"{TOKEN}={SECRET}\n")
        token.chmod(0o600)
        return Fake(process, told["port"], told["ca"], token)

    yield start
    for each in started:
        each.stdin.close()
        each.wait(30)
        each.stdout.close()


def told(capfd) -> dict:
    (reason,) = json.loads(capfd.readouterr().out)["reasons"]
    return reason


def test_boot_disk_moves_with_its_place_in_the_order(fake, capfd) -> None:
    cluster = fake()
    assert cluster.switch("--bus", "sata", "--dry-run") == 0
    assert "scsi0 to sata0" in capfd.readouterr().out
    assert cluster.config()["scsi0"].startswith(DISK)
    assert cluster.switch("--bus", "sata", "--json") == 0
    changes = json.loads(capfd.readouterr().out)["definition"]
    assert [each["part"] for each in changes] == ["disk-bus", "disk-option", "boot-order"]
    config = cluster.config()
    assert config["sata0"].startswith(DISK)
    assert "iothread" not in config["sata0"]
    assert "scsi0" not in config
    assert config["boot"] == "order=sata0;net0"
    assert cluster.switch("--bus", "sata") == 0
    assert "nothing to do" in capfd.readouterr().out


@pytest.mark.parametrize("missing", ["VM.Audit", "VM.Config.Disk"])
def test_missing_privilege_is_named_before_anything_is_done(fake, capfd, missing: str) -> None:
    cluster = fake(rights=tuple(each for each in RIGHTS if each != missing))
    assert cluster.switch("--bus", "sata", "--json") == 51
    assert missing in told(capfd)["details"]["problem"]


def test_right_to_change_hardware_is_asked_for_only_where_it_is_needed(fake, capfd) -> None:
    cluster = fake(rights=tuple(each for each in RIGHTS if each != "VM.Config.HWType"))
    assert cluster.switch("--bus", "virtio-scsi", "--json") == 51
    assert "VM.Config.HWType" in told(capfd)["details"]["problem"]
    assert cluster.switch("--bus", "sata") == 0


def test_certificate_is_checked_unless_somebody_asked_not_to(fake, capfd) -> None:
    cluster = fake()
    assert cluster.switch("--bus", "sata", "--json", trust=()) == 50
    assert "certificate" in told(capfd)["details"]["problem"]
    assert cluster.switch("--bus", "sata", trust=("--insecure",)) == 0


def test_wrong_secret_is_refused_and_told_nowhere(fake, capfd) -> None:
    cluster = fake()
    cluster.token.write_text(f"{TOKEN}=66666666-2222-3333-4444-555555555555\n")
    assert cluster.switch("--bus", "sata", "--json") == 51
    said = capfd.readouterr()
    assert "66666666" not in said.out + said.err


def test_token_that_others_can_read_is_not_used(fake, capfd) -> None:
    cluster = fake()
    cluster.token.chmod(0o644)
    assert cluster.switch("--bus", "sata", "--json") == 51
    assert "chmod 600" in told(capfd)["details"]["problem"]


@pytest.mark.parametrize("text", ["", "u@pve=secret", "u@pve!t", "u!t=secret", "u@pve!t=a b"])
def test_what_is_no_token_is_wrong_usage(text: str) -> None:
    with pytest.raises(Refused):
        parse_token(text)


def test_running_vm_is_left_alone(fake, capfd) -> None:
    cluster = fake(status="running")
    assert cluster.switch("--bus", "sata", "--json") == 14
    assert cluster.config()["scsi0"].startswith(DISK)


def test_locked_vm_is_left_alone(fake, capfd) -> None:
    cluster = fake({**CONFIG, "lock": "backup"})
    assert cluster.switch("--bus", "sata", "--json") == 50
    assert told(capfd)["kind"] == "guest-locked"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("checksum mismatch (file change by other user?)", "guest-changed"),
        ("VM is locked (migrate)", "guest-locked"),
        ("got no worker upid - start worker failed", "platform-refused"),
    ],
)
def test_refused_change_is_told_in_the_words_of_proxmox(fake, capfd, message: str, kind: str) -> None:
    cluster = fake(fail=[["PUT", "/nodes/pve1/qemu/100/config", 500, message]])
    assert cluster.switch("--bus", "sata", "--json") == 50
    assert told(capfd)["kind"] == kind
    assert cluster.config()["scsi0"].startswith(DISK)


def test_vm_that_is_nowhere(fake, capfd) -> None:
    cluster = fake()
    assert cluster.switch("--bus", "sata", "--json", target="proxmox:999") == 50
    assert told(capfd)["kind"] == "platform-refused"


def test_host_that_does_not_answer(tmp_path: Path, capfd) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}={SECRET}")
    token.chmod(0o600)
    assert main(["switch", "proxmox:100", "--bus", "sata", "--host", "127.0.0.1:1", "--token-file", str(token), "--json"]) == 50
    assert told(capfd)["details"]["problem"] == "it does not answer"
