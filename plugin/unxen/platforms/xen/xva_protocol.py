# SPDX-License-Identifier: Apache-2.0
"""What the box says of an export's disks, batch by batch.

Touches nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """Bytes of the disk with this number (from 0, in slot order) at this offset; the bytes are the answer's blobs, in order."""

    disk: int
    offset: int


@dataclass(frozen=True)
class Batch:
    """Some pieces; `last` when the export has been read and verified to its end."""

    pieces: tuple[Piece, ...]
    last: bool
