# SPDX-License-Identifier: Apache-2.0
"""SHA-256 of every disk of an export as dissect.archive reads it (AGPL: this is a program of its own).

    read_xva_dissect.py EXPORT

Up to the last MiB: version 1.8 never gives a disk's last block.
"""

import hashlib
import sys
from pathlib import Path

from dissect.archive.xva import XVA

BLOCK = 1 << 20


def main(path: str) -> None:
    """Prints one line per disk."""
    with Path(path).open("rb") as file:
        archive = XVA(file)
        for reference in archive.disks():
            stream = archive.open(reference)
            length = (stream.size - 1) // BLOCK * BLOCK
            print(hashlib.sha256(stream.read(length)).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1])
