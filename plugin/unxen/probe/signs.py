# SPDX-License-Identifier: Apache-2.0
r"""Setup and servicing leave files where they stopped; what they will do at the next start is worth knowing before an edit.

Asks directories only, a handful of names per Windows. A directory that cannot be read tells nothing here.
"""

from unxen.model.ids import GuestPath
from unxen.model.volume_facts import Sign
from unxen.probe.file_seen import SeenFiles
from unxen.probe.installations import Found

# Sources: Microsoft, troubleshooting of stop error 7B (pending.xml); Windows setup lays the new Windows out in NewOS and puts it
# in the place of the old one at a later start; Windows 2000 loads SYSTEM.ALT where SYSTEM is damaged.
NEW_WINDOWS = r"\$WINDOWS.~BT\NewOS\Windows\System32\config\SYSTEM"


def read_signs(seen: SeenFiles, found: Found) -> tuple[Sign, ...]:
    """What lies beside one Windows, in the order of `Sign`."""
    places = {
        Sign.SERVICING_PENDING: rf"{found.root}\WinSxS\pending.xml",
        Sign.UPGRADE_BEGUN: r"\$WINDOWS.~BT",
        Sign.UPGRADE_READY: NEW_WINDOWS,
        Sign.SECOND_HIVE: rf"{found.config}\SYSTEM.ALT",
    }
    return tuple(sign for sign, path in places.items() if seen(GuestPath(path)) is True)
