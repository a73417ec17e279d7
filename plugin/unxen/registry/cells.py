# SPDX-License-Identifier: Apache-2.0
"""The layout of a hive's cells, once, for those who check them and those who change them.

Touches only the bytes it is given. Offsets of cells count from the first bin, as in the format itself; nothing here checks a bound:
that is the audit's work, and the editor works only on what the audit passed.
"""

import struct
from typing import NamedTuple

from unxen.registry.base_block import BLOCK_SIZE

BIN_HEADER = struct.Struct("<4sIIQQI")
BIN_MAGIC = b"hbin"
CELL_SIZE = struct.Struct("<i")
NOTHING = 0xFFFFFFFF
INLINE = 0x80000000
# Data above this goes into segments of this size, from minor version 4 on.
SEGMENT = 16344
DATA_LIST = struct.Struct("<2sHI")
LIST_HEAD = struct.Struct("<2sH")
# Signature of a subkey list: bytes per entry. `ri` holds lists, the others keys; `lf` and `lh` add a hint or a hash.
ENTRY_SIZES = {b"li": 4, b"lf": 8, b"lh": 8, b"ri": 4}
COMPRESSED_KEY, COMPRESSED_VALUE = 0x20, 0x1
KEY_LAYOUT = struct.Struct("<2sHQIIIIIIIIIIIIIIIHH")
VALUE_LAYOUT = struct.Struct("<2sHIIIHH")
SECURITY_LAYOUT = struct.Struct("<2sHIIII")
# In newer hives the upper half of this field holds flags.
NAME_MAXIMUM = 0xFFFF


class KeyCell(NamedTuple):
    """The fixed part of a key; the name follows."""

    signature: bytes
    flags: int
    timestamp: int
    access: int
    parent: int
    subkeys: int
    volatile_subkeys: int
    subkey_list: int
    volatile_list: int
    values: int
    value_list: int
    security: int
    class_name: int
    largest_subkey_name: int
    largest_subkey_class: int
    largest_value_name: int
    largest_value_data: int
    work: int
    name_length: int
    class_length: int


class ValueCell(NamedTuple):
    """The fixed part of a value; the name follows. `size` has its top bit set when the data stands in the field `data` itself."""

    signature: bytes
    name_length: int
    size: int
    data: int
    type: int
    flags: int
    spare: int


class SecurityCell(NamedTuple):
    """The fixed part of a security descriptor; all of a hive hang in one ring."""

    signature: bytes
    reserved: int
    next: int
    previous: int
    references: int
    length: int


# Offsets of the fields that the editor writes, from the start of the cell (its size included).
AT = {
    "subkeys": 4 + 20,
    "subkey_list": 4 + 28,
    "values": 4 + 36,
    "value_list": 4 + 40,
    "largest_subkey_name": 4 + 52,
    "largest_subkey_class": 4 + 56,
    "largest_value_name": 4 + 60,
    "largest_value_data": 4 + 64,
    "value_size": 4 + 4,
    "value_data": 4 + 8,
    "value_type": 4 + 12,
    "security_next": 4 + 4,
    "security_previous": 4 + 8,
    "security_references": 4 + 12,
}
KEY_NAME_AT = 4 + KEY_LAYOUT.size
VALUE_NAME_AT = 4 + VALUE_LAYOUT.size

Buffer = bytes | bytearray | memoryview


def capacity(data: Buffer, cell: int) -> int:
    """Bytes that an allocated cell can hold."""
    size: int = CELL_SIZE.unpack_from(data, BLOCK_SIZE + cell)[0]
    return -size - 4


def key_cell(data: Buffer, cell: int) -> KeyCell:
    """The key in that cell."""
    return KeyCell._make(KEY_LAYOUT.unpack_from(data, BLOCK_SIZE + cell + 4))


def value_cell(data: Buffer, cell: int) -> ValueCell:
    """The value in that cell."""
    return ValueCell._make(VALUE_LAYOUT.unpack_from(data, BLOCK_SIZE + cell + 4))


def security_cell(data: Buffer, cell: int) -> SecurityCell:
    """The security descriptor's head in that cell."""
    return SecurityCell._make(SECURITY_LAYOUT.unpack_from(data, BLOCK_SIZE + cell + 4))


def name_text(data: Buffer, start: int, length: int, *, compressed: bool) -> str:
    """A name at an offset from the first bin; surrogates without a partner survive, so that hashes can be made of them."""
    raw = bytes(data[BLOCK_SIZE + start : BLOCK_SIZE + start + length])
    return raw.decode("latin-1") if compressed else raw.decode("utf-16-le", "surrogatepass")


def key_name(data: Buffer, cell: int, key: KeyCell) -> str:
    """Name of a key."""
    return name_text(data, cell + KEY_NAME_AT, key.name_length, compressed=bool(key.flags & COMPRESSED_KEY))


def value_name(data: Buffer, cell: int, value: ValueCell) -> str:
    """Name of a value; empty for the default value."""
    return name_text(data, cell + VALUE_NAME_AT, value.name_length, compressed=bool(value.flags & COMPRESSED_VALUE))


def numbers(data: Buffer, cell: int, count: int, start: int = 4) -> tuple[int, ...]:
    """So many 32-bit numbers of a cell, from `start`."""
    return struct.unpack_from(f"<{count}I", data, BLOCK_SIZE + cell + start)


def list_head(data: Buffer, cell: int) -> tuple[bytes, int]:
    """Signature and count of a subkey list."""
    signature, count = LIST_HEAD.unpack_from(data, BLOCK_SIZE + cell + 4)
    return signature, count
