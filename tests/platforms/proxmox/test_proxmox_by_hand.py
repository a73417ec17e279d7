# SPDX-License-Identifier: Apache-2.0
"""inspect, repair and undo of a VM by its number, on a node that is a double, with real disks."""

import hashlib
import os
import signal
from pathlib import Path

import pytest
from forbidden import destructive
from generators.disks import run
from node_double import storage
from published import checked
from unxen.cli.main import main
from unxen.platforms.proxmox.node import LocalNode
from vms import PLACE, VOLUME, config, disk

pytestmark = pytest.mark.disk
BOOT = "boot: order=scsi0;ide2;net0"
SNAPSHOT = f"\n[before]\nscsi0: {VOLUME},size=1G\n"
DISK_LINE = f"scsi0: {VOLUME},cache=none,iothread=1,size=1G"


@pytest.fixture(scope="module")
def disks(tmp_path_factory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("disks")
    return {
        "xen": disk(top / "xen.raw", "xcpng"),
        "xen.qcow2": disk(top / "xen.qcow2", "xcpng"),
        "xp": disk(top / "xp.raw", "gplpv", generation="xp"),
        "plain": disk(top / "plain.raw"),
    }


@pytest.fixture
def vm(double, disks):
    """VM 100 with a Windows from Xen on scsi0, which is an LSI controller."""
    double.volume("100/vm-100-disk-0.raw", disks["xen"])
    double.define("100", "#made by hand\n" + config(BOOT, DISK_LINE) + SNAPSHOT)
    return double


def digest(double, place: str = PLACE) -> str:
    return hashlib.sha256((double.root / place).read_bytes()).hexdigest()


def document(capfd) -> dict:
    return checked("outcome", capfd.readouterr().out)


def changes_asked(double) -> list[list[str]]:
    return [request for request in double.requests() if request[:2] == ["qm", "set"]]


def slots(double, vmid: str = "100") -> dict[str, str]:
    """Slot and unused keys with their volumes."""
    kinds = ("ide", "sata", "scsi", "virtio", "unused")
    main_part = double.conf(vmid).main
    found = {key: value.split(",")[0] for key, value in main_part.items() if key.rstrip("0123456789") in kinds}
    return {key: value for key, value in found.items() if value != "none"}


def refused(double, capfd, verb: str, kind: str, code: int, target: str = "proxmox:100") -> dict:
    """The verb is refused for this reason, and neither disk nor configuration has changed."""
    path = double.node.config_path(target.partition(":")[2])
    before = path.read_bytes() if path.exists() else b""
    capfd.readouterr()
    assert main([verb, target, "--json"]) == code
    told = document(capfd)
    assert kind in [each["kind"] for each in told["reasons"]], told["reasons"]
    assert (path.read_bytes() if path.exists() else b"") == before
    return told


def test_inspect_tells_bus_and_what_would_change(vm, capfd) -> None:
    before = vm.node.config_path("100").read_bytes()
    assert main(["inspect", "proxmox:100", "--json"]) == 3
    told = document(capfd)
    assert told["target"] == ["proxmox:100"]
    assert told["bus"] == "sata"
    assert [(each["part"], each["before"], each["after"]) for each in told["definition"]] == [
        ("disk-bus", "scsi0", "sata0"),
        ("disk-option", "iothread=1", None),
        ("boot-order", "order=scsi0;ide2;net0", "order=sata0;ide2;net0"),
    ]
    assert vm.node.config_path("100").read_bytes() == before
    assert changes_asked(vm) == []


def test_repair_mends_the_disk_and_moves_it_in_one_request(vm, capfd) -> None:
    assert main(["repair", "proxmox:100", "--json"]) == 0
    assert document(capfd)["verdict"] == "repaired"
    conf = vm.conf("100")
    assert conf.main["sata0"].startswith(f"{VOLUME},cache=none,size=")
    assert conf.main["boot"] == "order=sata0;ide2;net0"
    assert slots(vm) == {"sata0": VOLUME}
    assert "lock" not in conf.main
    assert (conf.pending, conf.deletes) == ({}, [])
    assert conf.snapshots["before"] == {"scsi0": f"{VOLUME},size=1G"}
    assert conf.description.startswith("made by hand\n\n<!-- unxen")
    assert conf.main["tags"] == "unxen"
    moves = [request for request in vm.requests() if "--sata0" in request]
    assert len(moves) == 1
    assert {"--delete", "--boot", "--digest"} <= set(moves[0])
    assert main(["inspect", "proxmox:100", "--json"]) == 0


def test_undo_gives_back_disk_and_configuration(vm, capfd) -> None:
    before, values = digest(vm), vm.conf("100").main
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert digest(vm) != before
    assert main(["undo", "proxmox:100", "--quiet"]) == 0
    after = vm.conf("100").main
    after.pop("tags")
    after["scsi0"], values["scsi0"] = (each["scsi0"].rpartition(",")[0] for each in (after, values))
    assert digest(vm) == before
    assert after == values


def test_undo_is_refused_when_somebody_moved_the_disk_since(vm, capfd) -> None:
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    vm.ok("qm", "set", "100", "--delete", "sata0", "--sata3", VOLUME)
    refused(vm, capfd, "undo", "definition-changed", 50)


def test_notes_can_be_turned_off(vm, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "unxen.toml"
    path.write_text("notes = false\n")
    monkeypatch.setenv("UNXEN_CONFIG", str(path))
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert vm.conf("100").description == "made by hand"
    assert "tags" not in vm.conf("100").main


def test_unused_disk_of_a_vm_without_another_is_attached_and_undone(double, disks) -> None:
    double.volume("100/vm-100-disk-0.qcow2", disks["xen.qcow2"])
    volume = "local:100/vm-100-disk-0.qcow2"
    double.define("100", config("boot: order=net0", f"unused0: {volume}"))
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert slots(double) == {"sata0": volume}
    assert double.conf("100").main["boot"] == "order=sata0;net0"
    assert main(["undo", "proxmox:100", "--quiet"]) == 0
    assert slots(double) == {"unused0": volume}
    assert (double.root / "storage/local/images/100/vm-100-disk-0.qcow2").exists()


def test_policy_may_leave_an_unused_disk_where_it_is(double, disks, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "unxen.toml"
    path.write_text("proxmox_attach_unused = false\n")
    monkeypatch.setenv("UNXEN_CONFIG", str(path))
    double.volume("100/vm-100-disk-0.raw", disks["xen"])
    before = digest(double)
    double.define("100", config(f"unused0: {VOLUME}"))
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert digest(double) != before
    assert slots(double) == {"unused0": VOLUME}


def test_xp_goes_to_ide_and_needs_i440fx(double, disks, capfd) -> None:
    double.volume("100/vm-100-disk-0.raw", disks["xp"])
    double.define("100", config(DISK_LINE, "machine: q35"))
    before = digest(double)
    assert main(["repair", "proxmox:100", "--json"]) == 26
    assert digest(double) == before
    double.define("100", config(DISK_LINE))
    capfd.readouterr()
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert slots(double) == {"ide0": VOLUME}


def test_linked_clone_is_repaired_and_its_base_never_written(double, disks, capfd) -> None:
    base = double.volume("9000/base-9000-disk-0.qcow2", disks["xen.qcow2"])
    clone = double.root / "storage/local/images/100/vm-100-disk-0.qcow2"
    clone.parent.mkdir(parents=True)
    run("qemu-img", "create", "-f", "qcow2", "-F", "qcow2", "-b", "../9000/base-9000-disk-0.qcow2", clone)
    before = base.read_bytes()
    volume = "local:9000/base-9000-disk-0.qcow2/100/vm-100-disk-0.qcow2"
    double.define("100", config(f"scsi0: {volume}"))
    double.define("9000", config("scsi0: local:9000/base-9000-disk-0.qcow2", "template: 1"))
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert slots(double) == {"sata0": volume}
    assert base.read_bytes() == before
    refused(double, capfd, "repair", "backing-of-others", 18, "proxmox:9000")
    assert base.read_bytes() == before


@pytest.mark.parametrize(
    ("lines", "kind", "code"),
    [
        (["lock: backup"], "guest-locked", 50),
        (["lock: create"], "guest-locked", 50),
        (["template: 1"], "platform-refused", 50),
        (["vmstate: local:100/vm-100-state-suspend.raw"], "saved-state", 50),
        (["", "[PENDING]", "sata0: local:100/vm-100-disk-9.raw"], "platform-refused", 50),
    ],
)
def test_vm_that_must_be_left_alone_is_refused_with_the_cause(vm, capfd, lines: list[str], kind: str, code: int) -> None:
    path = vm.node.config_path("100")
    head, tail = path.read_text().split("\n[before]")
    path.write_text(head + "\n".join(lines) + "\n\n[before]" + tail if "" in lines else "\n".join(lines) + "\n" + head)
    before = digest(vm)
    for verb in ("inspect", "repair"):
        refused(vm, capfd, verb, kind, code)
    assert digest(vm) == before
    assert changes_asked(vm) == []


def test_running_vm_is_judged_and_never_repaired(vm, capfd) -> None:
    vm.ok("qm", "start", "100")
    before = digest(vm)
    refused(vm, capfd, "repair", "in-use", 14)
    assert main(["inspect", "proxmox:100", "--json"]) == 3
    assert "stale" in [each["kind"] for each in document(capfd)["notes"]]
    assert digest(vm) == before


def test_disk_that_another_vm_of_the_cluster_has_is_refused(vm, capfd) -> None:
    other = vm.node.etc / "nodes" / "pve2" / "qemu-server"
    other.mkdir(parents=True)
    (other / "200.conf").write_text(f"scsi3: {VOLUME}\n")
    told = refused(vm, capfd, "repair", "disk-shared", 50)
    assert told["reasons"][0]["details"]["others"] == "VM 200"


def test_read_only_disk_does_not_become_writable(vm, capfd) -> None:
    vm.define("100", config(BOOT, f"scsi0: {VOLUME},ro=1"))
    before = digest(vm)
    refused(vm, capfd, "inspect", "platform-refused", 50)
    refused(vm, capfd, "repair", "platform-refused", 50)
    assert digest(vm) == before


def test_thin_volume_is_activated_first(double, disks) -> None:
    double.node.add_storage("thin", "lvmthin", vgname="pve")
    place = storage.hidden(double.node, "thin:vm-100-disk-0")
    place.parent.mkdir()
    place.write_bytes(disks["xen"].read_bytes())
    double.define("100", config("scsi0: thin:vm-100-disk-0"))
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert slots(double) == {"sata0": "thin:vm-100-disk-0"}


@pytest.mark.parametrize(
    ("fault", "kind", "code"), [("activation_fails", "platform-refused", 50), ("activation_does_nothing", "disk-missing", 10)]
)
def test_volume_that_cannot_be_activated_is_refused_with_the_cause(double, capfd, fault: str, kind: str, code: int) -> None:
    double.node.add_storage("thin", "lvmthin", vgname="pve")
    place = storage.hidden(double.node, "thin:vm-100-disk-0")
    place.parent.mkdir()
    place.write_bytes(b"x")
    double.define("100", config("scsi0: thin:vm-100-disk-0"))
    double.faults(**{fault: True})
    told = refused(double, capfd, "repair", kind, code)
    assert "activate" in told["reasons"][0]["details"]["cause"]


def test_storage_of_an_unknown_type_is_refused(double, capfd) -> None:
    double.node.add_storage("far", "sheepdog")
    double.define("100", config("scsi0: far:vm-100-disk-0"))
    told = refused(double, capfd, "inspect", "platform-refused", 50)
    assert "not known" in told["reasons"][0]["details"]["problem"]


def test_words_on_stderr_are_no_failure(vm) -> None:
    vm.faults(noise=True)
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert slots(vm) == {"sata0": VOLUME}


def test_failed_request_is_taken_back_and_tried_again(vm, capfd) -> None:
    lines = vm.conf("100").main
    vm.faults(fail_after_adds=1)
    assert main(["repair", "proxmox:100", "--json"]) == 41
    told = document(capfd)
    assert told["verdict"] == "repaired"
    assert "got lock timeout" in told["reasons"][0]["details"]["cause"]
    conf = vm.conf("100")
    assert (conf.pending, conf.deletes) == ({}, [])
    assert slots(vm) == {"scsi0": VOLUME}
    assert conf.main["boot"] == lines["boot"]
    assert "lock" not in conf.main
    repaired = digest(vm)
    vm.faults()
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert slots(vm) == {"sata0": VOLUME}
    assert digest(vm) == repaired


def test_without_quorum_nothing_is_begun(vm, capfd) -> None:
    before = digest(vm)
    vm.faults(read_only=True)
    refused(vm, capfd, "repair", "platform-refused", 50)
    assert digest(vm) == before


def test_configuration_changed_between_look_and_lock_is_looked_at_again(vm, capfd, monkeypatch) -> None:
    lock = LocalNode.lock

    def change_first(self, vmid: str, digest: str) -> None:
        vm.ok("qm", "set", vmid, "--memory", "1024")
        lock(self, vmid, digest)

    monkeypatch.setattr(LocalNode, "lock", change_first)
    before = digest(vm)
    assert main(["repair", "proxmox:100", "--json"]) == 50
    assert [each["kind"] for each in document(capfd)["reasons"]] == ["guest-changed"]
    assert digest(vm) == before
    assert "lock" not in vm.conf("100").main


def test_vm_started_half_way_is_left_alone(vm, capfd, monkeypatch) -> None:
    lock = LocalNode.lock

    def start_first(self, vmid: str, digest: str) -> None:
        vm.ok("qm", "start", vmid)
        lock(self, vmid, digest)

    monkeypatch.setattr(LocalNode, "lock", start_first)
    before = digest(vm)
    assert main(["repair", "proxmox:100", "--json"]) == 14
    assert digest(vm) == before
    assert "lock" not in vm.conf("100").main
    assert slots(vm) == {"scsi0": VOLUME}


def test_start_during_a_repair_is_refused_by_proxmox(vm, monkeypatch) -> None:
    said = []
    update = LocalNode.update

    def start_meanwhile(self, vmid: str, request) -> None:
        said.append(vm.run("qm", "start", vmid).stderr)
        update(self, vmid, request)

    monkeypatch.setattr(LocalNode, "update", start_meanwhile)
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert said == ["VM is locked (create)\n"]
    assert vm.ok("qm", "status", "100") == "status: stopped\n"


def test_lock_that_a_dead_unxen_left_is_known_again_and_goes(vm, capfd) -> None:
    """The process is killed with the VM locked, as by a reboot of the node."""
    assert vm.run("unxen", "repair", "proxmox:100", DIE_AFTER="lock").returncode == -signal.SIGKILL
    assert vm.conf("100").main["lock"] == "create"
    assert main(["inspect", "proxmox:100", "--json"]) == 3
    capfd.readouterr()
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert "lock" not in vm.conf("100").main
    assert slots(vm) == {"sata0": VOLUME}


def test_lock_of_somebody_else_after_a_crash_of_ours_is_theirs(vm, capfd) -> None:
    test_lock_that_a_dead_unxen_left_is_known_again_and_goes(vm, capfd)
    vm.ok("qm", "set", "100", "--lock", "create")
    refused(vm, capfd, "repair", "guest-locked", 50)
    assert vm.conf("100").main["lock"] == "create"


@pytest.mark.parametrize(("target", "code"), [("proxmox:abc", 2), ("proxmox:999", 50), ("proxmox:", 2)])
def test_target_that_is_no_vm(double, capfd, target: str, code: int) -> None:
    assert main(["inspect", target, "--json"]) == code


def test_host_that_is_no_node_says_so(double, capfd) -> None:
    (double.node.etc / "qemu-server").unlink()
    assert main(["inspect", "proxmox:100", "--json"]) == 50
    assert "no Proxmox node" in document(capfd)["reasons"][0]["details"]["problem"]


def test_format_is_told_by_the_storage(vm, capfd) -> None:
    assert main(["inspect", "proxmox:100", "--format", "raw", "--json"]) == 2


def crashed(vm) -> None:
    """VM 100 stays locked, nothing else having happened."""
    assert vm.run("unxen", "repair", "proxmox:100", DIE_AFTER="lock").returncode == -signal.SIGKILL
    assert vm.conf("100").main["lock"] == "create"


def test_recovery_takes_the_lock_of_a_crash_away(vm) -> None:
    crashed(vm)
    assert main(["recover", "--quiet"]) == 0
    assert "lock" not in vm.conf("100").main
    assert slots(vm) == {"scsi0": VOLUME}


def test_watcher_takes_it_away_even_where_it_only_reports(vm, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "unxen.toml"
    path.write_text('watch = "report"\nwatch_quiet_seconds = 0\n')
    monkeypatch.setenv("UNXEN_CONFIG", str(path))
    crashed(vm)
    assert main(["watch", "proxmox", "--once"]) == 0
    assert "lock" not in vm.conf("100").main
    assert slots(vm) == {"scsi0": VOLUME}


def test_half_written_disk_keeps_its_vm_locked_until_it_is_whole(vm, capfd, monkeypatch) -> None:
    """The commit dies: Proxmox must not start what is a mix of old and new, whoever tries, on whatever node."""
    before = digest(vm)
    assert vm.run("unxen", "repair", "proxmox:100", DIE_AFTER="half-commit").returncode == -signal.SIGKILL
    assert digest(vm) != before
    assert "locked (create)" in vm.run("qm", "start", "100").stderr
    refused(vm, capfd, "repair", "commit-unfinished", 44)
    assert vm.conf("100").main["lock"] == "create"
    assert main(["recover", "--quiet"]) == 0
    assert "lock" not in vm.conf("100").main
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    assert slots(vm) == {"sata0": VOLUME}


@pytest.mark.parametrize("verb", ["recover", "repair"])
def test_request_that_died_half_way_is_taken_back_with_the_lock(vm, capfd, verb: str) -> None:
    vm.faults(fail_after_adds=1)
    assert vm.run("unxen", "repair", "proxmox:100", DIE_AFTER="half-request").returncode == -signal.SIGKILL
    assert vm.conf("100").deletes == ["scsi0"]
    vm.faults()
    assert main([verb, *(["proxmox:100"] if verb == "repair" else []), "--quiet"]) == 0
    conf = vm.conf("100")
    assert (conf.pending, conf.deletes) == ({}, [])
    assert "lock" not in conf.main
    assert slots(vm) == {"sata0" if verb == "repair" else "scsi0": VOLUME}


def test_check_of_requests_knows_the_destructive_ones() -> None:
    assert destructive(["qm", "set", "100", "--delete", "unused0"])
    assert destructive(["qm", "set", "100", "--delete=scsi0,unused1"])
    assert destructive(["pvesh", "set", "/nodes/x/qemu/100/config", "-delete", "sata0", "-force", "1"])
    assert destructive(["pvesm", "free", "local:100/vm-100-disk-0.raw"])
    assert destructive(["qm", "destroy", "100"])
    assert not destructive(["qm", "set", "100", "--delete", "scsi0", "--sata0", "local:100/vm-100-disk-0.raw"])
    assert not destructive(["pvesm", "free", "local:1/x"], {"local:1/x"})


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "proxmox:100"],
        ["repair", "proxmox:100"],
        ["undo", "proxmox:100"],
        ["import", "100", "/nowhere.raw", "local"],
        ["hooks", "install", "proxmox", "100"],
    ],
)
def test_user_without_the_rights_of_root_is_told_so_before_anything(double, capfd, monkeypatch, words: list[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert main(words) == 51
    said = " ".join(capfd.readouterr().err.split())
    assert "the user 4711 lacks the rights of root" in said
    assert "sudo" in said
    assert double.requests() == []


def test_clock_of_a_vm_that_needs_nothing_else_is_set_alone_and_taken_back(double, disks, capfd) -> None:
    """Windows takes it for local time; Proxmox gives that only where its own word for the system is a Windows."""
    double.volume("100/vm-100-disk-0.raw", disks["plain"])
    double.define("100", config("boot: order=sata0;ide2;net0", f"sata0: {VOLUME},size=1G", "ostype: other"))
    before, values = digest(double), double.conf("100").main
    assert main(["inspect", "proxmox:100", "--quiet"]) == 0
    assert main(["repair", "proxmox:100", "--fix", "clock", "--json"]) == 0
    capfd.readouterr()
    assert [request for request in double.requests() if "--localtime" in request and "--sata0" not in request]
    assert double.conf("100").main["localtime"] == "1"
    assert slots(double) == {"sata0": VOLUME}
    assert main(["repair", "proxmox:100", "--fix", "clock", "--json"]) == 0
    assert document(capfd)["definition"] == []
    assert main(["undo", "proxmox:100", "--quiet"]) == 0
    after = double.conf("100").main
    after.pop("tags", None)
    assert (digest(double), after) == (before, values)


def test_clock_of_a_windows_by_its_ostype_is_right_already(double, disks, capfd) -> None:
    double.volume("100/vm-100-disk-0.raw", disks["plain"])
    double.define("100", config("boot: order=sata0;ide2;net0", f"sata0: {VOLUME},size=1G", "ostype: win10"))
    assert main(["repair", "proxmox:100", "--fix", "clock", "--json"]) == 0
    assert document(capfd)["definition"] == []
