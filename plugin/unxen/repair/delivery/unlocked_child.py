# SPDX-License-Identifier: Apache-2.0
"""The program that holds an appliance with opened BitLocker volumes and serves each disk as if they had never been encrypted.

Started as a script by the system's interpreter; imports guestfs, the standard library, and its two neighbours. Reads one request
from standard input (JSON: drives with their sockets and encrypted partitions, keys), says in JSON lines how far it came, and serves
until its control socket is closed. Only opened volumes can be written, and only on disks of which the request says so; what lies
beside them is served as it is. A key is never said, logged or passed on but to the appliance.
"""

import errno
import socket
import sys
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from unxen.repair.delivery.appliance_child import Messages, Stopped, answer, launch, new_handle, say
from unxen.repair.delivery.nbd_server import Server

# The protocol between library and appliance bounds a message to 4 MiB; a call costs more than the bytes it carries.
BLOCK, BLOCKS, PIECE = 1 << 20, 64, 2 << 20
FORGET = b"f"


class View:
    """One disk with its opened volumes in the place of their ciphertext, behind a bounded cache."""

    def __init__(self, guest: Any, device: str, size: int, *, writable: bool) -> None:
        self.size, self.writable = size, writable
        self._guest, self._device = guest, device
        self._opened: list[tuple[int, int, str]] = []
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def put(self, start: int, length: int, mapper: str) -> None:
        """An opened volume takes the place of its partition."""
        self._opened.append((start, min(length, self._guest.blockdev_getsize64(mapper)), mapper))

    def forget(self) -> None:
        """Nothing is answered from memory: the next read goes to the disk."""
        self._blocks.clear()
        self._guest.sync()
        self._guest.drop_caches(3)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the view."""
        first, last = offset // BLOCK, (offset + length - 1) // BLOCK
        found = b"".join(self._block(number) for number in range(first, last + 1))
        return found[offset - first * BLOCK :][:length]

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * BLOCK
            self._blocks[number] = self._fetch(start, min(BLOCK, self.size - start))
            if len(self._blocks) > BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _fetch(self, offset: int, length: int) -> bytes:
        found = bytearray(self._pread(self._device, offset, length))
        for start, size, mapper in self._opened:
            low, high = max(offset, start), min(offset + length, start + size)
            if low < high:
                found[low - offset : high - offset] = self._pread(mapper, low - start, high - low)
        return bytes(found)

    def _pread(self, device: str, offset: int, length: int) -> bytes:
        found = b""
        while len(found) < length:
            piece = self._told(self._guest.pread_device, device, length - len(found), offset + len(found))
            if not piece:
                raise OSError(errno.EIO, "ends too early")
            found += piece
        return found

    def write(self, offset: int, data: bytes) -> None:
        """Bytes into one opened volume; anything else is refused."""
        for start, size, mapper in self._opened:
            if start <= offset and offset + len(data) <= start + size:
                self._pwrite(mapper, offset - start, data)
                for number in range(offset // BLOCK, (offset + len(data) - 1) // BLOCK + 1):
                    self._blocks.pop(number, None)
                return
        raise OSError(errno.EPERM, "not in an opened volume")

    def _pwrite(self, mapper: str, offset: int, data: bytes) -> None:
        done = 0
        while done < len(data):
            done += self._told(self._guest.pwrite_device, mapper, data[done : done + PIECE], offset + done)

    def flush(self) -> None:
        """What was written is on the disk."""
        self._told(self._guest.sync)

    def _told(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except RuntimeError as error:
            raise OSError(errno.EIO, str(error)) from error


def work(request: dict[str, Any]) -> None:
    """Starts the appliance, opens what the keys open, serves, and ends it; the disks are flushed when this returns."""
    messages = Messages()
    guest = new_handle(messages)
    control = socket.socket(fileno=request["control"])
    try:
        launch(guest, request["drives"], messages)
        drives = enumerate(request["drives"])
        views = {socket.socket(fileno=drive["listener"]): _view(guest, number, request) for number, drive in drives}
        say(serving="")
        server = Server(control, views)
        while server.serve() == FORGET:
            for view in views.values():
                view.forget()
            control.sendall(FORGET)
        guest.sync()
        guest.shutdown()
    except (RuntimeError, OSError, UnicodeError) as error:
        raise Stopped("failed", messages.telling(error, own=True)) from error
    finally:
        with suppress(RuntimeError):
            guest.close()


def _view(guest: Any, number: int, request: dict[str, Any]) -> View:
    drive = request["drives"][number]
    device = guest.list_devices()[number]
    view = View(guest, device, drive["size"], writable=drive["writable"])
    for partition in drive["partitions"]:
        name = f"opened-{number}-{partition['number']}"
        if _open(guest, f"{device}{partition['number'] or ''}", name, partition, request["keys"], writable=drive["writable"]):
            view.put(partition["start"], partition["length"], f"/dev/mapper/{name}")
    return view


def _open(guest: Any, device: str, name: str, partition: dict[str, Any], keys: list[str], *, writable: bool) -> bool:
    """Whether one of the keys opens this partition, which has to be the one that was seen outside."""
    if guest.blockdev_getsize64(device) != partition["length"]:
        raise Stopped("failed", f"{device} is another partition than was seen")
    cause = ""
    for key in keys:
        try:
            guest.cryptsetup_open(device, key, name, readonly=not writable, crypttype="bitlk")
        except RuntimeError as error:
            cause = str(error)
        else:
            say(opened=f"{partition['disk']}:{partition['number']}")
            return True
    say(locked=f"{partition['disk']}:{partition['number']}", cause=cause)
    return False


if __name__ == "__main__":
    sys.exit(answer(work))
