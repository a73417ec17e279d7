# SPDX-License-Identifier: Apache-2.0
"""What people type behind an option becomes a value of its type, or is refused with a word on what is expected.

Touches nothing. Every function takes the text and raises argparse.ArgumentTypeError, whose message names what is known.
"""

import argparse
import re
from collections.abc import Callable, Sequence

from unxen.host.config_keys import BUS_NAMES, bus_named
from unxen.model.fix import Fix
from unxen.model.ids import Bus, ImageFormat, InstallationId
from unxen.model.settings import Delivery

NEW_DISK_FORMATS = (ImageFormat.RAW.value, ImageFormat.QCOW2.value)


def jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("a number from 1 to 64 is expected")
    return int(text)


def days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 36500:
        raise argparse.ArgumentTypeError("a number of days from 1 on is expected")
    return int(text)


def seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("seconds from 0 to 86400 are expected")
    return seconds


def bus(text: str) -> Bus:
    try:
        return bus_named(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no bus {text!r}; known are {', '.join(BUS_NAMES)}{near(text, BUS_NAMES)}") from error


def one_of(names: Sequence[str]) -> Callable[[str], Bus]:
    """A bus of these names alone."""

    def bus(text: str) -> Bus:
        if text.lower() not in names:
            raise argparse.ArgumentTypeError(f"{text!r} is not a place to go; known are {', '.join(names)}{near(text, names)}")
        return bus_named(text)

    return bus


def bridge(text: str) -> str:
    old, sign, new = text.partition("=")
    if not (old and sign and re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", new)):
        raise argparse.ArgumentTypeError("two names of bridges are expected, e.g. xenbr0=vmbr0")
    return text


def vmid(text: str) -> str:
    if text and not re.fullmatch(r"[1-9][0-9]{2,8}", text):
        raise argparse.ArgumentTypeError("the number of a new virtual machine is expected, e.g. 100")
    return text


def storage(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]", text):
        raise argparse.ArgumentTypeError("the name of a storage is expected, e.g. local-lvm")
    return text


def delivery(text: str) -> Delivery:
    try:
        return Delivery(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"no delivery {text!r}; known are {', '.join(each.value for each in Delivery)}") from error


def fixes(text: str) -> list[Fix]:
    names = tuple(each.value for each in Fix)
    for each in text.split(","):
        if each not in names:
            raise argparse.ArgumentTypeError(f"no fix {each!r}; known are {', '.join(names)}{near(each, names)}")
    return [Fix(each) for each in text.split(",")]


def installation(text: str) -> InstallationId:
    r"""`disk:partition:\ROOT`; slashes are taken for backslashes, which shells make hard to type."""
    disk, _, rest = text.partition(":")
    partition, _, root = rest.partition(":")
    if not (disk.isdecimal() and partition.isdecimal() and root):
        raise argparse.ArgumentTypeError(r"an id as unxen inspect shows it is expected, e.g. '1:2:\Windows'")
    root = root.replace("/", "\\")
    return InstallationId(f"{disk}:{partition}:{root if root[0] == chr(92) else chr(92) + root}")


def hive_root(text: str) -> str:
    if not text.upper().startswith(("HKEY_LOCAL_MACHINE\\", "HKEY_USERS\\")) or not text.isprintable() or "]" in text:
        raise argparse.ArgumentTypeError(r"a key below HKEY_LOCAL_MACHINE or HKEY_USERS is expected, e.g. HKEY_LOCAL_MACHINE\Temp")
    return text.rstrip("\\")


def near(text: str, names: Sequence[str]) -> str:
    import difflib  # lazily: mistakes are few

    near = difflib.get_close_matches(text, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


def disk_format(text: str) -> ImageFormat:
    if text not in NEW_DISK_FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(NEW_DISK_FORMATS)}")
    return ImageFormat(text)
