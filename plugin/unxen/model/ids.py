# SPDX-License-Identifier: Apache-2.0
"""Names and small vocabularies get their own types here, so that no offset passes for a number of a control set.

Touches nothing. Every enum's value is the spelling that people and JSON see.
"""

from enum import Enum
from typing import NewType

DiskNumber = NewType("DiskNumber", int)
"""Position of a disk in its guest, from 1."""
PartitionNumber = NewType("PartitionNumber", int)
"""Number of a partition as Windows and Linux count it, from 1; 0 is a file system without a partition table."""
ControlSetNumber = NewType("ControlSetNumber", int)
"""The NNN of ControlSetNNN; 0 is the part of a hive outside all control sets."""
ServiceName = NewType("ServiceName", str)
"""Name of a key below Services, spelled as in the hive; compare without case."""
KeyPath = NewType("KeyPath", str)
"""Registry path from the hive's root, backslashes, no leading one, spelled as in the hive."""
GuestPath = NewType("GuestPath", str)
r"""Path of a file from its volume's root, `\Windows\System32\ntoskrnl.exe`."""
InstallationId = NewType("InstallationId", str)
r"""`disk:partition:\ROOT`, for instance `1:2:\Windows`."""
PlanId = NewType("PlanId", str)
"""Hash of a plan's content."""
Offset = NewType("Offset", int)
"""Bytes from the start of the disk."""


class Missing(Enum):
    """Why a fact is not there: three different facts, never one empty value."""

    ABSENT = "absent"
    UNREADABLE = "unreadable"
    NOT_LOOKED_AT = "not-looked-at"


class Bus(Enum):
    """The controller that Windows will see, whatever the platform calls its slot."""

    IDE = "ide"
    SATA = "sata"
    VIRTIO_BLK = "virtio-blk"
    VIRTIO_SCSI = "virtio-scsi"
    SCSI_LSI = "scsi-lsi"
    SCSI_MPTSAS = "scsi-mptsas"
    SCSI_MEGASAS = "scsi-megasas"
    NVME = "nvme"
    XEN = "xen"
    UNKNOWN = "unknown"


class ImageFormat(Enum):
    """Container formats that are read; always given, never probed."""

    RAW = "raw"
    QCOW2 = "qcow2"
    VHD = "vhd"
    VHDX = "vhdx"
    VMDK = "vmdk"
    VDI = "vdi"


class Firmware(Enum):
    """What starts the boot loader."""

    BIOS = "bios"
    UEFI = "uefi"
    UNKNOWN = "unknown"


class MachineType(Enum):
    """QEMU's board, as far as it decides which controller a slot is."""

    I440FX = "i440fx"
    Q35 = "q35"
    UNKNOWN = "unknown"


class Architecture(Enum):
    """Processor architecture that a Windows was made for."""

    X86 = "x86"
    AMD64 = "amd64"
    ARM64 = "arm64"
    UNKNOWN = "unknown"
