# SPDX-License-Identifier: Apache-2.0
"""`unxen import`: from a file to a VM that boots, whatever the format, and nothing left over when it fails."""

import struct
import subprocess
from pathlib import Path

import pytest
from generators.disks import MIB, run
from generators.xva import ExportedDisk, ExportedMachine, make_xva
from node_double import storage
from published import checked
from unxen.cli.main import main
from unxen.host.nbd_client import NbdClient
from vms import config, disk

pytestmark = pytest.mark.disk
BOOT = "boot: order=net0"


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return disk(tmp_path_factory.mktemp("source") / "xen.raw", "xcpng")


@pytest.fixture
def vm(double):
    """VM 100 without a disk."""
    double.define("100", config(BOOT))
    return double


def converted(source: Path, path: Path, *options: str) -> Path:
    kind = {".vhd": "vpc"}.get(path.suffix, path.suffix[1:])
    run("qemu-img", "convert", "-f", "raw", "-O", kind, *options, source, path)
    return path


def document(capfd) -> dict:
    return checked("outcome", capfd.readouterr().out)


def volumes(double) -> list[str]:
    return sorted(path.name for path in (double.root / "storage/local/images").rglob("*") if path.is_file())


@pytest.mark.parametrize("suffix", [".raw", ".qcow2", ".vhd", ".vmdk", ".vhdx", ".vdi"])
def test_disk_of_every_format_becomes_a_vm_that_boots(vm, source, tmp_path: Path, capfd, suffix: str) -> None:
    path = converted(source, tmp_path / f"old{suffix}")
    before = path.read_bytes()
    assert main(["import", "100", str(path), "local", "--json"]) == 0
    told = document(capfd)
    assert (told["verb"], told["verdict"], told["target"]) == ("import", "repaired", ["proxmox:100"])
    conf = vm.conf("100")
    assert conf.main["sata0"].startswith("local:100/vm-100-disk-0.raw,size=")
    assert conf.main["boot"] == "order=sata0;net0"
    assert not any(key.startswith("unused") or key == "lock" for key in conf.main)
    assert path.read_bytes() == before


def test_steps_and_bytes_are_told(vm, source, capfd) -> None:
    assert main(["import", "100", str(source), "local", "--verbose"]) == 0
    assert "copy" in capfd.readouterr().err


def test_report_knows_what_was_imported(vm, source, capfd) -> None:
    assert main(["import", "100", str(source), "local", "--quiet"]) == 0
    capfd.readouterr()
    assert main(["report"]) == 0
    assert "proxmox:100" in capfd.readouterr().out


def test_bus_may_be_chosen(vm, source) -> None:
    assert main(["import", "100", str(source), "local", "--bus", "ide", "--quiet"]) == 0
    assert "ide0" in vm.conf("100").main


def test_xp_ends_on_ide(vm, tmp_path: Path) -> None:
    path = disk(tmp_path / "xp.raw", "gplpv", generation="xp")
    assert main(["import", "100", str(path), "local", "--quiet"]) == 0
    conf = vm.conf("100")
    assert "ide0" in conf.main
    assert "sata0" not in conf.main
    assert conf.main["boot"] == "order=ide0;net0"


def test_windows_without_xen_is_attached_where_it_starts(vm, tmp_path: Path, capfd) -> None:
    """Nothing of Xen calls for a repair here, but on the slot that it got first it would stop."""
    path = disk(tmp_path / "plain.raw")
    assert main(["import", "100", str(path), "local", "--json"]) == 0
    told = document(capfd)
    (slot,) = [key for key in vm.conf("100").main if key in ("sata0", "ide0")]
    assert vm.conf("100").main["boot"] == f"order={slot};net0"
    judged = [each for each in told["chains"] if each["judged"]]
    assert judged
    assert told["bus"] == {"sata0": "sata", "ide0": "ide"}[slot]
    assert main(["inspect", "proxmox:100", "--bus", told["bus"], "--json"]) == 0


def test_disk_without_windows_is_attached_and_told(vm, tmp_path: Path, capfd) -> None:
    path = tmp_path / "data.raw"
    path.write_bytes(b"\0" * MIB)
    assert main(["import", "100", str(path), "local", "--json"]) == 4
    assert vm.conf("100").main["sata0"].startswith("local:100/vm-100-disk-0.raw")


def test_block_device_needs_no_file(vm, source, tmp_path: Path) -> None:
    made = subprocess.run(["losetup", "--find", "--show", "--read-only", str(source)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop device here: {made.stderr.strip()}")
    device = made.stdout.strip()
    try:
        assert main(["import", "100", device, "local", "--quiet"]) == 0
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert "sata0" in vm.conf("100").main


def with_creator(path: Path, creator: bytes, size: int) -> None:
    """A fixed VHD as another program would have written its footer."""
    data = bytearray(path.read_bytes())
    footer = data[-512:]
    footer[28:32] = creator
    footer[48:56] = struct.pack(">Q", size)
    footer[64:68] = bytes(4)
    footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
    data[-512:] = footer
    path.write_bytes(data)


@pytest.mark.parametrize("creator", [b"caml", b"xo  "])
def test_vhd_keeps_the_size_of_its_footer_whoever_made_it(vm, source, tmp_path: Path, creator: bytes) -> None:
    size = source.stat().st_size
    path = converted(source, tmp_path / "old.vhd", "-o", "subformat=fixed,force_size=on")
    with_creator(path, creator, size)
    assert main(["import", "100", str(path), "local", "--quiet"]) == 0
    place = vm.root / "storage/local/images/100/vm-100-disk-0.raw"
    assert place.stat().st_size >= size
    assert place.read_bytes()[size - 512 : size] == source.read_bytes()[-512:]


def test_differencing_vhd_is_refused_with_the_remedy(vm, source, tmp_path: Path, capfd) -> None:
    path = converted(source, tmp_path / "old.vhd")
    data = bytearray(path.read_bytes())
    for at in (0, len(data) - 512):
        footer = data[at : at + 512]
        footer[60:64] = struct.pack(">I", 4)
        footer[64:68] = bytes(4)
        footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF)
        data[at : at + 512] = footer
    path.write_bytes(data)
    before = vm.node.config_path("100").read_bytes()
    assert main(["import", "100", str(path), "local", "--json"]) == 15
    (told,) = document(capfd)["reasons"]
    assert told["kind"] == "differencing-vhd"
    assert "coalesce" in told["remedy"]
    assert vm.node.config_path("100").read_bytes() == before
    assert volumes(vm) == []


@pytest.mark.parametrize(
    ("lines", "kind", "code"), [(["lock: backup"], "guest-locked", 50), (["template: 1"], "platform-refused", 50)]
)
def test_vm_that_must_be_left_alone_gets_no_disk(double, source, capfd, lines: list[str], kind: str, code: int) -> None:
    double.define("100", config(BOOT, *lines))
    assert main(["import", "100", str(source), "local", "--json"]) == code
    assert [each["kind"] for each in document(capfd)["reasons"]] == [kind]
    assert volumes(double) == []


def test_running_vm_gets_no_disk(vm, source, capfd) -> None:
    vm.ok("qm", "start", "100")
    assert main(["import", "100", str(source), "local", "--json"]) == 14
    assert volumes(vm) == []


def test_storage_without_room_is_told(vm, source, capfd) -> None:
    vm.faults(storage_full=True)
    assert main(["import", "100", str(source), "local", "--json"]) == 50
    assert "insufficient free space" in document(capfd)["reasons"][0]["details"]["cause"]


def test_copy_that_breaks_off_leaves_no_volume(vm, source, capfd, monkeypatch) -> None:
    def broken(self, start: int, length: int) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(NbdClient, "read", broken)
    before = vm.node.config_path("100").read_bytes()
    assert main(["import", "100", str(source), "local", "--json"]) == 130
    assert volumes(vm) == []
    assert vm.node.config_path("100").read_bytes() == before


def test_attachment_that_fails_leaves_neither_volume_nor_pending_change(vm, source, capfd) -> None:
    vm.faults(fail_after_adds=1)
    assert main(["import", "100", str(source), "local", "--json"]) == 50
    conf = vm.conf("100")
    assert (conf.pending, conf.deletes) == ({}, [])
    assert volumes(vm) == []


def test_source_that_is_not_there(vm, capfd) -> None:
    assert main(["import", "100", "/nowhere/old.vhd", "local", "--json"]) == 10
    assert volumes(vm) == []


def test_name_that_tells_no_format_needs_it_said(vm, source, tmp_path: Path, capfd) -> None:
    path = tmp_path / "old.disk"
    path.write_bytes(source.read_bytes())
    assert main(["import", "100", str(path), "local", "--json"]) == 2
    assert main(["import", "100", str(path), "local", "--format", "raw", "--quiet"]) == 0


def test_disk_beside_another_one_leaves_the_boot_order_to_people(double, source) -> None:
    double.volume("100/vm-100-disk-0.raw", b"\0" * MIB)
    double.define("100", config("boot: order=sata0", "sata0: local:100/vm-100-disk-0.raw"))
    assert main(["import", "100", str(source), "local", "--quiet"]) == 0
    conf = double.conf("100")
    assert conf.main["sata1"].startswith("local:100/vm-100-disk-1.raw")
    assert conf.main["boot"] == "order=sata0"


MACHINE = ExportedMachine()


def export(tmp_path: Path, data: bytes, **more: object) -> Path:
    path = tmp_path / "old.xva"
    path.write_bytes(make_xva(MACHINE, [ExportedDisk(data)], **more))
    return path


@pytest.mark.parametrize("wrap", ["", "gzip", "zstd"])
def test_export_becomes_a_vm_that_boots(double, source, tmp_path: Path, capfd, wrap: str) -> None:
    path = export(tmp_path, source.read_bytes(), wrap=wrap)
    assert main(["import", "101", str(path), "local", "--json"]) == 0
    assert document(capfd)["verdict"] == "repaired"
    conf = double.conf("101")
    assert conf.main["sata0"].startswith("local:101/vm-101-disk-0.raw,size=")
    assert conf.main["boot"].startswith("order=sata0")
    assert conf.main["ostype"] == "win10"
    assert "lock" not in conf.main
    assert main(["inspect", "proxmox:101", "--json"]) == 0


def test_export_with_two_disks_keeps_their_order(double, source, tmp_path: Path, capfd) -> None:
    """The export sends Ref:1 after Ref:17 was named first in the machine; slots decide what becomes the first disk."""
    data = b"data" + bytes(MIB - 4)
    disks = [ExportedDisk(source.read_bytes(), "Ref:7", slot="0"), ExportedDisk(data, "Ref:1", "Ref:18", slot="1", name="data")]
    path = tmp_path / "old.xva"
    path.write_bytes(make_xva(MACHINE, disks))
    assert main(["import", "101", str(path), "local", "--json"]) == 0
    conf = double.conf("101")
    places = {slot: storage.path(double.node, conf.main[slot].split(",")[0]) for slot in ("sata0", "sata1")}
    assert Path(places["sata1"]).read_bytes() == data
    assert conf.main["boot"].startswith("order=sata0")


def test_export_that_is_cut_off_leaves_nothing(double, source, tmp_path: Path, capfd) -> None:
    path = export(tmp_path, source.read_bytes())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert main(["import", "101", str(path), "local", "--json"]) != 0
    assert document(capfd)["reasons"][0]["kind"] == "export-damaged"
    assert volumes(double) == []
    assert not double.node.config_path("101").exists()


def test_export_does_not_take_the_number_of_another_vm(vm, source, tmp_path: Path, capfd) -> None:
    path = export(tmp_path, source.read_bytes())
    before = vm.node.config_path("100").read_bytes()
    assert main(["import", "100", str(path), "local", "--json"]) == 50
    assert "already exists" in document(capfd)["reasons"][0]["details"]["cause"]
    assert vm.node.config_path("100").read_bytes() == before
    assert volumes(vm) == []
