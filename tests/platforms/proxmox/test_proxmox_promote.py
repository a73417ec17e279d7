# SPDX-License-Identifier: Apache-2.0
"""virtio as the second stage, on a node that is a double: one request with proof, none without; a file gets the verdict alone."""

import hashlib

import pytest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from published import checked
from unxen.cli.main import main
from vms import PLACE, VOLUME, config

pytestmark = pytest.mark.disk
DISK_LINE = f"sata0: {VOLUME},cache=none,size=64M"
BOOT = "boot: order=sata0;ide2;net0"


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    """A Windows that ran once with both drivers of virtio-win."""
    hive = windows_hive("10", virtio_win=["viostor", "vioscsi"], no_overrides=["storahci"])
    path = tmp_path_factory.mktemp("disks") / "ready.raw"
    return make_disk(path, hive, format="raw", files=driver_files(hive), size=64 * MIB)


@pytest.fixture
def vm(double, ready):
    """VM 100 with that Windows on SATA."""
    double.volume("100/vm-100-disk-0.raw", ready)
    double.define("100", config(BOOT, DISK_LINE))
    return double


def called(capfd, *arguments: str) -> tuple[int, dict]:
    capfd.readouterr()
    code = main([*arguments, "--json"])
    return code, checked("outcome", capfd.readouterr().out)


def slots(double) -> dict[str, str]:
    """What decides about the disk: its slot, the controller, the boot order."""
    main_part = double.conf("100").main
    keys = ("sata0", "virtio0", "scsi0", "scsihw", "boot", "lock")
    return {key: main_part[key].split(",")[0] for key in keys if key in main_part}


@pytest.mark.parametrize(
    ("to", "after"),
    [
        ("virtio", {"virtio0": VOLUME, "boot": "order=virtio0;ide2;net0"}),
        ("virtio-scsi", {"scsi0": VOLUME, "scsihw": "virtio-scsi-single", "boot": "order=scsi0;ide2;net0"}),
    ],
)
def test_disk_is_moved_by_one_request_taken_back_and_moved_again(vm, capfd, to, after) -> None:
    before, content = slots(vm), hashlib.sha256((vm.root / PLACE).read_bytes()).digest()
    code, told = called(capfd, "promote", "proxmox:100", "--to", to)
    assert (code, told["verdict"], told["switched"], told["changed"]) == (0, "repaired", True, False)
    assert slots(vm) == after
    moves = [each for each in vm.requests() if each[:2] == ["qm", "set"] and "--boot" in each]
    assert len(moves) == 1
    assert called(capfd, "inspect", "proxmox:100")[1]["verdict"] == "healthy"
    assert called(capfd, "undo", "proxmox:100")[0] == 0
    assert slots(vm) == before
    assert called(capfd, "promote", "proxmox:100", "--to", to)[0] == 0
    assert main(["report"]) == 0
    assert "proxmox:100: promoted on" in capfd.readouterr().out
    code, told = called(capfd, "demote", "proxmox:100")
    assert (code, told["bus"]) == (0, "sata")
    assert {key: value for key, value in slots(vm).items() if key != "scsihw"} == before
    assert hashlib.sha256((vm.root / PLACE).read_bytes()).digest() == content


def test_running_locked_or_sleeping_vm_stays(vm, capfd) -> None:
    before = slots(vm)
    vm.ok("qm", "start", "100")
    assert called(capfd, "promote", "proxmox:100", "--to", "virtio")[0] == 14
    vm.ok("qm", "stop", "100")
    conf = vm.conf("100")
    conf.main["lock"] = "backup"
    vm.write("100", conf)
    assert called(capfd, "promote", "proxmox:100", "--to", "virtio")[1]["reasons"][0]["kind"] == "guest-locked"
    assert slots(vm) == {**before, "lock": "backup"}


def test_without_proof_no_request_is_made(vm, capfd) -> None:
    hive = windows_hive("10", families=["xcpng"], virtio_win=["viostor"])
    make_disk(vm.root / PLACE, hive, format="raw", files=driver_files(hive), size=64 * MIB)
    before = slots(vm)
    code, told = called(capfd, "promote", "proxmox:100", "--to", "virtio")
    assert (code, told["reasons"][0]["kind"]) == (26, "driver-not-shown")
    assert slots(vm) == before
    assert not [each for each in vm.requests() if "--virtio0" in each]
    assert main(["report"]) == 0
    assert "nothing was repaired or refused here yet" in capfd.readouterr().out


def test_a_file_gets_the_verdict_alone(ready, own_state, capfd) -> None:
    content = hashlib.sha256(ready.read_bytes()).digest()
    code, told = called(capfd, "promote", str(ready), "--to", "virtio")
    assert (code, told["verdict"], told["bus"], told["definition"]) == (0, "healthy", "virtio-blk", [])
    assert main(["demote", "--quiet", str(ready)]) == 0
    assert "Windows has what it needs to start from sata (AHCI), nothing to do" in capfd.readouterr().out
    assert hashlib.sha256(ready.read_bytes()).digest() == content
    assert not list(own_state.glob("*.sqlite"))
