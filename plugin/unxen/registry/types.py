# SPDX-License-Identifier: Apache-2.0
"""Type numbers of registry values have names here, so that nobody writes a bare 7.

Touches nothing. Real hives hold other numbers too (device properties below Enum use the upper half), so a value's type stays a
plain int everywhere and is only compared with these.
"""

from enum import IntEnum


class ValueType(IntEnum):
    """The numbers of winnt.h."""

    NONE = 0
    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    DWORD_BIG_ENDIAN = 5
    LINK = 6
    MULTI_SZ = 7
    RESOURCE_LIST = 8
    FULL_RESOURCE_DESCRIPTOR = 9
    RESOURCE_REQUIREMENTS_LIST = 10
    QWORD = 11


TEXT_TYPES = (ValueType.SZ, ValueType.EXPAND_SZ)
