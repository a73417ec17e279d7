# SPDX-License-Identifier: Apache-2.0
"""Lays a tree of keys out as the bytes of a hive, all at once, so that equal trees give equal bytes and every cell is used or free.

Touches nothing. Written from the format's description alone, sharing no code with what it is there to test: lists are `lh` with
their hashes, keys are sorted, one security descriptor is shared by all with its true count, and the recorded maxima are exact. Not
made: big data (above 16344 bytes), index roots (more than 500 subkeys); both are refused loudly.
"""

import struct
from dataclasses import dataclass, field
from functools import reduce
from operator import xor

PAGE = 4096
NONE = 0xFFFFFFFF
TIME = 132223104000000000
LARGEST_DATA, MOST_SUBKEYS = 16344, 500
ROOT_FLAGS, PLAIN_FLAGS, LATIN = 0x0C, 0x00, 0x20
# Owner and group Administrators; full control for Administrators and SYSTEM, reading for everyone, inherited below.
SECURITY = bytes.fromhex(
    "010004805c0000006c00000000000000140000000200480003000000"
    "000218003f000f0001020000000000052000000020020000"
    "000214003f000f00010100000000000512000000"
    "00021400190002000101000000000001000000000102000000000005200000002002000001020000000000052000000020020000"
)


@dataclass
class Value:
    """One value as it will stand."""

    name: str
    type: int
    data: bytes


@dataclass
class Node:
    """One key: values in the order they were set, subkeys by their upper-cased name."""

    name: str
    values: dict[str, Value] = field(default_factory=dict)
    children: dict[str, "Node"] = field(default_factory=dict)

    def below(self, path: str) -> "Node":
        """The key at a path, made where it is not there."""
        node = self
        for name in filter(None, path.split("\\")):
            node = node.children.setdefault(name.upper(), Node(name))
        return node

    def find(self, path: str) -> "Node | None":
        """The key at a path, or None."""
        node: Node | None = self
        for name in filter(None, path.split("\\")):
            node = node.children.get(name.upper()) if node else None
        return node


def write_hive(root: Node, name: str = "SYSTEM") -> bytes:
    """The bytes of a clean hive with this tree."""
    cells = _Cells()
    security = cells.place(b"\0" * (20 + len(SECURITY)))
    at = _write_key(cells, root, NONE, security, ROOT_FLAGS)
    count = _count(root)
    cells.fill(security, struct.pack("<2sHIIII", b"sk", 0, security, security, count, len(SECURITY)) + SECURITY)
    bins = cells.finished()
    return _base_block(name, at, len(bins)) + bins


def _count(node: Node) -> int:
    return 1 + sum(map(_count, node.children.values()))


class _Cells:
    """Bins that grow page by page; a cell never crosses the end of its bin, and what is left there is one free cell."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.at = 0
        self.end = 0

    def place(self, content: bytes) -> int:
        """A new used cell; its offset as the format counts, from the first bin."""
        size = (4 + len(content) + 7) & ~7
        if self.at + size > self.end:
            self._new_bin(size)
        offset = self.at
        struct.pack_into("<i", self.data, offset, -size)
        self.fill(offset, content)
        self.at += size
        return offset

    def fill(self, offset: int, content: bytes) -> None:
        """Content into a cell that was placed before."""
        self.data[offset + 4 : offset + 4 + len(content)] = content

    def finished(self) -> bytes:
        self._close_bin()
        return bytes(self.data)

    def _close_bin(self) -> None:
        if self.at < self.end:
            struct.pack_into("<i", self.data, self.at, self.end - self.at)

    def _new_bin(self, needed: int) -> None:
        self._close_bin()
        start = len(self.data)
        size = -(-(32 + needed) // PAGE) * PAGE
        stamp = TIME if start == 0 else 0
        self.data += struct.pack("<4sII8xQI", b"hbin", start, size, stamp, 0) + bytes(size - 32)
        self.at, self.end = start + 32, start + size


def _name(text: str) -> tuple[bytes, bool]:
    """A name's bytes, and whether it is stored one byte a letter."""
    try:
        return text.encode("latin-1"), True
    except UnicodeEncodeError:
        return text.encode("utf-16-le"), False


def _width(text: str) -> int:
    """Length of a name as the maxima count it: in UTF-16, however it is stored."""
    return len(text.encode("utf-16-le"))


def _write_key(cells: _Cells, node: Node, parent: int, security: int, flags: int) -> int:
    name, latin = _name(node.name)
    at = cells.place(bytes(76 + len(name)))
    values = list(node.values.values())
    value_list = _write_values(cells, values)
    children = [(key, _write_key(cells, child, at, security, PLAIN_FLAGS)) for key, child in sorted(node.children.items())]
    head = struct.pack(
        "<2sHQIIIIIIIIIIIIIIIHH",
        b"nk",
        flags | (LATIN if latin else 0),
        TIME,
        0,
        0 if parent == NONE else parent,
        len(children),
        0,
        _write_list(cells, children),
        NONE,
        len(values),
        value_list,
        security,
        NONE,
        max((_width(child.name) for child in node.children.values()), default=0),
        0,
        max((_width(value.name) for value in values), default=0),
        max((len(value.data) for value in values), default=0),
        0,
        len(name),
        0,
    )
    cells.fill(at, head + name)
    return at


def _write_values(cells: _Cells, values: list[Value]) -> int:
    if not values:
        return NONE
    at = cells.place(bytes(4 * len(values)))
    cells.fill(at, struct.pack(f"<{len(values)}I", *(_write_value(cells, value) for value in values)))
    return at


def _write_value(cells: _Cells, value: Value) -> int:
    if len(value.data) > LARGEST_DATA:
        raise ValueError(f"{value.name}: {len(value.data)} bytes")
    name, latin = _name(value.name)
    if len(value.data) <= 4:
        size, place = len(value.data) | 0x80000000, int.from_bytes(value.data.ljust(4, b"\0"), "little")
    else:
        size, place = len(value.data), cells.place(value.data)
    flags = 1 if latin and name else 0
    return cells.place(struct.pack("<2sHIIIHH", b"vk", len(name), size, place, value.type, flags, 0) + name)


def _write_list(cells: _Cells, children: list[tuple[str, int]]) -> int:
    if not children:
        return NONE
    if len(children) > MOST_SUBKEYS:
        raise ValueError(f"{len(children)} subkeys")
    rows = b"".join(struct.pack("<II", at, _hash(key)) for key, at in children)
    return cells.place(struct.pack("<2sH", b"lh", len(children)) + rows)


def _hash(upper: str) -> int:
    return reduce(lambda sum_, letter: (sum_ * 37 + ord(letter)) & NONE, upper, 0)


def _base_block(name: str, root: int, size: int) -> bytes:
    head = struct.pack("<4sIIQIIIIIII64s", b"regf", 1, 1, TIME, 1, 5, 0, 1, root, size, 1, name.encode("utf-16-le"))
    block = head.ljust(PAGE, b"\0")
    checksum = reduce(xor, struct.unpack_from("<127I", block))
    checksum = {NONE: NONE - 1, 0: 1}.get(checksum, checksum)
    return block[:508] + struct.pack("<I", checksum) + block[512:]
