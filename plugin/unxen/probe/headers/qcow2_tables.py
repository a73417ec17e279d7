# SPDX-License-Identifier: Apache-2.0
"""A qcow2 file that was cut off opens without complaint and reads as zeros; its own tables show that something is missing.

Reads through a Source. A table outside the file, too small for the disk, or naming data outside it is Refused(IMAGE_DAMAGED).
"""

import sys
from array import array

from unxen.probe.headers.qcow2_fields import Fields
from unxen.probe.headers.source import Source, damaged

MOST_L1_BYTES = 32 << 20
MOST_REFCOUNT_TABLE_BYTES = 8 << 20
# Of second-level tables, when every one of them has to be read: those of 2 TiB in clusters of 64 KiB.
MOST_L2_BYTES = 256 << 20
OFFSET_MASK = 0x00FFFFFFFFFFFE00
COMPRESSED = 1 << 62


def check_tables(source: Source, fields: Fields) -> None:
    """The mapping is as large as the disk needs, and all of it and of what it names lies inside the file."""
    per_l2 = fields.cluster // fields.l2_entry * fields.cluster
    if fields.l1_entries < -(-fields.size // per_l2) or fields.l1_entries * 8 > MOST_L1_BYTES:
        raise damaged(f"{fields.l1_entries} entries of the first table for {fields.size} bytes")
    tables = [entry & OFFSET_MASK for entry in _entries(source, fields.l1_offset, fields.l1_entries * 8)]
    if max(tables, default=0) + fields.cluster > source.size and any(tables):
        raise damaged(f"a mapping table at {max(tables)} lies outside the file of {source.size} bytes")
    # Clusters that were counted and never written lie past the end after a crash and do no harm: only then all tables are read.
    if _last_counted(source, fields) >= source.size:
        _check_mapped(source, fields, [table for table in tables if table])


def _last_counted(source: Source, fields: Fields) -> int:
    """Where the last cluster begins that has a reference count."""
    length = fields.refcount_clusters * fields.cluster
    if not 0 < length <= MOST_REFCOUNT_TABLE_BYTES:
        raise damaged(f"reference count table of {length} bytes")
    table = [entry & OFFSET_MASK for entry in _entries(source, fields.refcount_offset, length)]
    last = max((index for index, entry in enumerate(table) if entry), default=None)
    if last is None:
        raise damaged("no reference counts")
    counts = source.read(table[last], fields.cluster).rstrip(b"\0")
    if not counts:
        return 0
    bits = 1 << fields.refcount_order
    # Counts of less than a byte lie in it from the lowest bit up.
    used = ((len(counts) - 1) * 8 + (counts[-1].bit_length() - 1 if bits < 8 else 0)) // bits
    return (last * (fields.cluster * 8 // bits) + used) * fields.cluster


def _check_mapped(source: Source, fields: Fields, tables: list[int]) -> None:
    """No cluster of the disk begins at or past the end of the file."""
    if len(tables) * fields.cluster > MOST_L2_BYTES:
        raise damaged(f"cluster in use outside the file of {source.size} bytes")
    for table in tables:
        entries = _entries(source, table, fields.cluster)[:: fields.l2_entry // 8]
        highest = max((entry & OFFSET_MASK for entry in entries if not entry & COMPRESSED), default=0)
        compressed = max((_compressed_at(entry, fields) for entry in entries if entry & COMPRESSED), default=0)
        if max(highest, compressed) >= source.size:
            raise damaged(f"data at {max(highest, compressed)} lies outside the file of {source.size} bytes")


def _compressed_at(entry: int, fields: Fields) -> int:
    """Where a compressed cluster begins; the bits above hold its length."""
    return entry & (1 << 62 - (fields.cluster_bits - 8)) - 1


def _entries(source: Source, offset: int, length: int) -> "array[int]":
    """Big-endian numbers of eight bytes."""
    numbers = array("Q", source.read(offset, length))
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
