# SPDX-License-Identifier: Apache-2.0
"""Names and numbers of Xen's virtual disks tell in which order the firmware meets them.

Touches nothing. Source: xen-vbd-interface(7). Emulated IDE and PV names count in one row, SCSI names in another after it.
"""

import re

_NAMED = re.compile(r"(?:/dev/)?(xvd|hd|sd|vd|ioemu:hd)([a-z]{1,3})\d*")
_PLAIN = re.compile(r"d(\d{1,7})(?:p\d+)?")
LAST = (9, 0)


def slot_order(vdev: str) -> tuple[int, int]:
    """The place of a disk among all; names that mean nothing come last."""
    if named := _NAMED.fullmatch(vdev.lower()):
        return (1 if named[1] == "sd" else 0, _letters(named[2]))
    if plain := _PLAIN.fullmatch(vdev.lower()):
        return 0, int(plain[1])
    if vdev[:12].lower().startswith("0x") or vdev.isdecimal():
        return _by_number(vdev)
    return LAST


def _letters(letters: str) -> int:
    """a is 0, z is 25, aa is 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def _by_number(vdev: str) -> tuple[int, int]:
    """The device number that the guest sees: major and minor of Linux's drivers, or Xen's long form."""
    try:
        number = int(vdev, 0)
    except ValueError:
        return LAST
    if number & (1 << 28):
        return 0, (number & 0xFFFFFFF) >> 8
    major, minor = number >> 8, number & 0xFF
    if major in (3, 22):
        return 0, (0 if major == 3 else 2) + (minor >> 6)
    return (1 if major == 8 else 0, minor >> 4) if major in (8, 202) else LAST
