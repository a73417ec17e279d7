# SPDX-License-Identifier: Apache-2.0
"""Stands for the program with the appliance where the real one takes minutes: volumes "encrypted" by one byte, opened by one word.

Started as a script like the real program, with the same request and the same answers; serves through the program's own NBD server.
Tests write a FAULT into a copy of it. As with BitLocker, the first sector of a volume is kept elsewhere.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

MASK, WORD, SECTOR = 0x5A, "open sesame", 512
FAULT = ""
TABLE = bytes(each ^ MASK for each in range(256))


def lock(volume: bytes) -> bytes:
    """A volume as it lies on the disk: its first sector masked in the place of its last one, all else masked where it is."""
    mark = b"\xeb\x58\x90-FVE-FS-".ljust(SECTOR, b"\0")
    return mark + (volume[SECTOR:-SECTOR] + volume[:SECTOR]).translate(TABLE)


class Disk:
    """The disk behind the lower server, its opened volumes in the clear."""

    def __init__(self, drive: dict[str, Any]) -> None:
        import nbd

        self._below = nbd.NBD()
        self._below.connect_unix(drive["socket"])
        self.size, self.writable = drive["size"], drive["writable"]
        self._opened = [(each["start"], each["length"]) for each in drive["partitions"]]

    def read(self, offset: int, length: int) -> bytes:
        found = bytearray(self._below.pread(length, offset))
        for start, size in self._opened:
            low, high = max(offset, start), min(offset + length, start + size)
            if low < high:
                found[low - offset : high - offset] = found[low - offset : high - offset].translate(TABLE)
            for at in range(max(low, start), min(high, start + SECTOR)):
                found[at - offset] = self._below.pread(1, at + size - SECTOR)[0] ^ MASK
        return bytes(found)

    def write(self, offset: int, data: bytes) -> None:
        self._below.pwrite(data.translate(TABLE), offset)
        if FAULT == "writes beside":
            self._below.pwrite(b"\1" * SECTOR, self._opened[0][0] + self._opened[0][1] - 8 * SECTOR)
        if FAULT == "dies":
            os._exit(1)

    def flush(self) -> None:
        self._below.flush()


def main() -> int:
    """The real program's conversation."""
    from unxen.repair.delivery.nbd_server import Server

    request = json.load(sys.stdin)
    say(started="tcg")
    drives = request["drives"]
    fits = WORD in request["keys"]
    for each in (partition for drive in drives for partition in drive["partitions"]):
        place = f"{each['disk']}:{each['number']}"
        say(**({"opened": place} if fits else {"locked": place, "cause": "exited with status 2: No key available"}))
    disks = {socket.socket(fileno=drive["listener"]): Disk(drive if fits else {**drive, "partitions": []}) for drive in drives}
    say(serving="")
    control = socket.socket(fileno=request["control"])
    server = Server(control, disks)
    while server.serve() == b"f":
        control.sendall(b"f")
    if FAULT == "fails at the end":
        say(failed="the appliance did not shut down")
    else:
        say(done="")
    return 0


def say(**state: str) -> None:
    print(json.dumps(state), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugin"))
    sys.exit(main())
