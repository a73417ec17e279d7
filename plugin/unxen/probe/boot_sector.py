# SPDX-License-Identifier: Apache-2.0
"""Everything on an NTFS volume is found from a few numbers of its first sector, so they are read and bounded in one place.

Touches nothing: takes bytes, gives numbers, or raises Malformed.
"""

import struct

from unxen.model.record import dataclass
from unxen.probe.malformed import Malformed

SECTOR_SIZES = frozenset((256, 512, 1024, 2048, 4096))
LARGEST_CLUSTER = 2 << 20
RECORD_SIZES = frozenset((512, 1024, 2048, 4096, 8192, 16384))


@dataclass(frozen=True)
class BootSector:
    """Geometry of one volume; `heads` is the BIOS geometry field that NT 5 needs right, `serial` 16 hexadecimal digits."""

    sector_size: int
    cluster_size: int
    clusters: int
    mft_cluster: int
    record_size: int
    index_size: int
    heads: int
    serial: str


def read_boot_sector(sector: bytes) -> BootSector:
    """The numbers of an NTFS boot sector, each in its range."""
    if len(sector) < 512 or sector[3:11] != b"NTFS    ":
        raise Malformed("boot sector", "no NTFS signature")
    sector_size, per_cluster = struct.unpack_from("<HB", sector, 11)
    sectors, mft_cluster = struct.unpack_from("<QQ", sector, 40)
    cluster_size = _cluster_size(sector_size, per_cluster)
    clusters = sectors * sector_size // cluster_size
    if not 0 < mft_cluster < clusters:
        raise Malformed("boot sector", f"$MFT at cluster {mft_cluster} of {clusters}")
    return BootSector(
        sector_size=sector_size,
        cluster_size=cluster_size,
        clusters=clusters,
        mft_cluster=mft_cluster,
        record_size=_record_size(sector[64], cluster_size),
        index_size=_unit(sector[68], cluster_size),
        heads=int.from_bytes(sector[26:28], "little"),
        serial=f"{int.from_bytes(sector[72:80], 'little'):016X}",
    )


def _cluster_size(sector_size: int, per_cluster: int) -> int:
    """Sectors per cluster is a power of two; from 256 sectors on it is stored as a negative power (clusters over 64 KiB)."""
    if sector_size not in SECTOR_SIZES:
        raise Malformed("boot sector", f"{sector_size} bytes per sector")
    sectors = per_cluster if per_cluster <= 0x80 else 1 << min(256 - per_cluster, 32)
    size = sectors * sector_size
    if size.bit_count() != 1 or size > LARGEST_CLUSTER:
        raise Malformed("boot sector", f"{size} bytes per cluster")
    return size


def _record_size(field: int, cluster_size: int) -> int:
    size = _unit(field, cluster_size)
    if size not in RECORD_SIZES:
        raise Malformed("boot sector", f"{size} bytes per record")
    return size


def _unit(field: int, cluster_size: int) -> int:
    """Clusters, or as a negative number the power of two in bytes."""
    return field * cluster_size if field < 0x80 else 1 << min(256 - field, 32)
