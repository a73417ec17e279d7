# SPDX-License-Identifier: Apache-2.0
"""What a control set says about the first start on another machine beyond reaching the disk: data disks, clock, stop codes.

Touches nothing. Nothing is judged here; a number that is no DWORD is UNREADABLE, and one that nobody asked for NOT_LOOKED_AT.
"""

from unxen.model.ids import KeyPath, Missing
from unxen.model.record import dataclass

LONGEST_ZONE = 128
"""Letters of a time zone's name that are kept: the longest of Windows' own has 31."""


@dataclass(frozen=True)
class FirstStartFacts:
    r"""One control set's settings.

    `san_policy` is `SanPolicy` of `Services\partmgr\Parameters`, whose path is `san_key`, None when there is none; `auto_reboot` is
    `AutoReboot` of `Control\CrashControl`, whose path is `crash_key`. `universal_clock` is `RealTimeIsUniversal`: not 0 where this
    Windows takes the hardware clock for UTC; NOT_LOOKED_AT without the key that it would stand in. `time_zone` is empty when it has
    no name. `cluster`: the disk driver of a failover cluster is there and not disabled.
    """

    san_key: KeyPath | None
    san_policy: int | Missing
    universal_clock: int | Missing
    time_zone: str
    crash_key: KeyPath | None
    auto_reboot: int | Missing
    cluster: bool


UNKNOWN = FirstStartFacts(None, Missing.NOT_LOOKED_AT, Missing.NOT_LOOKED_AT, "", None, Missing.NOT_LOOKED_AT, cluster=False)
"""Of a control set whose settings nobody read."""
