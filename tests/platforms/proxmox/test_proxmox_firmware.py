# SPDX-License-Identifier: Apache-2.0
"""A disk under the firmware that it was made for, on a node that is a double: its EFI disk made by Proxmox, and the way back."""

import pytest
from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive
from published import checked
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.model.ids import Firmware
from unxen.platforms.proxmox.compare import meaning
from unxen.platforms.proxmox.config import parse
from unxen.platforms.proxmox.firmware import with_firmware, without_efi_disk
from vms import VOLUME, config

DISK_LINE = f"sata0: {VOLUME},size=64M"
BOOT = "boot: order=sata0;ide2;net0"
ASKED = "local:1,efitype=4m,pre-enrolled-keys=0"


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    """A Windows from Xen on a disk of each kind."""
    folder, made = tmp_path_factory.mktemp("disks"), {}
    hive = windows_hive("10", families=["xcpng"])
    for scheme in ("gpt", "mbr"):
        path = folder / f"{scheme}.raw"
        made[scheme] = make_disk(path, hive, format="raw", scheme=scheme, files=driver_files(hive), size=64 * MIB)
    return made


def called(capfd, *arguments: str) -> tuple[int, dict]:
    capfd.readouterr()
    code = main([*arguments, "--json"])
    return code, checked("outcome", capfd.readouterr().out)


def firmware(double) -> dict[str, str]:
    """What decides about it, and what is unused."""
    main_part = double.conf("100").main
    return {key: value for key, value in main_part.items() if key in ("bios", "efidisk0", "lock") or key.startswith("unused")}


@pytest.mark.disk
def test_uefi_disk_gets_ovmf_and_an_efi_disk_by_proxmox_and_undo_leaves_that_unused(double, disks, capfd, caplog) -> None:
    double.volume("100/vm-100-disk-0.raw", disks["gpt"])
    double.define("100", config(BOOT, DISK_LINE))
    code, told = called(capfd, "inspect", "proxmox:100")
    assert code == 3
    assert [(each["subject"], each["after"]) for each in told["definition"]] == [("bios", "ovmf"), ("efidisk0", ASKED)]
    assert firmware(double) == {}
    assert called(capfd, "repair", "proxmox:100")[0] == 0
    made = "local:100/vm-100-disk-1.raw"
    assert firmware(double) == {"bios": "ovmf", "efidisk0": f"{made},efitype=4m,pre-enrolled-keys=0,size=4K"}
    assert called(capfd, "inspect", "proxmox:100")[1]["verdict"] == "healthy"
    assert called(capfd, "undo", "proxmox:100")[0] == 0
    assert firmware(double) == {"unused0": made}
    assert "something else" not in caplog.text
    assert called(capfd, "undo", "proxmox:100")[0] == 43


@pytest.mark.disk
def test_bios_disk_gets_seabios_and_an_efi_disk_that_is_there_stays(double, disks, capfd) -> None:
    double.volume("100/vm-100-disk-0.raw", disks["mbr"])
    double.volume("100/vm-100-disk-7.raw")
    efi = "efidisk0: local:100/vm-100-disk-7.raw,efitype=4m"
    double.define("100", config(BOOT, DISK_LINE, "bios: ovmf", efi))
    before = firmware(double)
    assert called(capfd, "repair", "proxmox:100")[0] == 0
    assert firmware(double) == {**before, "bios": "seabios"}
    assert called(capfd, "undo", "proxmox:100")[0] == 0
    assert firmware(double) == before


@pytest.mark.disk
def test_what_proxmox_refuses_leaves_a_repaired_disk_and_no_lock(double, disks, capfd) -> None:
    double.volume("100/vm-100-disk-0.raw", disks["gpt"])
    double.define("100", config(BOOT, DISK_LINE))
    double.faults(fail_after_adds=1)
    assert called(capfd, "repair", "proxmox:100")[0] == 41
    assert {key: value for key, value in firmware(double).items() if not key.startswith("unused")} == {}
    assert (double.conf("100").pending, double.conf("100").deletes) == ({}, [])
    double.faults()
    assert called(capfd, "repair", "proxmox:100")[0] == 0
    assert firmware(double)["bios"] == "ovmf"


def test_efi_disk_is_asked_for_where_the_system_disk_lies() -> None:
    assert with_firmware({}, Firmware.UEFI, ["fast:vm-100-disk-0"]) == {
        "bios": "ovmf",
        "efidisk0": "fast:1,efitype=4m,pre-enrolled-keys=0",
    }
    assert with_firmware({"bios": "ovmf"}, Firmware.UEFI, ["fast:x"]) == {"bios": "ovmf"}
    assert with_firmware({"efidisk0": "own:7"}, Firmware.UEFI, []) == {"efidisk0": "own:7", "bios": "ovmf"}
    assert with_firmware({"bios": "ovmf"}, Firmware.BIOS, []) == {"bios": "seabios"}
    assert with_firmware({"bios": "ovmf"}, Firmware.UNKNOWN, []) == {"bios": "ovmf"}
    assert with_firmware({"bios": "other"}, Firmware.UEFI, []) == {"bios": "other"}


def test_volume_without_a_storage_is_refused_with_the_command() -> None:
    with pytest.raises(Refused) as caught:
        with_firmware({}, Firmware.UEFI, ["/dev/sdb"])
    assert "qm set VMID --efidisk0 STORAGE:1" in caught.value.first.detail("problem")


def test_efi_disk_means_its_storage_and_options() -> None:
    made = parse(b"bios: ovmf\nefidisk0: local:100/vm-100-disk-1.raw,efitype=4m,pre-enrolled-keys=0,size=528K\n")
    assert meaning(made) == meaning(parse(f"bios: ovmf\nefidisk0: {ASKED}\n".encode()))
    assert meaning(made) != meaning(parse(b"bios: ovmf\nefidisk0: other:1,efitype=4m,pre-enrolled-keys=0\n"))
    assert meaning(made) != meaning(parse(b"bios: ovmf\nefidisk0: local:1,efitype=2m,pre-enrolled-keys=0\n"))
    gone = parse(b"memory: 512\n")
    assert meaning(without_efi_disk(made, gone)) == meaning(parse(b"memory: 512\nunused0: local:100/vm-100-disk-1.raw\n"))
    assert without_efi_disk(gone, gone) == gone
