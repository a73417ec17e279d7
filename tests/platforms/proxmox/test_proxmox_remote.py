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
from published import checked
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.platforms.proxmox.access import PRIVILEGES, Access, Task, access_to, lacking, parse_token
from unxen.platforms.proxmox.api import missing_privileges

# Looked for, never imported here: the fake's licence is not ours, so it runs as a process of its own.
MISSING = [name for name in ("fakepve", "proxmoxer", "requests") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

HERE = Path(__file__).resolve().parent
TOKEN, SECRET = "mover@pve!unxen", "11111111-2222-3333-4444-555555555555"
DISK = "local-lvm:vm-100-disk-0"
CONFIG = {"boot": "order=scsi0;net0", "net0": "e1000=52:54:00:00:00:01,bridge=vmbr0", "scsi0": f"{DISK},iothread=1,size=32G"}
RIGHTS = ("VM.Audit", "VM.Config.Disk", "VM.Config.HWType", "VM.Config.Options", "Datastore.AllocateSpace", "Datastore.Audit")
FORBIDDEN = ("force", "skiplock", "unused", "purge", "destroy")


@dataclass
class Fake:
    """A running fake."""

    process: subprocess.Popen
    port: int
    ca: str
    token: Path

    def call(self, verb: str, *words: str, trust: tuple[str, ...] | None = None) -> int:
        trust = ("--ca", self.ca) if trust is None else trust
        return main([verb, *words, "--host", f"127.0.0.1:{self.port}", "--token-file", str(self.token), *trust])

    def switch(self, *options: str, trust: tuple[str, ...] | None = None, target: str = "proxmox:100") -> int:
        return self.call("switch", target, *options, trust=trust)

    def access(self) -> Access:
        return access_to(f"127.0.0.1:{self.port}", str(self.token), self.ca)

    def config(self) -> dict[str, str]:
        import requests

        url = f"https://127.0.0.1:{self.port}/api2/json/nodes/pve1/qemu/100/config"
        headers = {"Authorization": f"PVEAPIToken={TOKEN}={SECRET}"}
        found = requests.get(url, headers=headers, verify=self.ca, timeout=30).json()["data"]
        return {key: value for key, value in found.items() if key not in ("digest", "name", "vmgenid", "meta")}

    def put(self, **values: str) -> None:
        """What somebody else does there."""
        import requests

        url = f"https://127.0.0.1:{self.port}/api2/json/nodes/pve1/qemu/100/config"
        headers = {"Authorization": f"PVEAPIToken={TOKEN}={SECRET}"}
        requests.put(url, data=values, headers=headers, verify=self.ca, timeout=30).raise_for_status()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator:
    started: list[subprocess.Popen] = []

    def start(config: dict | None = None, *, rights: tuple[str, ...] = RIGHTS, **more: object) -> Fake:
        asked = {"vms": {"100": config or dict(CONFIG)}, "tokens": {TOKEN: SECRET}, "certs": str(tmp_path), **more}
        asked["grants"] = [[TOKEN, "/", *rights], *asked.pop("narrow", [])]
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
        requests = finished(each)
        assert [row for row in requests if row[0] == "DELETE" or any(word in row[2] for word in FORBIDDEN)] == []


def finished(process: subprocess.Popen) -> list[list[str]]:
    """Every request that the fake got: method, path, body."""
    if process.stdin.closed:
        return []
    process.stdin.close()
    with process.stdout:
        requests = json.loads(process.stdout.read())
    process.wait(30)
    return requests


def told(capfd) -> dict:
    (reason,) = checked("outcome", capfd.readouterr().out)["reasons"]
    return reason


def test_boot_disk_moves_with_its_place_in_the_order(fake, capfd) -> None:
    cluster = fake()
    assert cluster.switch("--bus", "sata", "--dry-run") == 0
    assert "scsi0 to sata0" in capfd.readouterr().out
    assert cluster.config()["scsi0"].startswith(DISK)
    assert cluster.switch("--bus", "sata", "--json") == 0
    changes = checked("remote-switch", capfd.readouterr().out)["definition"]
    assert [each["part"] for each in changes] == ["disk-bus", "disk-option", "boot-order"]
    config = cluster.config()
    assert config["sata0"].startswith(DISK)
    assert "iothread" not in config["sata0"]
    assert "scsi0" not in config
    assert config["boot"] == "order=sata0;net0"
    assert cluster.switch("--bus", "sata") == 0
    assert "nothing to do" in capfd.readouterr().out


def test_switch_is_one_request_with_the_digest_and_deletes_no_volume(fake) -> None:
    cluster = fake()
    assert cluster.switch("--bus", "sata") == 0
    (move, *notes) = [row for row in finished(cluster.process) if row[0] == "PUT"]
    assert all(word in move[2] for word in ("sata0", "boot", "digest", "delete"))
    assert all("delete" not in row[2] for row in notes)
    assert not any(word in row[2] for row in (move, *notes) for word in FORBIDDEN)


@pytest.mark.parametrize("missing", ["VM.Audit", "VM.Config.Disk"])
def test_missing_privilege_is_named_before_anything_is_done(fake, capfd, missing: str) -> None:
    cluster = fake(rights=tuple(each for each in RIGHTS if each != missing))
    assert cluster.switch("--bus", "sata", "--json") == 51
    why = told(capfd)
    assert (why["kind"], why["details"]["missing"]) == ("privilege-missing", missing)
    assert why["what"] == f"the token {TOKEN} lacks {missing} on /vms/100"


def test_right_to_change_hardware_is_asked_for_only_where_it_is_needed(fake, capfd) -> None:
    cluster = fake(rights=tuple(each for each in RIGHTS if each != "VM.Config.HWType"))
    assert cluster.switch("--bus", "virtio-scsi", "--json") == 51
    assert told(capfd)["details"]["missing"] == "VM.Config.HWType"
    assert cluster.switch("--bus", "virtio-scsi", "--dry-run", "--json") == 51
    capfd.readouterr()
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


def without(*missing: str) -> tuple[str, ...]:
    return tuple(each for each in RIGHTS if each not in missing)


def test_definition_is_told_without_its_disks(fake, capfd) -> None:
    cluster = fake()
    before = cluster.config()
    assert cluster.call("inspect", "proxmox:100", "--json") == 0
    told_of = checked("remote-inspect", capfd.readouterr().out)
    assert (told_of["disks_seen"], told_of["bus"], told_of["machine"], told_of["firmware"]) == (False, "scsi-lsi", "i440fx", "bios")
    assert told_of["slots"] == [{"place": "scsi0", "volume": DISK, "bus": "scsi-lsi"}]
    assert told_of["offered"] == ["ide", "sata", "virtio-blk", "virtio-scsi"]
    assert (told_of["against"], told_of["lacking"], told_of["notes"], told_of["tagged"]) == ([], {}, [], False)
    assert cluster.call("inspect", "proxmox:100") == 0
    said = capfd.readouterr().out
    assert "unxen inspect proxmox:100 there" in " ".join(said.split())
    assert cluster.config() == before


def test_what_is_in_the_way_is_told_with_what_the_token_lacks(fake, capfd) -> None:
    cluster = fake({**CONFIG, "lock": "backup"}, status="running", rights=without("VM.Config.Disk", "VM.Config.Options"))
    assert cluster.call("inspect", "proxmox:100", "--json") == 50
    told_of = checked("remote-inspect", capfd.readouterr().out)
    assert [each["kind"] for each in told_of["against"]] == ["in-use", "guest-locked"]
    assert told_of["lacking"] == {"move": ["VM.Config.Disk"], "note": ["VM.Config.Options"]}
    assert cluster.call("inspect", "proxmox:100") == 50
    said = " ".join(capfd.readouterr().out.split())
    assert "the token lacks VM.Config.Disk" in said


def test_text_of_a_cluster_cannot_steer_a_terminal(fake, capfd) -> None:
    cluster = fake({**CONFIG, "description": "<!-- unxen: this part is written by unxen -->\n- \x1b[2Jx\n<!-- unxen: end -->"})
    assert cluster.call("inspect", "proxmox:100") == 0
    said = capfd.readouterr().out
    assert "\x1b" not in said
    assert "\\x1b[2Jx" in said


def test_plan_is_what_a_switch_would_do(fake, capfd) -> None:
    cluster = fake()
    assert cluster.call("plan", "proxmox:100", "--bus", "sata") == 0
    said = capfd.readouterr().out
    assert "scsi0 to sata0" in said
    assert "nothing was changed" in said
    assert cluster.config()["scsi0"].startswith(DISK)
    assert cluster.call("plan", "proxmox:100", "--json") == 2


def test_undo_gives_the_definition_back_once(fake, capfd) -> None:
    cluster = fake()
    before = cluster.config()
    assert cluster.call("undo", "proxmox:100", "--json") == 43
    assert cluster.switch("--bus", "virtio-scsi") == 0
    assert cluster.config()["scsihw"] == "virtio-scsi-single"
    assert cluster.switch("--bus", "sata") == 0
    capfd.readouterr()
    assert cluster.call("undo", "proxmox:100", "--json") == 0
    assert checked("outcome", capfd.readouterr().out)["switched"] is True
    assert "sata0" not in cluster.config()
    assert cluster.call("undo", "proxmox:100") == 0
    assert "undone" in capfd.readouterr().out
    after = cluster.config()
    assert {key: after.get(key) for key in before} == before
    assert "scsihw" not in after
    assert cluster.call("undo", "proxmox:100", "--json") == 43


def test_undo_is_refused_when_somebody_changed_the_definition_since(fake, capfd) -> None:
    cluster = fake()
    assert cluster.switch("--bus", "sata") == 0
    cluster.put(sata3=f"{DISK},cache=none")
    before = cluster.config()
    capfd.readouterr()
    assert cluster.call("undo", "proxmox:100", "--json") == 50
    assert told(capfd)["kind"] == "definition-changed"
    assert cluster.config() == before


def test_refused_switch_can_be_tried_again_and_undone(fake, capfd) -> None:
    cluster = fake(fail=[["PUT", "/nodes/pve1/qemu/100/config", 500, "got lock timeout", 1]])
    assert cluster.switch("--bus", "sata", "--json") == 50
    capfd.readouterr()
    assert cluster.switch("--bus", "sata", "--json") == 0
    assert checked("remote-switch", capfd.readouterr().out)["entry"] == 1
    assert cluster.call("undo", "proxmox:100", "--quiet") == 0
    assert cluster.config()["scsi0"].startswith(DISK)


def test_note_and_tag_show_who_switched_and_are_reported(fake, capfd) -> None:
    cluster = fake({**CONFIG, "description": "by hand", "tags": "prod"})
    assert cluster.call("report") == 0
    assert "no VM" in capfd.readouterr().out
    assert cluster.switch("--bus", "sata") == 0
    config = cluster.config()
    assert config["description"].startswith("by hand\n\n<!-- unxen")
    assert sorted(config["tags"].split(";")) == ["prod", "unxen"]
    capfd.readouterr()
    assert cluster.call("report", "--json") == 0
    (row,) = checked("remote-report", capfd.readouterr().out)["guests"]
    assert (row["target"], row["running"], row["tagged"]) == (["proxmox:100"], False, True)
    assert "scsi0 to sata0" in row["notes"][0]
    assert cluster.call("report", "proxmox:100") == 0
    assert "disks were not looked at" in " ".join(capfd.readouterr().out.split())


def test_report_shows_what_a_narrow_token_may_see(fake, capfd) -> None:
    cluster = fake({**CONFIG, "tags": "unxen"}, rights=(), narrow=[[TOKEN, "/vms/100", "VM.Audit"]])
    assert cluster.call("report", "--json") == 0
    assert [each["target"] for each in checked("remote-report", capfd.readouterr().out)["guests"]] == [["proxmox:100"]]
    blind = fake({**CONFIG, "tags": "unxen"}, rights=("Sys.Audit",))
    assert blind.call("report", "--json") == 51
    assert told(capfd)["details"]["missing"] == "VM.Audit"


def test_token_that_may_leave_no_note_switches_all_the_same(fake, capfd, caplog) -> None:
    cluster = fake(rights=without("VM.Config.Options"))
    assert cluster.switch("--bus", "sata") == 0
    assert "sata0" in cluster.config()
    assert "VM.Config.Options" in caplog.text


def test_privileges_of_a_token_can_be_asked_for_at_large(fake) -> None:
    cluster = fake(rights=without("VM.Config.HWType"))
    assert missing_privileges(cluster.access()) == {Task.CONTROLLER: ("VM.Config.HWType",)}
    assert missing_privileges(cluster.access(), (Task.LOOK, Task.MOVE), "100") == {}


def test_privilege_that_is_not_passed_down_counts_only_where_it_was_given() -> None:
    everything = dict.fromkeys((name for names in PRIVILEGES.values() for name in names), 1)
    assert lacking({"/": everything}, "/vms/100", tuple(Task)) == {}
    assert lacking({"/vms": {**everything, "VM.Audit": 0}}, "/vms/100", tuple(Task)) == {Task.LOOK: ("VM.Audit",)}
    assert lacking({"/vms/100": {**everything, "VM.Audit": 0}}, "/vms/100", tuple(Task)) == {}
    assert set(lacking({}, "/vms", tuple(Task))) == set(Task)


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "/srv/a.raw", "--host", "h", "--token-file", "t"],
        ["inspect", "proxmox:100", "--token-file", "t"],
        ["inspect", "proxmox:100", "--host", "h"],
        ["undo", "proxmox:100", "--registry", "--host", "h", "--token-file", "t"],
        ["repair", "proxmox:100", "--host", "h", "--token-file", "t"],
    ],
)
def test_call_that_asks_for_a_disk_from_elsewhere_is_wrong_usage(words: list[str]) -> None:
    assert main(words) == 2


@pytest.mark.parametrize(
    ("missing", "state", "code"), [("", "fine", 0), ("VM.Config.Options", "absent", 0), ("VM.Config.Disk", "failed", 51)]
)
def test_doctor_says_what_a_token_lacks(fake, capfd, missing: str, state: str, code: int) -> None:
    cluster = fake(rights=tuple(each for each in RIGHTS if each != missing))
    assert cluster.call("doctor", "--json") == code
    row = next(each for each in checked("doctor", capfd.readouterr().out)["checks"] if each["name"] == f"token {TOKEN}")
    assert row["state"] == state
    assert not missing or f"lacks {missing} on /vms" in row["reason"]["what"]
    assert not missing or "pveum acl modify /vms" in row["reason"]["remedy"]
