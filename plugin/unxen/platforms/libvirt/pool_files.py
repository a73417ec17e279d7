# SPDX-License-Identifier: Apache-2.0
"""A hook must not ask libvirt, which waits for its answer; where a pool's volumes are stands in libvirt's own files, too.

Reads the XML of storage pools below libvirt's state and configuration directories. Refused(PLATFORM_REFUSED) for what is not there
and for pools whose volumes are no files or devices with the volume's name below the pool's path.
"""

from pathlib import Path

from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.platforms.xen.safe_xml import parse_xml

DIRECTORIES = (Path("/run/libvirt/storage"), Path("/etc/libvirt/storage"))
PLAIN_POOLS = ("dir", "fs", "netfs", "logical")


def volume_path(pool: str, volume: str) -> str:
    """The path of a volume, without asking anybody."""
    for directory in DIRECTORIES:
        path = directory / f"{pool}.xml"
        # A name with a slash is no pool's.
        if path.parent != directory:
            break
        try:
            root = parse_xml(path.read_bytes())
        except (OSError, ValueError):
            continue
        root = root if root.tag == "pool" else (root.find("pool") if root.find("pool") is not None else root)
        target = (root.findtext("target/path") or "").strip()
        if root.get("type") in PLAIN_POOLS and target and "/" not in volume:
            return str(Path(target) / volume)
    raise refused(ReasonKind.PLATFORM_REFUSED, f"{pool}/{volume}", problem="where this volume lies is not known without libvirt")
