# SPDX-License-Identifier: Apache-2.0
"""A machine as its definition describes it, in words of no platform, so that every reader meets every writer here.

Touches nothing. What a definition does not say is None or empty; what no KVM machine has is not forgotten but stands in `losses`.
"""

from enum import Enum

from unxen.model.ids import Firmware, ImageFormat
from unxen.model.record import dataclass


class GuestKind(Enum):
    """How Xen runs a guest; only HVM is a whole machine, and only a whole machine runs Windows."""

    HVM = "hvm"
    PV = "pv"
    PVH = "pvh"


class BootDevice(Enum):
    """What the firmware tries, in order."""

    DISK = "disk"
    CDROM = "cdrom"
    NETWORK = "network"
    FLOPPY = "floppy"


class Media(Enum):
    """What a drive holds."""

    DISK = "disk"
    CDROM = "cdrom"
    FLOPPY = "floppy"


class Clock(Enum):
    """What the hardware clock shows: Windows wants local time unless it was told otherwise."""

    UTC = "utc"
    LOCALTIME = "localtime"


@dataclass(frozen=True)
class Drive:
    """One disk or drive.

    `slot` is the name or number that the definition gives (`hda`, `xvdb`, `0`). `path` is empty for an empty drive, and for a disk
    whose bytes are still in an export. `size` in bytes, 0 when the definition does not say.
    """

    slot: str
    media: Media
    path: str
    format: ImageFormat = ImageFormat.RAW
    block_device: bool = False
    read_only: bool = False
    size: int = 0
    discard: bool = False


@dataclass(frozen=True)
class NetworkCard:
    """One network interface; `model` is the KVM name, or empty when Windows is to decide.

    `bridge` is a bridge of the host, `network` one of libvirt's networks; both, and `mac`, may be empty.
    """

    mac: str = ""
    model: str = ""
    bridge: str = ""
    mtu: int = 0
    vlan: int = 0
    network: str = ""


@dataclass(frozen=True)
class Graphics:
    """A way to see the screen, `vnc` or `spice`, from this host alone; the platform chooses the port."""

    kind: str = "vnc"
    keymap: str = ""


@dataclass(frozen=True)
class Loss:
    """Something that the new machine does not have: what, why, and what a person can do about it.

    `harmless` is what KVM does by itself or does not need.
    """

    item: str
    why: str
    remedy: str
    harmless: bool = False


@dataclass(frozen=True)
class MachineDefinition:
    """One virtual machine. Sizes in bytes; `drives` in the order in which the firmware counts them.

    `hyperv` are libvirt's names of the enlightenments. `cores_per_socket` is 0 when the definition does not say. `video` is `vga`,
    `cirrus`, `qxl`, `none`, or empty when Windows is to decide; `video_memory` in KiB or 0. `serial` is the number of serial ports.
    `clock_shift` is in seconds; `clock_zone` is a time zone by name (Europe/Vienna) that the clock shows instead.
    """

    name: str
    kind: GuestKind = GuestKind.HVM
    uuid: str = ""
    description: str = ""
    memory: int = 0
    max_memory: int = 0
    vcpus: int = 1
    max_vcpus: int = 1
    cores_per_socket: int = 0
    firmware: Firmware = Firmware.BIOS
    secure_boot: bool = False
    tpm: bool = False
    acpi: bool = True
    apic: bool = True
    hpet: bool | None = None
    nested: bool = False
    hyperv: tuple[str, ...] = ()
    boot: tuple[BootDevice, ...] = (BootDevice.DISK,)
    clock: Clock = Clock.UTC
    clock_shift: int = 0
    clock_zone: str = ""
    video: str = ""
    video_memory: int = 0
    graphics: Graphics = Graphics()
    tablet: bool = True
    sound: str = ""
    serial: int = 0
    on_poweroff: str = "destroy"
    on_reboot: str = "restart"
    on_crash: str = "destroy"
    cards: tuple[NetworkCard, ...] = ()
    drives: tuple[Drive, ...] = ()
    losses: tuple[Loss, ...] = ()
