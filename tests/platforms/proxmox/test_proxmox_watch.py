# SPDX-License-Identifier: Apache-2.0
"""What a watcher on a node sees and what it lets pass: every way in which a disk arrives, every state that is not its business."""

import json
import sys
from pathlib import Path

import pytest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from unxen.cli.main import main
from unxen.model.settings import Settings
from unxen.platforms.proxmox import node as door
from unxen.platforms.proxmox.node import LocalNode
from unxen.platforms.proxmox.platform import ProxmoxPlatform
from unxen.services.watch import Rhythm, Treated, Watcher
from vms import VOLUME, config, disk

ONLY_DISK = f"scsi0: {VOLUME},size=64M"


class Watching:
    """A watcher whose treatment only notes the names."""

    def __init__(self, state_dir: Path) -> None:
        self.platform = ProxmoxPlatform(Settings(state_dir), LocalNode(door.PLACES))
        self.names: list[str] = []
        self.now = 0.0
        rhythm = Rhythm(debounce=0.5, poll=60.0)
        self.watcher = Watcher(self.platform, self._treat, rhythm, clock=lambda: self.now)

    def _treat(self, name: str) -> Treated:
        self.names.append(name)
        return Treated.SETTLED

    def seconds(self, number: int = 3) -> list[str]:
        """Whom the next seconds bring."""
        self.names.clear()
        for _ in range(number * 2):
            self.watcher.turn(0.0)
            self.now += 0.5
        return self.names


@pytest.fixture
def vm(double):
    double.volume("100/vm-100-disk-0.raw", b"\0" * (64 << 20))
    double.define("100", config(ONLY_DISK))
    return double


@pytest.fixture
def watching(vm, tmp_path: Path) -> Watching:
    """VM 100 has been looked at."""
    made = Watching(tmp_path / "state")
    assert made.seconds() == ["100"]
    return made


def test_nothing_new_is_nothing_done(watching) -> None:
    assert watching.seconds(200) == []


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.raw"
    path.write_bytes(b"\0" * (1 << 20))
    return path


def importdisk(double, source: Path) -> None:
    double.ok("qm", "importdisk", "100", str(source), "local")


def importdisk_to_a_slot(double, source: Path) -> None:
    double.ok("qm", "disk", "import", "100", str(source), "local", "--target-disk", "sata1")


def import_from_in_an_update(double, source: Path) -> None:
    double.volume("100/vm-100-disk-5.raw")
    double.ok("qm", "set", "100", "--virtio1", "local:100/vm-100-disk-5.raw")


def rescan(double, source: Path) -> None:
    double.volume("100/vm-100-disk-7.raw")
    double.ok("qm", "rescan", "--vmid", "100")


@pytest.mark.parametrize("way", [importdisk, importdisk_to_a_slot, import_from_in_an_update, rescan])
def test_disk_that_arrives_at_a_vm_is_looked_at_once(vm, watching, source, way) -> None:
    way(vm, source)
    assert watching.seconds() == ["100"]
    assert watching.seconds(200) == []


def test_vm_created_from_a_disk_is_looked_at(vm, watching, source) -> None:
    vm.volume("999/vm-999-disk-0.raw")
    vm.ok("qm", "create", "101", "--scsi0", "local:0,import-from=local:999/vm-999-disk-0.raw")
    assert watching.seconds() == ["101"]


def test_restore_is_looked_at_when_its_lock_goes(vm, watching) -> None:
    """Also the import wizard and importovf: the file stands with `lock: create` for a long time, and grows."""
    vm.define("102", "lock: create\nmemory: 128\n")
    assert watching.seconds() == []
    vm.define("102", config("lock: create", "scsi0: local:102/vm-102-disk-0.raw"))
    assert watching.seconds() == []
    vm.define("102", config("scsi0: local:102/vm-102-disk-0.raw"))
    assert watching.seconds() == ["102"]


def test_changes_that_follow_each_other_are_looked_at_once(vm, watching, source) -> None:
    vm.ok("qm", "set", "100", "--memory", "1024")
    watching.watcher.turn(0.0)
    vm.ok("qm", "set", "100", "--cores", "2")
    assert watching.seconds() == ["100"]


def test_running_vm_is_looked_at_when_it_stops(vm, watching, source) -> None:
    vm.ok("qm", "start", "100")
    importdisk(vm, source)
    assert watching.seconds() == []
    vm.ok("qm", "stop", "100")
    assert watching.seconds() == ["100"]


@pytest.mark.parametrize("line", ["template: 1", "vmstate: local:100/vm-100-state-suspend.raw", "lock: backup", "lock: import"])
def test_vm_that_must_be_left_alone_is_not_looked_at(vm, watching, line: str) -> None:
    vm.define("100", config(ONLY_DISK, f"scsi1: {VOLUME}", line))
    assert watching.seconds(200) == []


def test_own_notes_and_tag_are_no_change(vm, watching) -> None:
    watching.platform.note(watching.platform.describe(("proxmox:100",), ()), "repaired")
    assert "repaired" in vm.conf("100").description
    assert watching.seconds(200) == []


def test_vm_that_comes_from_another_node_is_looked_at(vm, watching) -> None:
    """A migration moves the file; nothing happens on this node but that the counters rise."""
    far = vm.node.etc / "nodes" / "pve2" / "qemu-server"
    far.mkdir(parents=True)
    (far / "103.conf").write_text(config("scsi0: local:103/vm-103-disk-0.raw"))
    assert watching.seconds() == []
    (far / "103.conf").rename(vm.node.config_path("103"))
    vm.node.changed("103")
    assert watching.seconds() == ["103"]


def test_edit_that_raises_no_counter_is_seen_by_the_poll(vm, watching) -> None:
    vm.node.config_path("100").write_text(config(ONLY_DISK, "cores: 4"))
    assert watching.seconds(5) == []
    assert watching.seconds(65) == ["100"]


def test_file_that_is_being_written_is_no_vm(vm, watching) -> None:
    (vm.node.configs / "104.conf.tmp.4711").write_text("memory: 1\n")
    vm.node.changed("104")
    assert watching.seconds() == []


def test_restart_of_proxmox_file_system_is_not_the_end_of_all_vms(vm, watching) -> None:
    away = vm.node.etc.with_name("away")
    vm.node.etc.rename(away)
    vm.node.etc.mkdir()
    assert watching.seconds(130) == []
    vm.node.etc.rmdir()
    away.rename(vm.node.etc)
    counters = json.loads((vm.node.etc / ".version").read_text())
    vm.node.write_json(vm.node.etc / ".version", {**counters, "starttime": 2, "vmlist": 1})
    assert watching.seconds(130) == []
    vm.ok("qm", "set", "100", "--cores", "3")
    assert watching.seconds() == ["100"]


def test_vm_that_is_destroyed_and_made_anew_is_looked_at(vm, watching) -> None:
    vm.node.config_path("100").unlink()
    vm.node.changed("100")
    watching.seconds()
    vm.define("100", config(ONLY_DISK))
    assert watching.seconds() == ["100"]


def opened_by(work) -> int:
    """How many files are opened, directories listed included."""
    count, counting = 0, True

    def hook(event: str, _arguments: object) -> None:
        nonlocal count
        if counting and event in ("open", "os.listdir", "os.scandir"):
            count += 1

    sys.addaudithook(hook)
    work()
    counting = False
    return count


def test_idle_second_with_500_vms_opens_two_files(double, tmp_path: Path) -> None:
    """The counters and the list of running VMs: what is read does not grow with the number of VMs."""
    for vmid in range(100, 600):
        double.node.config_path(str(vmid)).write_text(config(f"scsi0: local:{vmid}/vm-{vmid}-disk-0.raw"))
    double.node.changed("100")
    watching = Watching(tmp_path / "state")
    assert len(watching.seconds(300)) == 500
    assert opened_by(lambda: watching.platform.wait(0.0)) == 2
    # The slow poll asks for the state of every file, and reads none that did not change.
    assert opened_by(watching.platform.states) <= 4
    double.ok("qm", "set", "300", "--cores", "2")
    assert watching.platform.wait(0.0) == {"300"}
    assert opened_by(watching.platform.states) <= 5


@pytest.mark.disk
def test_imported_windows_is_repaired_and_attached_without_anybody(double, tmp_path: Path, monkeypatch) -> None:
    settings = tmp_path / "unxen.toml"
    settings.write_text("watch_quiet_seconds = 0\n")
    monkeypatch.setenv("UNXEN_CONFIG", str(settings))
    double.define("100", config("boot: order=net0"))
    source = disk(tmp_path / "xen.raw", "xcpng")
    double.ok("qm", "importdisk", "100", str(source), "local", "--format", "qcow2")
    volume = "local:100/vm-100-disk-0.qcow2"
    assert double.conf("100").main["unused0"] == volume
    assert main(["watch", "proxmox", "--once"]) == 0
    conf = double.conf("100")
    assert conf.main["sata0"].startswith(volume)
    assert conf.main["boot"] == "order=sata0;net0"
    assert not any(key.startswith("unused") or key == "lock" for key in conf.main)
    assert "repaired" in conf.description
    before = double.node.config_path("100").read_bytes()
    assert main(["watch", "proxmox", "--once"]) == 0
    assert double.node.config_path("100").read_bytes() == before


@pytest.fixture(scope="module")
def windows(tmp_path_factory) -> dict[str, Path]:
    """Windows without anything of Xen; one of them has run on KVM."""
    top = tmp_path_factory.mktemp("disks")
    ran = windows_hive("10", kvm_traces=True)
    return {"plain": disk(top / "plain.raw"), "kvm": make_disk(top / "kvm.raw", ran, files=driver_files(ran), size=64 * MIB)}


@pytest.fixture
def watched(double, tmp_path: Path, monkeypatch):
    """A look at every VM, with these lines in the configuration of unxen."""

    def look(*lines: str) -> dict[str, str]:
        path = tmp_path / "unxen.toml"
        path.write_text("".join(f"{line}\n" for line in ("watch_quiet_seconds = 0", *lines)))
        monkeypatch.setenv("UNXEN_CONFIG", str(path))
        assert main(["watch", "proxmox", "--once"]) == 0
        return double.conf("100").main

    return look


@pytest.mark.disk
def test_windows_that_needs_no_repair_is_attached_once(double, watched, windows) -> None:
    double.volume("100/vm-100-disk-0.raw", windows["plain"])
    double.define("100", config("boot: order=net0", f"unused0: {VOLUME}"))
    before = (double.root / "storage/local/images/100/vm-100-disk-0.raw").read_bytes()
    assert watched('watch = "report"')["unused0"] == VOLUME
    assert watched("proxmox_attach_unused = false")["unused0"] == VOLUME
    main_part = watched()
    # The bus from which this Windows starts as it is.
    assert main_part["ide0"].startswith(VOLUME)
    assert main_part["boot"] == "order=ide0;net0"
    assert "unused0" not in main_part
    assert (double.root / "storage/local/images/100/vm-100-disk-0.raw").read_bytes() == before
    double.ok("qm", "set", "100", "--delete", "ide0")
    # Whoever took it out wanted that.
    assert watched()["unused0"] == VOLUME


@pytest.mark.disk
def test_windows_that_ran_here_is_not_attached_by_itself(double, watched, windows) -> None:
    double.volume("100/vm-100-disk-0.raw", windows["kvm"])
    double.define("100", config("boot: order=net0", f"unused0: {VOLUME}"))
    assert watched()["unused0"] == VOLUME


@pytest.mark.disk
def test_data_disk_and_second_disk_stay_unused(double, watched, windows) -> None:
    double.volume("100/vm-100-disk-0.raw", b"\0" * MIB)
    double.define("100", config(f"unused0: {VOLUME}"))
    assert watched()["unused0"] == VOLUME
    double.volume("100/vm-100-disk-1.raw", windows["plain"])
    double.define("100", config(f"sata0: {VOLUME}", "unused0: local:100/vm-100-disk-1.raw"))
    assert watched()["unused0"] == "local:100/vm-100-disk-1.raw"
