# SPDX-License-Identifier: Apache-2.0
"""A disk as a line of the configuration: its slot, its volume and its options, which survive reading and writing as they are.

Touches nothing. A value that is not a drive raises ValueError. Grammar: qemu-server 9.2.6, QemuServer/Drive.pm; volume first.
"""

import re
from collections.abc import Iterator, Mapping

from unxen.model.record import dataclass
from unxen.platforms.proxmox.config import VmConfig

SLOTS = {"ide": 4, "sata": 6, "scsi": 31, "virtio": 16}
"""How many slots of each kind a VM has."""
UNUSED = "unused"
EFI_DISK = "efidisk0"
"""Where OVMF keeps its variables."""
_NAME = re.compile(r"(ide|sata|scsi|virtio|unused)(0|[1-9][0-9]*)")
_NO_VOLUME = ("none", "cdrom")


@dataclass(frozen=True)
class Drive:
    """The value of a drive key: the volume and its options in their order."""

    volume: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def is_cdrom(self) -> bool:
        """Whether it is no hard disk; a drive with cloud-init's data is a CD-ROM, too."""
        return dict(self.options).get("media") == "cdrom" or self.volume in _NO_VOLUME

    def text(self) -> str:
        """The value as the configuration has it."""
        return ",".join((self.volume, *(f"{name}={value}" for name, value in self.options)))


def parse_drive(value: str) -> Drive:
    """The drive in a value like `local:100/vm-100-disk-0.raw,size=4G`."""
    volume, options = "", []
    for part in value.split(","):
        name, equals, rest = part.partition("=")
        if not equals:
            name, rest = "file", part
        if name == "file" and not volume:
            volume = rest
        elif name and rest and name != "file":
            options.append((name, rest))
        else:
            raise ValueError(value)
    if not volume:
        raise ValueError(value)
    return Drive(volume, tuple(options))


def is_slot(key: str) -> bool:
    """Whether the key is a slot that a machine has."""
    found = _NAME.fullmatch(key)
    return found is not None and int(found[2]) < SLOTS.get(found[1], 0)


def kind_of(slot: str) -> str:
    """`sata` of `sata0`."""
    return slot.rstrip("0123456789")


def hard_disks(values: Mapping[str, str]) -> Iterator[tuple[str, Drive]]:
    """(slot, drive) of every hard disk that the machine has, by kind and number; lines that are no drives are left out."""
    for kind, count in SLOTS.items():
        for slot in (f"{kind}{number}" for number in range(count)):
            drive = _drive(values.get(slot, ""))
            if drive and not drive.is_cdrom:
                yield slot, drive


def unused_volumes(config: VmConfig) -> tuple[tuple[str, str], ...]:
    """(key, volume) of what belongs to the VM and is attached nowhere."""
    return tuple(config.of(UNUSED))


def volumes(config: VmConfig) -> frozenset[str]:
    """Every volume of the main part that could be a disk of Windows."""
    attached = (drive.volume for _, drive in hard_disks(config.values))
    return frozenset((*attached, *(volume for _, volume in unused_volumes(config))))


def _drive(value: str) -> Drive | None:
    try:
        return parse_drive(value)
    except ValueError:
        return None
