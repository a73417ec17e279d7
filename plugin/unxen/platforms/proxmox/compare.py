# SPDX-License-Identifier: Apache-2.0
"""Whether two configurations mean the same VM: what Proxmox adds by itself, our own lock, notes and tag do not count.

Touches nothing. Proxmox fills in sizes, sorts options, and gives a detached volume whatever number among the unused ones is free.
"""

import hashlib
import json
from collections.abc import Collection, Mapping

from unxen.platforms.proxmox.config import VmConfig
from unxen.platforms.proxmox.drives import EFI_DISK, UNUSED, is_slot, kind_of, parse_drive

# `lock` comes and goes with every long operation, and says nothing about what the VM is.
_PASSING = ("lock", "tags", "digest")


def meaning(config: VmConfig) -> str:
    """Equal texts for configurations that mean the same."""
    values = {key: _plain(key, value) for key, value in config.values.items() if key not in _PASSING and kind_of(key) != UNUSED}
    unused = sorted(value for key, value in config.values.items() if kind_of(key) == UNUSED)
    pending = {key: value for key, value in config.pending.items() if key not in _PASSING}
    return json.dumps([values, unused, pending, sorted(config.pending_deletes)], sort_keys=True)


def stamp(config: VmConfig) -> str:
    """A short text that changes with the meaning."""
    return hashlib.sha256(meaning(config).encode("utf-8", "surrogateescape")).hexdigest()


def values_in(text: str) -> dict[str, str]:
    """The values of the main part in what `meaning` gave, drives without their sizes."""
    values: dict[str, str] = json.loads(text)[0]
    return values


def is_between(config: VmConfig, meanings: Collection[str]) -> bool:
    """Whether every key has the value that it has in one of these: a request that was cut off leaves such a mixture.

    A volume on its way from one slot to another lies among the unused ones meanwhile.
    """
    if not meanings:
        return False
    parts = [json.loads(each) for each in meanings]
    values, unused, *pending = json.loads(meaning(config))
    keys = {*values, *(key for each in parts for key in each[0])}
    moved = {part for each in parts for key, value in each[0].items() if is_slot(key) for part in value.split(",")}
    fixed = ([sorted(set(each) - moved), *rest] for _, each, *rest in parts)
    known = all(values.get(key) in [each[0].get(key) for each in parts] for key in keys)
    return known and [sorted(set(unused) - moved), *pending] in list(fixed)


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Every key that has another value, or has one on one side only."""
    return tuple(sorted(key for key in {*before, *after} if before.get(key) != after.get(key)))


def _plain(key: str, value: str) -> str:
    """A drive without its size and with its options in one order."""
    if key == EFI_DISK:
        return _efi_disk(value)
    if not is_slot(key):
        return value
    try:
        drive = parse_drive(value)
    except ValueError:
        return value
    return ",".join((drive.volume, *sorted(f"{name}={text}" for name, text in drive.options if name != "size")))


def _efi_disk(value: str) -> str:
    """Its storage and options: name and size are Proxmox' choice when it makes one."""
    try:
        drive = parse_drive(value)
    except ValueError:
        return value
    storage = drive.volume if drive.volume.startswith("/") else drive.volume.partition(":")[0]
    return ",".join((storage, *sorted(f"{name}={text}" for name, text in drive.options if name != "size")))
