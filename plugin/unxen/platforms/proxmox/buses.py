# SPDX-License-Identifier: Apache-2.0
"""Proxmox names slots, Windows sees controllers: which bus a slot is on this machine, and which slot a bus could get.

Touches nothing. Refused(PLATFORM_REFUSED) where a bus has no slot left, or a drive has an option that must not get lost.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from unxen.errors import refused
from unxen.model.ids import Bus, Firmware, MachineType
from unxen.model.machine import Clock
from unxen.model.reason import ReasonKind
from unxen.platforms.proxmox.config import TRUE
from unxen.platforms.proxmox.drives import SLOTS, Drive, is_slot, kind_of
from unxen.platforms.proxmox.tables import Elsewhere, SlotRow, default_scsihw, options, slots

_ARM = "aarch64"


@dataclass(frozen=True)
class Place:
    """A slot, and the VM's SCSI controller where that has to be another one; empty when it may stay."""

    slot: str
    scsihw: str = ""


def board_of(values: Mapping[str, str]) -> MachineType:
    """QEMU's board behind `machine:`, which is i440fx when nothing is said."""
    if values.get("arch", "") == _ARM:
        return MachineType.UNKNOWN
    words = values.get("machine", "").split(",")
    name = next((word.removeprefix("type=") for word in words if "=" not in word or word.startswith("type=")), "")
    if name == "q35" or name.startswith("pc-q35"):
        return MachineType.Q35
    return MachineType.I440FX if name in ("", "pc") or name.startswith("pc-i440fx") else MachineType.UNKNOWN


def firmware_of(values: Mapping[str, str]) -> Firmware:
    """What `bios:` says; SeaBIOS when nothing is said."""
    return {"seabios": Firmware.BIOS, "ovmf": Firmware.UEFI}.get(values.get("bios", "seabios"), Firmware.UNKNOWN)


def clock_of(values: Mapping[str, str]) -> Clock:
    """What the hardware clock shows: what `localtime:` says, else local time where `ostype:` is a Windows."""
    said = values.get("localtime")
    local = said.lower() in TRUE if said is not None else values.get("ostype", "").startswith("w")
    return Clock.LOCALTIME if local else Clock.UTC


def scsihw_of(values: Mapping[str, str]) -> str:
    """The VM's SCSI controller."""
    return values.get("scsihw") or default_scsihw()


def bus_of(slot: str, values: Mapping[str, str]) -> Bus:
    """The controller that Windows sees behind a slot of this machine."""
    board = board_of(values)
    found = (row for row in slots() if row.kind == kind_of(slot) and row.board in (None, board) and _has(row, values))
    return next((row.bus for row in found), Bus.UNKNOWN)


def offered(values: Mapping[str, str], moving: Collection[str]) -> tuple[Bus, ...]:
    """The buses that unxen would give the disks in `moving`, each once."""
    rows = (row for row in slots() if row.offer and _possible(row, values, moving))
    return tuple(dict.fromkeys(row.bus for row in rows))


def places(bus: Bus, values: Mapping[str, str], moving: Sequence[str], taken: Collection[str]) -> tuple[Place, ...]:
    """A place on the bus for every slot in `moving`; a disk that is there already keeps its slot."""
    rows = [row for row in slots() if row.bus is bus and _possible(row, values, moving)]
    # The controller that the VM has goes before one that it would have to get.
    row = next((each for each in rows if _has(each, values)), rows[0] if rows else None)
    if row is None:
        raise refused(ReasonKind.PLATFORM_REFUSED, bus.value, problem="this machine has no slot for that bus")
    made: dict[str, Place] = {}
    for slot in moving:
        made[slot] = _place(row, slot, values, {*taken, *(each.slot for each in made.values())})
    return tuple(made[slot] for slot in moving)


def translated(slot: str, drive: Drive, target: str) -> Drive:
    """The drive with the options that its new slot takes; Refused where one must not get lost or is not known."""
    kept = tuple((name, value) for name, value in drive.options if _stays(slot, name, value, kind_of(target)))
    return Drive(drive.volume, kept)


def _place(row: SlotRow, slot: str, values: Mapping[str, str], taken: Collection[str]) -> Place:
    scsihw = "" if _has(row, values) else row.scsihw
    if is_slot(slot) and kind_of(slot) == row.kind:
        return Place(slot, scsihw)
    free = (f"{row.kind}{number}" for number in range(SLOTS[row.kind]))
    found = next((each for each in free if each not in taken), None)
    if found is None:
        raise refused(ReasonKind.PLATFORM_REFUSED, row.bus.value, problem=f"every {row.kind} slot is taken")
    return Place(found, scsihw)


def _possible(row: SlotRow, values: Mapping[str, str], moving: Collection[str]) -> bool:
    """The board has it, and its SCSI controller is there or can be changed without another disk noticing."""
    if row.board not in (None, board_of(values)):
        return False
    return _has(row, values) or (row.offer and not _other_scsi(values, moving))


def _other_scsi(values: Mapping[str, str], moving: Collection[str]) -> bool:
    return any(is_slot(key) and kind_of(key) == "scsi" and key not in moving for key in values)


def _has(row: SlotRow, values: Mapping[str, str]) -> bool:
    return row.scsihw in ("", scsihw_of(values))


def _stays(slot: str, name: str, value: str, kind: str) -> bool:
    row = options().get(name)
    if row is None:
        raise refused(ReasonKind.PLATFORM_REFUSED, slot, problem=f"the drive has an option that is not known here: {name}")
    if kind in row.kinds:
        return True
    if row.elsewhere is Elsewhere.REFUSE and value not in ("0", "off"):
        raise refused(ReasonKind.PLATFORM_REFUSED, slot, problem=f"{name}={value}: {row.why}")
    return False
