# SPDX-License-Identifier: Apache-2.0
r"""A disk may hold several Windows, none of them in a directory called Windows; here each of them is found.

Asks directories of one volume. A directory in the volume's root is a Windows when it has `System32\config\SYSTEM` beside a
kernel. What setup keeps (`Windows.old`, `$WINDOWS.~BT`) looks the same and is none.
"""

import re

from unxen.model.ids import GuestPath
from unxen.model.record import dataclass
from unxen.probe.files import Entry
from unxen.probe.malformed import Malformed
from unxen.probe.ntfs import ROOT, NtfsVolume

KERNELS = ("ntoskrnl.exe", "ntkrnlpa.exe", "ntkrnlmp.exe", "ntkrpamp.exe")
USUAL_ROOTS = ("Windows", "WINNT")
KEPT_BY_SETUP = re.compile(r"\$|windows\.old", re.IGNORECASE)
# Windows cannot make such names; what has one in a root was put there to confuse somebody.
ILLEGAL = re.compile(r'[\x00-\x1f"*/:<>?|\\\ud800-\udfff]')
MOST_ENTRIES = 4096
MOST_ROOTS = 256


@dataclass(frozen=True)
class Found:
    """One Windows: its root, the directory of its hives, the entries of hive and kernel; every path as spelled on the volume."""

    root: GuestPath
    config: GuestPath
    hive: Entry
    kernel: GuestPath
    kernel_entry: Entry

    @property
    def hive_path(self) -> GuestPath:
        """Where the SYSTEM hive is."""
        return GuestPath(f"{self.config}\\{self.hive.name}")


def find_installations(volume: NtfsVolume) -> list[Found]:
    """Every Windows on a volume, in the order of the names of their roots."""
    found = (_look_into(volume, name) for name in _candidates(volume))
    return sorted((each for each in found if each is not None), key=lambda each: each.root.upper())


def _candidates(volume: NtfsVolume) -> list[str]:
    """Names of directories in the root, the usual ones first so that no crowd of others hides them."""
    usual = [entry for entry in map(volume.find, USUAL_ROOTS) if entry is not None]
    entries = usual + _root_entries(volume)
    named = {entry.name: entry for entry in entries if entry.directory and _may_be_root(entry.name)}
    return [name for name, entry in list(named.items())[:MOST_ROOTS] if _may_have_system32(volume, entry)]


def _root_entries(volume: NtfsVolume) -> list[Entry]:
    try:
        return volume.directory(ROOT).entries(MOST_ENTRIES)
    except Malformed:
        return []


def _may_have_system32(volume: NtfsVolume, entry: Entry) -> bool:
    """Asked of the index first: the library would read the whole of a directory that has a million files and no System32.

    Damage hides a directory only when nobody would expect Windows there; in a usual root the library shall say what is wrong.
    """
    try:
        return volume.directory(entry.number).find("System32") is not None
    except Malformed:
        return entry.name.upper() in map(str.upper, USUAL_ROOTS)


def _may_be_root(name: str) -> bool:
    return bool(name) and not KEPT_BY_SETUP.match(name) and not ILLEGAL.search(name)


def _look_into(volume: NtfsVolume, root: str) -> Found | None:
    system32 = _directory(volume, f"\\{root}", "System32")
    config = system32 and _directory(volume, system32[0], "config")
    if not system32 or not config:
        return None
    hive = volume.find(f"{config[0]}\\SYSTEM")
    kernel = next((entry for name in KERNELS if (entry := volume.find(f"{system32[0]}\\{name}")) is not None), None)
    if hive is None or kernel is None or hive.directory:
        return None
    kernel_path = GuestPath(f"{system32[0]}\\{kernel.name}")
    return Found(GuestPath(f"\\{root}"), GuestPath(config[0]), hive, kernel_path, kernel)


def _directory(volume: NtfsVolume, parent: str, name: str) -> tuple[str, Entry] | None:
    """The path of a directory, as spelled, and its entry."""
    entry = volume.find(f"{parent}\\{name}")
    return (f"{parent}\\{entry.name}", entry) if entry is not None and entry.directory else None
