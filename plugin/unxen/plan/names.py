# SPDX-License-Identifier: Apache-2.0
"""Names of the registry are compared without case and versions by what is known of them; here is how, once.

Touches nothing.
"""

from functools import lru_cache

from unxen.knowledge.tables import NtVersion

FROM_8: NtVersion = (6, 2, 0)
"""Windows 8: StartOverride and the DriverDatabase begin here (seen in hives of 8.1 and 10; a hive of 7 has neither)."""


@lru_cache(maxsize=4096)
def fold(name: str) -> str:
    """The form in which two names are compared; a judgement asks for that of some two thousand names forty times each."""
    return name.casefold()


def below(parent: str, child: str) -> str:
    """The path of a key below another."""
    return f"{parent}\\{child}"


def in_range(version: NtVersion, lowest: NtVersion, highest: NtVersion) -> bool:
    """Whether a row's versions hold for this Windows; what is not known of it (0) excludes nothing."""
    if version[0] == 0:
        return True
    if version[2] == 0:
        return lowest[:2] <= version[:2] <= highest[:2]
    return lowest <= version <= highest


def from_8(version: NtVersion) -> bool:
    """Whether this may be Windows 8 or later."""
    return version[0] == 0 or version >= FROM_8


def until_7(version: NtVersion) -> bool:
    """Whether this may be Windows 7 or older."""
    return version < FROM_8
