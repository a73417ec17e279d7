# SPDX-License-Identifier: Apache-2.0
"""Which drive letter Windows has given to what: by the disk's own content, which survives a move, or by the path to a device.

Touches nothing.
"""

from enum import Enum

from unxen.model.record import dataclass

MOST_LETTERS = 64
LONGEST_DEVICE = 512


class LetterBy(Enum):
    r"""How `MountedDevices` names what a letter stands for.

    DISK: signature and offset of an MBR partition, or `DMIO:ID:` and the GUID of a GPT one. DEVICE: the path to a device, which
    names the bus that it hangs on. OTHER: neither.
    """

    DISK = "disk"
    DEVICE = "device"
    OTHER = "other"


@dataclass(frozen=True)
class LetterFacts:
    r"""One drive letter; `device` is the path (`\??\IDE#CdRom…`) of one that stands for a device, else empty."""

    letter: str
    by: LetterBy
    device: str
