# SPDX-License-Identifier: Apache-2.0
"""From a configuration to the one with the firmware that the disks are for, its EFI disk made by Proxmox itself.

Touches nothing. Refused(PLATFORM_REFUSED) where no storage is known on which an EFI disk could be made. One that is there stays,
also under BIOS, which does not read it. Sources: qemu-server 9.2.6 (`bios`, `efidisk0: STORAGE:1,efitype=4m,pre-enrolled-keys=0`).
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from unxen.errors import refused
from unxen.model.ids import Firmware
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.buses import firmware_of
from unxen.platforms.proxmox.config import VmConfig
from unxen.platforms.proxmox.drives import EFI_DISK, UNUSED, parse_drive

WORDS = {Firmware.BIOS: "seabios", Firmware.UEFI: "ovmf"}
# Without Microsoft's keys, so without secure boot, as on Xen: what this Windows loads may be signed by nobody that they know.
OPTIONS = "efitype=4m,pre-enrolled-keys=0"


def with_firmware(values: Mapping[str, str], firmware: Firmware, volumes: Collection[str]) -> dict[str, str]:
    """The values with the firmware; an EFI disk is asked for on the storage of the system disk."""
    present = firmware_of(values)
    if Firmware.UNKNOWN in (firmware, present) or firmware is present:
        return dict(values)
    after = {**values, "bios": WORDS[firmware]}
    if firmware is Firmware.UEFI and EFI_DISK not in values:
        after[EFI_DISK] = f"{_storage(volumes)}:1,{OPTIONS}"
    return after


def without_efi_disk(now: VmConfig, after: VmConfig) -> VmConfig:
    """What Proxmox makes of `after` where the EFI disk goes: its volume is not destroyed but put among the unused ones."""
    if EFI_DISK not in now.values or EFI_DISK in after.values:
        return after
    volume = parse_drive(now.values[EFI_DISK]).volume
    return replace(after, values={**after.values, f"{UNUSED}255": volume})


def _storage(volumes: Collection[str]) -> str:
    found = [volume.partition(":")[0] for volume in volumes if not volume.startswith("/") and ":" in volume]
    if not found:
        command = f"qm set VMID --{EFI_DISK} STORAGE:1,{OPTIONS}"
        problem = f"its disk is for UEFI, and its volume tells no storage for an EFI disk ({command})"
        raise refused(ReasonKind.PLATFORM_REFUSED, EFI_DISK, problem=problem)
    return found[0]
