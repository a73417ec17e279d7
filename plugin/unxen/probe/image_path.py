# SPDX-License-Identifier: Apache-2.0
r"""A service's ImagePath says in six spellings where its file lies; here each becomes a path from the volume's root.

Touches nothing. What leads off the volume or means nothing is Missing.UNREADABLE: a drive letter other than the one that Windows
itself has cannot be followed offline.
"""

import re

from unxen.model.ids import GuestPath, Missing
from unxen.model.record import dataclass

DEFAULT = r"System32\drivers\{}.sys"
# Longest first; what follows lies below the directory of Windows.
ROOT_BEGINNINGS = ("\\systemroot\\", "%systemroot%\\", "%windir%\\", "\\??\\%systemroot%\\")
# A letter, as processes have it and as drivers have it.
LETTER = re.compile(r"(?:\\\?\?\\|\\DosDevices\\)?([a-z]):\\", re.IGNORECASE)
# An unquoted path ends at its first file name that a program can have.
PROGRAM = re.compile(r"(.*?\.(?:exe|sys|dll|com|bat))(?:\s.*)?$", re.IGNORECASE | re.DOTALL)
FORBIDDEN = re.compile(r'[\x00-\x1f<>:"|?*/%]')
MOST_LETTERS = 1024


@dataclass(frozen=True)
class Home:
    r"""Where a Windows lies: its directory from the volume's root (`\Windows`), and the letter that it gives that volume."""

    root: GuestPath
    letter: str = "C"


def driver_path(image_path: str | Missing, service: str, home: Home) -> GuestPath | Missing:
    """Where the file lies on the volume of Windows; an absent path means the default for drivers."""
    if image_path is Missing.ABSENT or image_path == "":
        return _below(home.root, DEFAULT.format(service))
    if isinstance(image_path, Missing) or len(image_path) > MOST_LETTERS:
        return Missing.UNREADABLE
    return _resolved(_without_arguments(image_path.strip()), home)


def _without_arguments(path: str) -> str:
    if path.startswith('"'):
        return path[1:].partition('"')[0]
    found = PROGRAM.match(path)
    return found[1] if found else path


def _resolved(path: str, home: Home) -> GuestPath | Missing:
    lower = path.lower()
    for beginning in ROOT_BEGINNINGS:
        if lower.startswith(beginning):
            return _below(home.root, path[len(beginning) :])
    if found := LETTER.match(path):
        return _below(GuestPath(""), path[found.end() :]) if found[1].upper() == home.letter else Missing.UNREADABLE
    return Missing.UNREADABLE if path.startswith("\\") else _below(home.root, path)


def _below(root: GuestPath, path: str) -> GuestPath | Missing:
    names = [name for name in path.split("\\") if name]
    if not names or FORBIDDEN.search(path) or any(name in (".", "..") for name in names):
        return Missing.UNREADABLE
    return GuestPath("\\".join((root.rstrip("\\"), *names)))
