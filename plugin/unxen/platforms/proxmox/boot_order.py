# SPDX-License-Identifier: Apache-2.0
"""A disk that moves must stay where it was in the boot order; Proxmox silently drops a deleted slot from it.

Touches nothing. Reads both forms, `order=scsi0;net0` and the older letters with `bootdisk`; gives the newer one.
"""

from collections.abc import Mapping, Sequence

from unxen.platforms.proxmox.drives import SLOTS, hard_disks, parse_drive

_DEFAULT_LETTERS = "cdn"
_NETWORKS = 32


def order_of(values: Mapping[str, str]) -> tuple[str, ...]:
    """The devices that are tried, in order."""
    boot = values.get("boot", _DEFAULT_LETTERS)
    words = dict(word.partition("=")[::2] if "=" in word else ("legacy", word) for word in boot.split(","))
    if "order" in words:
        return tuple(each for each in words["order"].split(";") if each)
    return tuple(device for letter in words.get("legacy", _DEFAULT_LETTERS) for device in _behind(letter, values))


def moved_order(values: Mapping[str, str], moves: Mapping[str, str]) -> tuple[str, ...]:
    """The order with every moved slot in its old place. Where no hard disk was in it at all, the moved ones go first."""
    before = order_of(values)
    after = [moves.get(device, device) for device in before]
    if not {slot for slot, _ in hard_disks(values)} & set(before):
        after = [*moves.values(), *after]
    # Proxmox refuses an order that names what the machine has not.
    there = {*values, *moves.values()} - set(moves)
    return tuple(dict.fromkeys(device for device in after if device in there))


def _behind(letter: str, values: Mapping[str, str]) -> Sequence[str]:
    """The devices that an old letter means."""
    if letter == "c":
        first = values.get("bootdisk") or next((slot for slot, _ in hard_disks(values)), "")
        return [first] if first in values else []
    if letter == "d":
        return [slot for slot in _slots() if slot in values and _is_cdrom(values[slot])]
    return [f"net{number}" for number in range(_NETWORKS) if f"net{number}" in values] if letter == "n" else []


def _slots() -> Sequence[str]:
    return [f"{kind}{number}" for kind, count in SLOTS.items() for number in range(count)]


def _is_cdrom(value: str) -> bool:
    try:
        return parse_drive(value).is_cdrom
    except ValueError:
        return False
