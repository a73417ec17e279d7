# SPDX-License-Identifier: Apache-2.0
"""Hives with every kind of list, several security descriptors, class names, segments and spare slots: what the editor has to meet.

Touches nothing. Written from the format's description, sharing no code with the editor or the audit.
"""

import struct
from dataclasses import dataclass, field
from functools import reduce
from operator import xor

NONE = 0xFFFFFFFF
STAMP = 0x01D5C0DE00000000
SEGMENT = 16344


@dataclass
class Key:
    """A key to be made; `security` is a number, equal numbers share a descriptor."""

    values: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    keys: dict[str, "Key"] = field(default_factory=dict)
    security: int = 0
    class_name: bytes = b""


@dataclass(frozen=True)
class Shape:
    """How lists are written: their signature, how many entries go in one before there are several, spare value slots."""

    signature: bytes = b"lh"
    most: int = 500
    spare: int = 0
    minor: int = 5


def make(root: Key, shape: Shape = Shape()) -> bytes:
    """The bytes of a clean hive."""
    return _Maker(shape).hive(root)


class _Maker:
    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.cells = bytearray(32)
        self.security: dict[int, int] = {}
        self.holders: dict[int, int] = {}

    def hive(self, root: Key) -> bytes:
        first = self.key("machine", root, 0, 0x2C)
        self.ring()
        left = -len(self.cells) % 4096
        if 0 < left < 8:
            left += 4096
        if left:
            self.cells += struct.pack("<i", left) + bytes(left - 4)
        size = len(self.cells)
        self.cells[:32] = struct.pack("<4sIIQQI", b"hbin", 0, size, 0, STAMP, 0)
        name = "made".encode("utf-16-le").ljust(64, b"\0")
        block = struct.pack("<4sIIQIIIIIII64s", b"regf", 7, 7, STAMP, 1, self.shape.minor, 0, 1, first, size, 1, name)
        block = block.ljust(508, b"\0")
        number = reduce(xor, struct.unpack("<127I", block))
        return (block + struct.pack("<I", number)).ljust(4096, b"\0") + bytes(self.cells)

    def cell(self, content: bytes) -> int:
        at = len(self.cells)
        size = -(-(len(content) + 4) // 8) * 8
        self.cells += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return at

    def put(self, at: int, offset: int, number: int) -> None:
        struct.pack_into("<I", self.cells, at + 4 + offset, number)

    def key(self, name: str, key: Key, parent: int, flags: int = 0) -> int:
        raw, compressed = _name(name)
        at = self.cell(bytes(76) + raw)
        children = sorted(key.keys.items(), key=lambda item: _upper(item[0]))
        places = [(child, self.key(child, below, at)) for child, below in children]
        list_at = self.lists(places) if places else NONE
        values, longest = self.values(key.values) if key.values else (NONE, (0, 0))
        security = self.hold(key.security)
        class_at = self.cell(key.class_name) if key.class_name else NONE
        widest = max([2 * len(each) for each in key.keys], default=0)
        classes = max([len(each.class_name) for each in key.keys.values()], default=0)
        numbers = (0, parent, len(places), 0, list_at, NONE, len(key.values), values, security, class_at, widest, classes, *longest)
        head = struct.pack("<2sHQ14IIHH", b"nk", flags | compressed << 5, STAMP, *numbers, 0, len(raw), len(key.class_name))
        self.cells[at + 4 : at + 4 + 76] = head
        return at

    def lists(self, places: list[tuple[str, int]]) -> int:
        groups = [places[start : start + self.shape.most] for start in range(0, len(places), self.shape.most)]
        leaves = [self.leaf(group) for group in groups]
        return leaves[0] if len(leaves) == 1 else self.cell(struct.pack(f"<2sH{len(leaves)}I", b"ri", len(leaves), *leaves))

    def leaf(self, places: list[tuple[str, int]]) -> int:
        beside = {b"lh": _hash, b"lf": _hint, b"li": lambda _name: b""}[self.shape.signature]
        entries = b"".join(struct.pack("<I", at) + beside(name) for name, at in places)
        return self.cell(struct.pack("<2sH", self.shape.signature, len(places)) + entries)

    def values(self, values: dict[str, tuple[int, bytes]]) -> tuple[int, tuple[int, int]]:
        places = [self.value(name, *value) for name, value in values.items()]
        longest = max(2 * len(name) for name in values), max(len(data) for _, data in values.values())
        return self.cell(struct.pack(f"<{len(places)}I", *places) + bytes(4 * self.shape.spare)), longest

    def value(self, name: str, kind: int, data: bytes) -> int:
        raw, compressed = _name(name) if name else (b"", True)
        size, where = len(data), 0
        if size <= 4:
            size, where = size | 0x80000000, int.from_bytes(data, "little")
        elif size > SEGMENT and self.shape.minor > 3:
            parts = [self.cell(data[start : start + SEGMENT] + bytes(4)) for start in range(0, size, SEGMENT)]
            where = self.cell(struct.pack("<2sHI", b"db", len(parts), self.cell(struct.pack(f"<{len(parts)}I", *parts))))
        else:
            where = self.cell(data)
        return self.cell(struct.pack("<2sHIIIHH", b"vk", len(raw), size, where, kind, int(compressed and bool(raw)), 0) + raw)

    def hold(self, number: int) -> int:
        if number not in self.security:
            self.security[number] = self.cell(bytes(20) + bytes([1, 0, 4, 0x80]) + bytes([number]) * 16)
        self.holders[number] = self.holders.get(number, 0) + 1
        return self.security[number]

    def ring(self) -> None:
        places = list(self.security.values())
        for index, (number, at) in enumerate(self.security.items()):
            after, before = places[(index + 1) % len(places)], places[index - 1]
            self.cells[at + 4 : at + 24] = struct.pack("<2sHIIII", b"sk", 0, after, before, self.holders[number], 20)


def _name(name: str) -> tuple[bytes, bool]:
    try:
        return name.encode("latin-1"), True
    except UnicodeEncodeError:
        return name.encode("utf-16-le"), False


def _upper(name: str) -> list[int]:
    return [ord(each.upper()) if len(each.upper()) == 1 else ord(each) for each in name]


def _hash(name: str) -> bytes:
    number = 0
    for each in _upper(name):
        number = (37 * number + each) % 2**32
    return struct.pack("<I", number)


def _hint(name: str) -> bytes:
    return name[:4].encode("latin-1", "replace").ljust(4, b"\0")
