# SPDX-License-Identifier: Apache-2.0
"""A registry value as regedit would show it, because people compare what they read here with what they see there.

Touches nothing, never fails: data that is not what its type promises is shown in hexadecimal.
"""

from unxen.model.registry_facts import RegistryValue
from unxen.report.escape import clipped, visible

TYPE_NAMES = {
    0: "REG_NONE",
    1: "REG_SZ",
    2: "REG_EXPAND_SZ",
    3: "REG_BINARY",
    4: "REG_DWORD",
    5: "REG_DWORD_BIG_ENDIAN",
    6: "REG_LINK",
    7: "REG_MULTI_SZ",
    8: "REG_RESOURCE_LIST",
    9: "REG_FULL_RESOURCE_DESCRIPTOR",
    10: "REG_RESOURCE_REQUIREMENTS_LIST",
    11: "REG_QWORD",
}
_HEX_SHOWN = 24


def type_name(number: int) -> str:
    """The type as regedit calls it."""
    return TYPE_NAMES.get(number, f"type {number:#x}")


def value_text(value: RegistryValue) -> str:
    """The content in a few words."""
    if value.type == 4 and len(value.data) == 4:
        return str(int.from_bytes(value.data, "little"))
    if value.type in (1, 2) and len(value.data) % 2 == 0:
        return f'"{clipped(_text(value.data).rstrip(chr(0)))}"'
    if value.type == 7 and len(value.data) % 2 == 0:
        return _strings(value.data)
    return _hexadecimal(value.data)


def _strings(data: bytes) -> str:
    names = [visible(name) for name in _text(data).split("\0") if name]
    return clipped(", ".join(names)) if names else "(empty list)"


def _text(data: bytes) -> str:
    return data.decode("utf-16-le", errors="surrogatepass")


def _hexadecimal(data: bytes) -> str:
    more = f" ... ({len(data)} bytes)" if len(data) > _HEX_SHOWN else ""
    return f"hex {data[:_HEX_SHOWN].hex(' ')}{more}" if data else "(no data)"
