# SPDX-License-Identifier: Apache-2.0
"""What Windows decides about its new machine: cards that it has drivers for, the board, and a place for every drive.

Touches nothing: pure functions. A card that the definition names and KVM has stays; Windows has it already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from unxen.model.conversion import Placed, Version
from unxen.model.ids import Bus, MachineType
from unxen.model.machine import Drive, Loss, MachineDefinition, Media

VISTA = (6, 0, 0)
WITH_CD = (Bus.IDE, Bus.SATA)
"""Buses on which every Windows that starts from them reads CDs, too."""


NEVER_READ_ONLY = (Bus.IDE, Bus.SATA)


@dataclass(frozen=True)
class Limits:
    """What a platform has room for and takes: drives bus by bus, a VLAN on a card, a VHD whose size QEMU reads wrongly."""

    places: Mapping[Bus, int]
    vlan_tags: bool = False
    whole_vhds: bool = False

    def of(self, bus: Bus) -> int:
        """The places of one bus."""
        return self.places.get(bus, 0)


def board_for(machine: MachineDefinition, bus: Bus) -> MachineType:
    """Xen's own board is i440FX, which Windows knows; secure boot wants Q35, which has no IDE."""
    return MachineType.Q35 if machine.secure_boot and bus is not Bus.IDE else MachineType.I440FX


def usual_bus(windows: Version | None) -> Bus:
    """Where a disk goes that nobody could look into, or whose look chose nothing: XP and 2003 have no driver for SATA."""
    return Bus.IDE if windows and windows < VISTA else Bus.SATA


def fitted(machine: MachineDefinition, windows: Version | None, card: str, bridges: Mapping[str, str]) -> MachineDefinition:
    """The machine with its cards and its screen as this Windows needs them; `card` is the model for cards without one."""
    cards = tuple(replace(each, model=each.model or card, bridge=bridges.get(each.bridge, each.bridge)) for each in machine.cards)
    video = machine.video or ("cirrus" if windows and windows < VISTA else "vga")
    return replace(machine, cards=cards, video=video)


def place(drives: Sequence[Drive], bus: Bus, limits: Limits) -> tuple[tuple[Placed, ...], tuple[Loss, ...]]:
    """A place for every drive, disks before CDs; what finds none is a loss."""
    placed: list[Placed] = []
    losses: list[Loss] = []
    used: dict[Bus, int] = {}
    for drive in sorted(drives, key=lambda each: each.media is not Media.DISK):
        wanted = bus if drive.media is Media.DISK or bus in WITH_CD else Bus.SATA
        index = used.get(wanted, 0)
        if drive.media is Media.DISK and drive.read_only and wanted in NEVER_READ_ONLY:
            losses.append(_read_only(drive, wanted))
            continue
        if index >= limits.of(wanted):
            losses.append(_no_place(drive, wanted, limits.of(wanted)))
            continue
        used[wanted] = index + 1
        placed.append(Placed(drive, wanted, index))
    return tuple(placed), tuple(losses)


def _read_only(drive: Drive, bus: Bus) -> Loss:
    return Loss(
        f"disk {drive.slot}: {drive.path}",
        f"QEMU has no disk on {bus.value} that cannot be written, and this one must not be; it is left out",
        "Attach it on VirtIO once Windows has the driver, or copy it and attach the copy.",
    )


def _no_place(drive: Drive, bus: Bus, places: int) -> Loss:
    return Loss(
        f"disk {drive.slot}: {drive.path}",
        f"{bus.value} has {places} places here and all are taken; it is left out",
        "Attach it to another controller once Windows has a driver for that.",
    )
