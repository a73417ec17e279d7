# SPDX-License-Identifier: Apache-2.0
"""Names of keys and values read from their cells by ourselves, for those that hivex cuts at a NUL or cannot convert.

Touches nothing. None when the cell does not hold such a name; surrogates without a partner become replacement characters, so that
every name can be printed and none of them matches a name that was asked for.
"""

import struct

COMPRESSED_KEY, COMPRESSED_VALUE = 0x20, 0x1
KEY_NAME_AT, VALUE_NAME_AT = 80, 24


def key_name(data: bytes, cell: int) -> str | None:
    """Name of the key whose cell begins at this file offset."""
    if not 0 <= cell <= len(data) - KEY_NAME_AT or data[cell + 4 : cell + 6] != b"nk":
        return None
    (flags,) = struct.unpack_from("<H", data, cell + 6)
    (length,) = struct.unpack_from("<H", data, cell + 76)
    return _decoded(data, cell + KEY_NAME_AT, length, compressed=bool(flags & COMPRESSED_KEY))


def value_name(data: bytes, cell: int) -> str | None:
    """Name of the value whose cell begins at this file offset."""
    if not 0 <= cell <= len(data) - VALUE_NAME_AT or data[cell + 4 : cell + 6] != b"vk":
        return None
    (length,) = struct.unpack_from("<H", data, cell + 6)
    (flags,) = struct.unpack_from("<H", data, cell + 20)
    return _decoded(data, cell + VALUE_NAME_AT, length, compressed=bool(flags & COMPRESSED_VALUE))


def _decoded(data: bytes, start: int, length: int, *, compressed: bool) -> str | None:
    if start + length > len(data):
        return None
    return data[start : start + length].decode("latin-1" if compressed else "utf-16-le", "replace")
