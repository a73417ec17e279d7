# SPDX-License-Identifier: Apache-2.0
"""The numbers at the beginning of a qcow2 file, which its names, bits and tables are all measured by.

Reads through a Source. Layout: docs/interop/qcow2.txt of QEMU. Versions other than 2 and 3 are Refused(UNSUPPORTED_FEATURE).
"""

import struct

from unxen.model.record import dataclass
from unxen.probe.headers.source import Source, damaged, unsupported

MAGIC = b"QFI\xfb"
V2 = struct.Struct(">4sIQIIQIIQQIIQ")
V3 = struct.Struct(">QQQII")
DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION, EXTENDED_L2 = (1 << bit for bit in range(5))


@dataclass(frozen=True)
class Fields:
    """The header's numbers."""

    version: int
    backing_offset: int
    backing_length: int
    cluster_bits: int
    size: int
    crypt: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshots: int
    incompatible: int = 0
    refcount_order: int = 4
    header_length: int = V2.size

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def l2_entry(self) -> int:
        """Bytes of one entry of a second-level table."""
        return 16 if self.incompatible & EXTENDED_L2 else 8


def read_fields(source: Source) -> Fields:
    """The numbers, each in its own bounds."""
    raw = V2.unpack(source.read(0, V2.size))
    version = raw[1]
    numbers = (version, raw[2], raw[3], raw[4], raw[5], raw[6], raw[7], raw[8], raw[9], raw[10], raw[11])
    if version not in (2, 3):
        raise unsupported(f"qcow2 version {version}")
    if not 9 <= raw[4] <= 21:
        raise damaged(f"cluster bits {raw[4]}")
    if version == 2:
        return Fields(*numbers)
    incompatible, _, _, order, length = V3.unpack(source.read(V2.size, V3.size))
    if order > 6 or not V2.size + V3.size <= length <= 1 << raw[4]:
        raise damaged("header length or refcount order")
    return Fields(*numbers, incompatible, order, length)
