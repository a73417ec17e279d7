# SPDX-License-Identifier: Apache-2.0
"""The double does what its table of rules says, rule by rule."""

import fcntl
import hashlib
import json
import tomllib
from pathlib import Path

import pytest
from node_double import storage
from node_double.drive_schema import OPTIONS

HERE = Path(__file__).parent
RULES = tomllib.loads((HERE / "rules.toml").read_text())["rule"]
VOLUME = "local:100/vm-100-disk-0.raw"


@pytest.fixture
def vm(bare_double):
    """VM 100 with a disk on scsi0 and one volume that is unused."""
    bare_double.volume("100/vm-100-disk-0.raw", b"\0" * (4 << 20))
    bare_double.volume("100/vm-100-disk-1.raw", b"\0" * 4096)
    bare_double.define(
        "100",
        f"boot: order=scsi0;net0\nmemory: 512\nname: old\nnet0: virtio=52:54:00:00:00:01\nscsi0: {VOLUME},size=4M\n"
        "unused0: local:100/vm-100-disk-1.raw\n",
    )
    return bare_double


def test_every_rule_has_a_source_and_a_test() -> None:
    assert [row["number"] for row in RULES] == list(range(1, 27))
    for row in RULES:
        assert row["source"] and row["tests"], row
        assert all(each in globals() for each in row["tests"]), row


def test_unknown_section_is_passed_over(vm) -> None:
    path = vm.node.config_path("100")
    path.write_text(path.read_text() + "\n[special:odd]\nkey: 1\n\n[1bad]\nname: wrong\n")
    done = vm.run("qm", "config", "100")
    assert done.returncode == 0
    assert "ignoring unknown section" in done.stderr
    assert "name: old" in done.stdout


def test_bad_value_is_lost_at_the_next_write(vm) -> None:
    path = vm.node.config_path("100")
    path.write_text(path.read_text().replace("memory: 512", "memory: much"))
    assert "type check failed" in vm.run("qm", "set", "100", "--name", "new").stderr
    assert "memory" not in path.read_text()


def test_file_is_written_in_order(vm) -> None:
    path = vm.define("100", "name: b\ncores: 2\n#first: 50%25\n\n[snap]\nname: a\n\n[PENDING]\nmemory: 1\n")
    before = path.stat().st_ino
    vm.faults(fail_after_adds=1)
    vm.run("qm", "set", "100", "--cores", "3", "--sockets", "2")
    assert path.stat().st_ino != before
    text = path.read_text()
    assert text.index("#first%3A 50%25") == 0
    assert text.index("cores") < text.index("name: b") < text.index("[PENDING]") < text.index("[snap]")


def test_digest_is_the_hash_of_the_file(vm) -> None:
    shown = json.loads(vm.ok("pvesh", "get", "/nodes/pve1/qemu/100/config"))
    assert shown["digest"] == hashlib.sha1(vm.node.config_path("100").read_bytes()).hexdigest()
    with vm.node.config_path("100").open("a") as file:
        file.write("\n")
    assert json.loads(vm.ok("pvesh", "get", "/nodes/pve1/qemu/100/config"))["digest"] != shown["digest"]


def test_attached_volume_leaves_the_unused_ones(vm) -> None:
    vm.ok("qm", "set", "100", "--sata0", "local:100/vm-100-disk-1.raw")
    assert "unused0" not in vm.conf("100").main
    assert vm.conf("100").main["sata0"] == "local:100/vm-100-disk-1.raw,size=4K"


def test_use_in_a_snapshot_does_not_count(vm) -> None:
    path = vm.node.config_path("100")
    path.write_text(path.read_text() + "\n[snap]\nsata0: local:100/vm-100-disk-1.raw\n")
    vm.ok("qm", "set", "100", "--name", "new")
    assert vm.conf("100").main["unused0"] == "local:100/vm-100-disk-1.raw"


def test_missing_vm(bare_double) -> None:
    done = bare_double.run("qm", "status", "999")
    assert done.returncode == 2
    assert "nodes/pve1/qemu-server/999.conf' does not exist" in done.stderr


def test_unknown_option_and_none_at_all(vm) -> None:
    assert "Unknown option: sata9\n400 unable to parse option" in vm.run("qm", "set", "100", "--sata9", "x").stderr
    assert "no options specified" in vm.run("qm", "set", "100").stderr


@pytest.mark.parametrize("slot", ["ide0", "sata0", "scsi1", "virtio0"])
def test_options_of_a_drive_by_its_slot(vm, slot: str) -> None:
    foreign = sorted(set().union(*OPTIONS.values()) - OPTIONS[slot[:-1]] - {"efitype", "pre-enrolled-keys", "ms-cert", "version"})
    for option in foreign:
        done = vm.run("qm", "set", "100", f"--{slot}", f"local:100/vm-100-disk-1.raw,{option}=1")
        assert done.returncode == 255
        assert "400 Parameter verification failed." in done.stderr
        assert f"{slot}.{option}" in done.stderr
    known = "iothread" if slot in ("scsi1", "virtio0") else "ssd"
    vm.ok("qm", "set", "100", f"--{slot}", f"local:100/vm-100-disk-1.raw,{known}=1")


def test_wrong_digest_writes_nothing(vm) -> None:
    before = vm.node.config_path("100").read_bytes()
    done = vm.run("qm", "set", "100", "--name", "new", "--digest", "0" * 40)
    assert "checksum mismatch (file change by other user?)" in done.stderr
    assert vm.node.config_path("100").read_bytes() == before


def test_locked_vm_is_refused(vm) -> None:
    path = vm.node.config_path("100")
    path.write_text("lock: backup\n" + path.read_text())
    assert "VM is locked (backup)" in vm.run("qm", "set", "100", "--name", "new").stderr
    vm.ok("qm", "set", "100", "--name", "new", "--skiplock", "1")


def test_flock_is_a_real_one(vm) -> None:
    vm.faults(lock_seconds=0.2)
    with (vm.node.locks / "lock-100.conf").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = vm.run("qm", "set", "100", "--name", "new")
    assert done.returncode != 0
    assert "trying to acquire lock..." in done.stderr
    assert "got timeout" in done.stderr


def test_request_is_printed(vm) -> None:
    shown = vm.ok("qm", "set", "100", "--name", "new", "--cores", "2", "--delete", "memory")
    assert "update VM 100: -cores 2 -delete memory -name new\n" in shown


def test_delete_of_unused_destroys_the_volume(vm) -> None:
    volume = "local:100/vm-100-disk-1.raw"
    done = vm.run("qm", "set", "100", "--delete", "unused0", "--sata0", volume)
    assert f"volume '{volume}' does not exist" in done.stderr
    assert not Path(storage.path(vm.node, volume)).exists()


def test_deleted_disk_leaves_the_boot_order(vm) -> None:
    vm.ok("qm", "set", "100", "--delete", "scsi0", "--sata0", VOLUME)
    assert vm.conf("100").main["boot"] == "order=net0"


def test_absent_key_is_warned_about(vm) -> None:
    done = vm.run("qm", "set", "100", "--delete", "sata3")
    assert done.returncode == 0
    assert "cannot delete 'sata3' - not set in current configuration!" in done.stderr


def test_missing_volume_leaves_the_rest_pending(vm) -> None:
    done = vm.run("qm", "set", "100", "--delete", "scsi0", "--sata0", "local:100/vm-100-disk-9.raw")
    assert "volume 'local:100/vm-100-disk-9.raw' does not exist" in done.stderr
    conf = vm.conf("100")
    assert conf.main["scsi0"].startswith(VOLUME)
    assert conf.deletes == ["scsi0"]
    assert conf.pending == {"boot": "order=net0"}
    vm.ok("qm", "set", "100", "--revert", "scsi0,boot,sata0")
    conf = vm.conf("100")
    assert (conf.pending, conf.deletes, conf.main["boot"]) == ({}, [], "order=scsi0;net0")


def test_size_is_filled_in_and_options_are_sorted(vm) -> None:
    vm.ok("qm", "set", "100", "--sata1", "local:100/vm-100-disk-1.raw,ssd=1,cache=none")
    assert vm.conf("100").main["sata1"] == "local:100/vm-100-disk-1.raw,cache=none,size=4K,ssd=1"


def test_boot_order_names_what_is_there(vm) -> None:
    done = vm.run("qm", "set", "100", "--boot", "order=sata5")
    assert "invalid bootorder: device 'sata5' does not exist" in done.stderr
    done = vm.run("qm", "set", "100", "--delete", "scsi0", "--boot", "order=scsi0")
    assert "invalid bootorder" in done.stderr


def test_one_request_moves_a_disk(vm) -> None:
    vm.ok("qm", "set", "100", "--delete", "scsi0", "--sata0", VOLUME, "--boot", "order=sata0;net0")
    conf = vm.conf("100")
    assert conf.main["sata0"] == f"{VOLUME},size=4M"
    assert conf.main["boot"] == "order=sata0;net0"
    assert "scsi0" not in conf.main
    assert [key for key in conf.main if key.startswith("unused")] == ["unused0"]


def test_deleted_disk_becomes_unused(vm) -> None:
    vm.ok("qm", "set", "100", "--delete", "scsi0")
    assert vm.conf("100").main["unused1"] == VOLUME


def test_sata_of_a_running_vm_stays_pending(vm) -> None:
    vm.ok("qm", "start", "100")
    vm.ok("qm", "set", "100", "--sata0", "local:100/vm-100-disk-1.raw")
    assert "sata0" not in vm.conf("100").main
    assert "sata0" in vm.conf("100").pending


def test_leftovers_are_applied_by_the_next_change(vm) -> None:
    vm.run("qm", "set", "100", "--delete", "scsi0", "--sata0", "local:100/vm-100-disk-9.raw")
    vm.ok("qm", "set", "100", "--name", "new")
    assert "scsi0" not in vm.conf("100").main
    assert VOLUME in vm.conf("100").main.values()


def test_tags_notes_and_hookscripts_are_checked(vm) -> None:
    vm.ok("qm", "set", "100", "--tags", "Zed;unxen,abc")
    assert vm.conf("100").main["tags"] == "abc;unxen;zed"
    assert "400" in vm.run("qm", "set", "100", "--tags", "!").stderr
    assert "8192" in vm.run("qm", "set", "100", "--description", "x" * 8193).stderr
    snippet = vm.root / "storage" / "local" / "snippets" / "hook"
    snippet.parent.mkdir()
    snippet.write_text("#!/bin/sh\n")
    assert "not executable" in vm.run("qm", "set", "100", "--hookscript", "local:snippets/hook").stderr
    snippet.chmod(0o755)
    vm.ok("qm", "set", "100", "--hookscript", "local:snippets/hook")


def test_import_lists_the_volume_as_unused(vm, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(b"\1" * 65536)
    shown = vm.ok("qm", "importdisk", "100", str(source), "local")
    assert f"importing disk '{source}' to VM 100 ..." in shown
    assert "unused1: successfully imported disk 'local:100/vm-100-disk-2.raw'" in shown
    assert vm.conf("100").main["unused1"] == "local:100/vm-100-disk-2.raw"
    assert list(vm.node.tasks.iterdir()) == []


def test_failed_import_leaves_nothing(vm, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(b"\1" * 65536)
    before = vm.node.config_path("100").read_bytes()
    vm.faults(import_fails=True)
    assert vm.run("qm", "disk", "import", "100", str(source), "local").returncode != 0
    assert vm.node.config_path("100").read_bytes() == before
    assert not (vm.root / "storage/local/images/100/vm-100-disk-2.raw").exists()


def test_import_takes_regular_files_only(vm, tmp_path: Path) -> None:
    assert "not a regular file" in vm.run("qm", "importdisk", "100", str(tmp_path), "local").stderr


def test_import_to_a_slot(vm, tmp_path: Path) -> None:
    source = tmp_path / "source.raw"
    source.write_bytes(b"\1" * 65536)
    assert "already in use" in vm.run("qm", "importdisk", "100", str(source), "local", "--target-disk", "scsi0").stderr
    vm.ok("qm", "importdisk", "100", str(source), "local", "--target-disk", "scsi1")
    assert vm.conf("100").main["scsi1"] == "local:100/vm-100-disk-2.raw"


def test_creation_is_locked_until_its_end_and_makes_a_task(bare_double) -> None:
    bare_double.ok("qm", "create", "101", "--name", "new", "--sata0", "local:1")
    conf = bare_double.conf("101")
    assert conf.main == {"name": "new", "sata0": "local:101/vm-101-disk-0.raw,size=1G"}
    assert ":qmcreate:101:" in (bare_double.node.tasks / "index").read_text()
    assert bare_double.run("qm", "create", "101", "--name", "new").returncode != 0


def test_hook_stops_a_start_and_cannot_change_it(vm) -> None:
    vm.faults(lock_seconds=0.1)
    hook = vm.root / "storage" / "local" / "snippets" / "hook"
    hook.parent.mkdir()
    hook.write_text(
        f"#!/bin/sh\n[ $2 = pre-start ] || exit 0\n{vm.bin}/qm set $1 --name changed 2>{vm.root}/said\ncat {vm.root}/code\n"
    )
    hook.chmod(0o755)
    vm.ok("qm", "set", "100", "--hookscript", "local:snippets/hook")
    assert "hookscript error for 100 on pre-start" in vm.run("qm", "start", "100").stderr
    assert "got timeout" in (vm.root / "said").read_text()
    (vm.root / "code").write_text("")
    vm.ok("qm", "start", "100")
    assert vm.ok("qm", "status", "100") == "status: running\n"


def test_rescan_lists_orphans(vm) -> None:
    vm.volume("100/vm-100-disk-7.raw")
    vm.ok("qm", "rescan", "--vmid", "100")
    assert "local:100/vm-100-disk-7.raw" in vm.conf("100").main.values()
    path = vm.node.config_path("100")
    path.write_text("lock: backup\n" + path.read_text())
    assert "locked" in vm.run("qm", "rescan", "--vmid", "100").stderr


def test_status_unlock_and_config(vm) -> None:
    path = vm.define("100", "#two words\nlock: backup\nname: old\n\n[PENDING]\nname: new\n")
    assert vm.ok("qm", "status", "100") == "status: stopped\n"
    vm.ok("qm", "unlock", "100")
    assert "lock" not in path.read_text()
    shown = vm.ok("qm", "config", "100")
    assert "name: new" in shown
    assert "digest" not in shown
    assert "name: old" in vm.ok("qm", "config", "100", "--current", "1")


def test_path_activates_nothing(bare_double) -> None:
    bare_double.node.add_storage("thin", "lvmthin", vgname="pve")
    place = storage.hidden(bare_double.node, "thin:vm-100-disk-0")
    place.parent.mkdir()
    place.write_bytes(b"x")
    path = Path(bare_double.ok("pvesm", "path", "thin:vm-100-disk-0").strip())
    assert not path.exists()
    assert bare_double.ok("pvesm", "path", "local:9/vm-9-disk-9.raw").endswith("images/9/vm-9-disk-9.raw\n")
    done = bare_double.run("pvesm", "path", "x:y")
    assert (done.returncode, done.stderr) == (255, "storage 'x' does not exist\n")
    bare_double.ok("perl", "-MPVE::Storage", "-e", "PVE::Storage::activate_volumes(...)", "thin:vm-100-disk-0")
    assert path.read_bytes() == b"x"


def test_pvesh_speaks_json_and_noise_is_no_error(vm) -> None:
    vm.faults(noise=True)
    done = vm.run("pvesh", "get", "/version", "--output-format", "json")
    assert (done.returncode, json.loads(done.stdout)["release"]) == (0, "9.2")
    assert "locale" in done.stderr
    done = vm.run("pvesh", "set", "/nodes/pve1/qemu/100/config", "-name", "new")
    assert done.returncode == 0
    done = vm.run("pvesh", "get", "/nowhere/at/all")
    assert done.returncode != 0
    assert "404" in done.stderr


def test_foreign_volume_is_not_kept(vm) -> None:
    vm.volume("200/vm-200-disk-0.raw")
    vm.ok("qm", "set", "100", "--sata3", "local:200/vm-200-disk-0.raw")
    vm.ok("qm", "set", "100", "--delete", "sata3")
    assert not any("vm-200" in value for value in vm.conf("100").main.values())


def test_without_quorum_nothing_is_written(vm) -> None:
    vm.faults(read_only=True)
    assert vm.run("qm", "set", "100", "--name", "new").returncode != 0
    assert vm.conf("100").main["name"] == "old"


def test_counters_rise_with_every_write(vm) -> None:
    def vmlist() -> int:
        return json.loads((vm.node.etc / ".version").read_text())["vmlist"]

    before = vmlist()
    vm.ok("qm", "set", "100", "--name", "new")
    assert vmlist() > before
    assert json.loads((vm.node.etc / ".vmlist").read_text())["ids"]["100"]["version"] == vmlist()
