# SPDX-License-Identifier: Apache-2.0
"""A VDI may be only a difference to a file that it names by id; its header tells.

Reads through a Source. Fields as in QEMU's block/vdi.c and VirtualBox' documents.
"""

import struct

from unxen.model.disk import ImageHeader
from unxen.model.ids import ImageFormat
from unxen.probe.headers.source import Source, damaged, sane_size, unsupported

MAGIC = 0xBEDA107F
MAGIC_AT = 0x40
FIELDS = struct.Struct("<IIII")
PLACES_AT, SIZES_AT, LINK_AT = 0x154, 0x170, 0x1A8
MOST_BLOCKS = 1 << 24
SECTOR = 512
KINDS = {1: "dynamic", 2: "fixed", 3: "differencing", 4: "differencing"}


def read_vdi(source: Source) -> ImageHeader:
    """The header of a VDI file."""
    _, version, _, kind = FIELDS.unpack(source.read(MAGIC_AT, FIELDS.size))
    if version != 0x00010001:
        raise unsupported(f"VDI version {version:#x}")
    if kind not in KINDS:
        raise unsupported(f"VDI type {kind}")
    table, data = struct.unpack("<II", source.read(PLACES_AT, 8))
    size, block, _, blocks, allocated = struct.unpack("<QIIII", source.read(SIZES_AT, 24))
    if blocks > MOST_BLOCKS or blocks * block < size:
        raise damaged(f"{blocks} blocks for {size} bytes")
    source.read(table, blocks * 4)
    if data + (allocated - 1) * block >= source.size:
        raise damaged(f"{allocated} blocks in a file of {source.size} bytes")
    linked = source.read(LINK_AT, 16) != bytes(16)
    whole = sane_size(-(-size // SECTOR) * SECTOR)
    return ImageHeader(format=ImageFormat.VDI, virtual_size=whole, kind="differencing" if linked else KINDS[kind])
