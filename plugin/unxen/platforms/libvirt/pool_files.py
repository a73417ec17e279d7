# SPDX-License-Identifier: Apache-2.0
"""A hook must not ask libvirt, which waits for its answer; where a pool's volumes are stands in libvirt's own files, too.

Reads the XML of storage pools below libvirt's state and configuration directories. Refused(PLATFORM_REFUSED) for what is not there
and for pools whose volumes are no files or devices with the volume's name below the pool's path.
"""

from contextlib import suppress
from pathlib import Path

from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.platforms.safe_xml import parse_xml

DIRECTORIES = (Path("/run/libvirt/storage"), Path("/etc/libvirt/storage"))
PLAIN_POOLS = ("dir", "fs", "netfs", "logical")


def directory_of(definition: bytes) -> str:
    """Where a pool's volumes lie under their own names; empty for pools of other kinds and for what is no pool."""
    try:
        root = parse_xml(definition)
    except ValueError:
        return ""
    # In libvirt's state directory the pool stands inside <poolstate>.
    pool = root if root.tag == "pool" else root.find("pool")
    if pool is None or pool.get("type") not in PLAIN_POOLS:
        return ""
    return (pool.findtext("target/path") or "").strip()


def all_directories() -> tuple[str, ...]:
    """The directories of every pool that libvirt keeps a file of."""
    found = []
    for directory in DIRECTORIES:
        for path in sorted(directory.glob("*.xml")):
            with suppress(OSError):
                found.append(directory_of(path.read_bytes()))
    return tuple(dict.fromkeys(each for each in found if each))


def volume_path(pool: str, volume: str) -> str:
    """The path of a volume, without asking anybody."""
    for directory in DIRECTORIES:
        path = directory / f"{pool}.xml"
        # A name with a slash is no pool's.
        if path.parent != directory:
            break
        try:
            target = directory_of(path.read_bytes())
        except OSError:
            continue
        if target and "/" not in volume:
            return str(Path(target) / volume)
    raise refused(ReasonKind.PLATFORM_REFUSED, f"{pool}/{volume}", problem="where this volume lies is not known without libvirt")
