# SPDX-License-Identifier: Apache-2.0
"""Disks and configurations that several tests need."""

from pathlib import Path

from generators.disks import MIB, make_disk
from generators.hives import driver_files, windows_hive

VOLUME = "local:100/vm-100-disk-0.raw"
PLACE = "storage/local/images/100/vm-100-disk-0.raw"
REST = """\
ide2: none,media=cdrom
memory: 512
name: old-xen
net0: e1000=52:54:00:00:00:01
smbios1: uuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8
"""


def disk(path: Path, *families: str, generation: str = "10") -> Path:
    """A disk with one Windows; with families of Xen drivers it would stop."""
    hive = windows_hive(generation, families=families)
    return make_disk(path, hive, format=path.suffix[1:], files=driver_files(hive), size=64 * MIB)


def config(*lines: str) -> str:
    """A configuration with these lines beside the rest."""
    return "".join(f"{line}\n" for line in sorted((*lines, *REST.splitlines())))
