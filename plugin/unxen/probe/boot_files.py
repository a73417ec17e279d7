# SPDX-License-Identifier: Apache-2.0
"""Which firmware a disk was made for shows in the boot loaders that lie on it.

Asks directories only; no file's content is read. A volume whose directories cannot be read has no boot files as far as is known.
"""

from unxen.model.ids import Firmware, GuestPath
from unxen.model.volume_facts import BootFile, Partition
from unxen.probe.device import Readable, Slice
from unxen.probe.files import Files
from unxen.probe.malformed import VOLUME_ERRORS

# Vista and later; NT 5; UEFI. A loader only at \EFI\Boot is still UEFI.
BOOT_FILES = {
    "\\bootmgr": Firmware.BIOS,
    "\\Boot\\BCD": Firmware.BIOS,
    "\\ntldr": Firmware.BIOS,
    "\\ntdetect.com": Firmware.BIOS,
    "\\boot.ini": Firmware.BIOS,
    "\\EFI\\Microsoft\\Boot\\bootmgfw.efi": Firmware.UEFI,
    "\\EFI\\Microsoft\\Boot\\BCD": Firmware.UEFI,
    "\\EFI\\Boot\\bootx64.efi": Firmware.UEFI,
}


def read_boot_files(files: Files, partition: Partition) -> tuple[BootFile, ...]:
    """The boot files that one volume has."""
    return tuple(
        BootFile(partition.disk, partition.number, GuestPath(path), firmware)
        for path, firmware in BOOT_FILES.items()
        if _is_there(files, path)
    )


def read_fat_boot_files(disk: Readable, partition: Partition) -> tuple[BootFile, ...]:
    """The boot files of a FAT volume, which an EFI system partition is."""
    try:
        from unxen.probe.files_tsk import TskFiles  # lazily: 10 ms, and needed for few disks

        return read_boot_files(TskFiles(Slice(disk, partition.start, partition.length)), partition)
    except VOLUME_ERRORS:
        return ()


def _is_there(files: Files, path: str) -> bool:
    try:
        return files.find(path) is not None
    except VOLUME_ERRORS:
        return False
