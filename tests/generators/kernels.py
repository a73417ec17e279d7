# SPDX-License-Identifier: Apache-2.0
"""Makes the least kernel image that tells its version: PE headers, one section, a resource directory, VS_VERSION_INFO.

Touches nothing. Laid out from the format's description; the reader was also tried on images that real linkers wrote.
"""

import struct

MACHINES = {"x86": 0x014C, "amd64": 0x8664, "arm64": 0xAA64}
SECTION_AT, SECTION_ADDRESS = 0x400, 0x3000


def kernel(version: tuple[int, int, int], machine: str = "amd64", revision: int = 1) -> bytes:
    """An image of that (major, minor, build)."""
    plus = machine != "x86"
    section = _resources(version, revision)
    directories = [(0, 0), (0, 0), (SECTION_ADDRESS, len(section))] + [(0, 0)] * 13
    optional = struct.pack("<H", 0x20B if plus else 0x10B).ljust(108 if plus else 92, b"\0") + struct.pack("<I", 16)
    optional += b"".join(struct.pack("<II", *each) for each in directories)
    header = struct.pack("<4sHHIIIHH", b"PE\0\0", MACHINES[machine], 1, 0, 0, 0, len(optional), 0x22)
    row = struct.pack("<8sIIIIIIHHI", b".rsrc", len(section), SECTION_ADDRESS, len(section), SECTION_AT, 0, 0, 0, 0, 0x40000040)
    start = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
    return (start.ljust(0x80, b"\0") + header + optional + row).ljust(SECTION_AT, b"\0") + section


def _resources(version: tuple[int, int, int], revision: int) -> bytes:
    """Three levels of directories (type, name, language), a data entry, and the version."""
    info = _version_info(version, revision)

    def level(identity: int, leads: int) -> bytes:
        return struct.pack("<IIHHHHII", 0, 0, 0, 0, 0, 1, identity, leads)

    types = struct.pack("<IIHHHHIIII", 0, 0, 0, 0, 0, 2, 11, 0x80000000 | 0x60, 16, 0x80000000 | 32)
    tree = types + level(1, 0x80000000 | 56) + level(1033, 80)
    entry = struct.pack("<IIII", SECTION_ADDRESS + 96, len(info), 0, 0)
    return tree + entry + info


def _version_info(version: tuple[int, int, int], revision: int) -> bytes:
    major, minor, build = version
    high, low = major << 16 | minor, build << 16 | revision
    fixed = struct.pack("<13I", 0xFEEF04BD, 0x10000, high, low, high, low, 0x3F, 0, 0x40004, 1, 0, 0, 0)
    key = "VS_VERSION_INFO".encode("utf-16-le") + b"\0\0"
    head = struct.pack("<HHH", 40 + len(fixed), len(fixed), 0) + key
    return head.ljust(40, b"\0") + fixed
