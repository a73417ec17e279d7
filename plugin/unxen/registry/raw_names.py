# SPDX-License-Identifier: Apache-2.0
"""Names of keys and values read from their cells by ourselves, for those that hivex cuts at a NUL or cannot convert.

Touches nothing. None when the cell does not hold such a name; surrogates without a partner become replacement characters, so that
every name can be printed and none of them matches a name that was asked for.
"""

from unxen.registry.base_block import BLOCK_SIZE
from unxen.registry.cells import (
    COMPRESSED_KEY,
    COMPRESSED_VALUE,
    KEY_NAME_AT,
    VALUE_NAME_AT,
    key_cell,
    value_cell,
)


def key_name(data: bytes, handle: int) -> str | None:
    """Name of the key whose cell begins at this file offset (hivex' handle)."""
    if not _is_cell(data, handle, b"nk", KEY_NAME_AT):
        return None
    key = key_cell(data, handle - BLOCK_SIZE)
    return _decoded(data, handle + KEY_NAME_AT, key.name_length, compressed=bool(key.flags & COMPRESSED_KEY))


def value_name(data: bytes, handle: int) -> str | None:
    """Name of the value whose cell begins at this file offset."""
    if not _is_cell(data, handle, b"vk", VALUE_NAME_AT):
        return None
    value = value_cell(data, handle - BLOCK_SIZE)
    return _decoded(data, handle + VALUE_NAME_AT, value.name_length, compressed=bool(value.flags & COMPRESSED_VALUE))


def _is_cell(data: bytes, handle: int, signature: bytes, least: int) -> bool:
    return BLOCK_SIZE <= handle <= len(data) - least and data[handle + 4 : handle + 6] == signature


def _decoded(data: bytes, start: int, length: int, *, compressed: bool) -> str | None:
    if start + length > len(data):
        return None
    return data[start : start + length].decode("latin-1" if compressed else "utf-16-le", "replace")
