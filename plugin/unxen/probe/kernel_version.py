# SPDX-License-Identifier: Apache-2.0
"""The kernel's version resource tells for a few kilobytes which Windows this is; SOFTWARE would cost up to a hundred megabytes.

Reads only the headers, the way through the resource directory, and the resource, each bounded. A file that is no kernel, is
compressed beyond reading or lies about itself has no version: None and UNKNOWN, never an error.
"""

import struct
from collections.abc import Callable

from unxen.model.ids import Architecture
from unxen.model.record import dataclass
from unxen.probe.malformed import VOLUME_ERRORS

Read = Callable[[int, int], bytes]
Version = tuple[int, int, int]
MACHINES = {0x014C: Architecture.X86, 0x8664: Architecture.AMD64, 0xAA64: Architecture.ARM64}
# Where the data directories begin after the optional header's start, by its magic (PE32, PE32+).
DIRECTORIES = {0x010B: 96, 0x020B: 112}
RESOURCES, VERSION_TYPE = 2, 16
SUBDIRECTORY = 0x80000000
FIXED_SIGNATURE = 0xFEEF04BD.to_bytes(4, "little")
HEADERS, MOST_ENTRIES, MOST_SECTIONS = 4096, 512, 96


@dataclass(frozen=True)
class _Section:
    address: int
    size: int
    file_offset: int


@dataclass(frozen=True)
class _Image:
    machine: int
    resources: int
    sections: tuple[_Section, ...]

    def file_offset(self, address: int) -> int:
        """Where a virtual address lies in the file."""
        for each in self.sections:
            if each.address <= address < each.address + each.size:
                return address - each.address + each.file_offset
        raise ValueError("address in no section")


def read_kernel(read: Read) -> tuple[Version | None, Architecture]:
    """(major, minor, build) and the architecture of a kernel image; `read` gives bytes at an offset, fewer at the end."""
    try:
        image = _headers(read(0, HEADERS))
    except VOLUME_ERRORS:
        return None, Architecture.UNKNOWN
    machine = MACHINES.get(image.machine, Architecture.UNKNOWN)
    try:
        return _version(read, image), machine
    except VOLUME_ERRORS:
        return None, machine


def _headers(data: bytes) -> _Image:
    (at,) = struct.unpack_from("<I", data, 0x3C)
    if data[:2] != b"MZ" or data[at : at + 4] != b"PE\0\0":
        raise ValueError("no image")
    machine, sections = struct.unpack_from("<HH", data, at + 4)
    (optional_size,) = struct.unpack_from("<H", data, at + 20)
    (magic,) = struct.unpack_from("<H", data, at + 24)
    (resources,) = struct.unpack_from("<I", data, at + 24 + DIRECTORIES[magic] + 8 * RESOURCES)
    table = at + 24 + optional_size
    rows = (struct.unpack_from("<8xIIII", data, table + 40 * index) for index in range(min(sections, MOST_SECTIONS)))
    return _Image(machine, resources, tuple(_Section(address, max(size, raw), start) for size, address, raw, start in rows))


def _version(read: Read, image: _Image) -> Version:
    base = image.file_offset(image.resources)
    by_name = _below(read, base, _below(read, base, 0, VERSION_TYPE) & ~SUBDIRECTORY, None)
    by_language = _below(read, base, by_name & ~SUBDIRECTORY, None)
    address, size = struct.unpack("<II", read(base + by_language, 8))
    resource = read(image.file_offset(address), min(size, 256))
    at = resource.index(FIXED_SIGNATURE)
    high, low = struct.unpack_from("<II", resource, at + 8)
    return high >> 16, high & 0xFFFF, low >> 16


def _below(read: Read, base: int, directory: int, wanted: int | None) -> int:
    """Where the entry with this id leads, or the first entry's; entries with names come before those with ids."""
    named, numbered = struct.unpack("<12xHH", read(base + directory, 16))
    count = min(named + numbered, MOST_ENTRIES)
    for identity, leads in struct.iter_unpack("<II", read(base + directory + 16, 8 * count)):
        if wanted is None or identity == wanted:
            return int(leads)
    raise ValueError("no such resource")
