# SPDX-License-Identifier: Apache-2.0
"""BitLocker volumes are opened inside an appliance by cryptsetup, and come out as disks that every other part reads as usual.

Starts a program of its own that holds libguestfs (`unlocked_child`); it reads and writes only through the NBD exports given. Each
disk is served with its opened volumes in the place of their ciphertext, so the probe, the delivery in place and the verification
need not know. What is written goes out as ciphertext at the same place. Keys are passed through memory alone. On failure,
Refused(APPLIANCE_FAILED), Refused(TOOL_MISSING).
"""

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unxen.errors import refused
from unxen.host.nbd_client import NbdClient, nbd_client
from unxen.model.facts import GuestFacts
from unxen.model.ids import DiskNumber
from unxen.model.progress import Listener, Remark, nobody
from unxen.model.reason import ReasonKind
from unxen.model.record import dataclass
from unxen.model.volume_facts import Content, Opening, Partition
from unxen.repair.delivery.appliance_program import ApplianceProgram, appliance_program, socket_link, with_or_without_kvm

CHILD = Path(__file__).with_name("unlocked_child.py")
# A key is stretched by a million rounds of SHA-256, which an emulated processor takes half a minute for; a file holds several keys.
OPEN_SECONDS, FORGET_SECONDS, END_SECONDS = 900.0, 60.0, 120.0
FORGET = b"f"


@dataclass(frozen=True)
class LockedDisk:
    """A disk behind an NBD export, its size in bytes, the partitions of it that shall be opened, and whether to write them."""

    number: DiskNumber
    path: str
    socket: Path
    size: int
    partitions: tuple[Partition, ...]
    writable: bool = False


def locked_partitions(facts: GuestFacts) -> tuple[Partition, ...]:
    """The BitLocker volumes of a guest."""
    return tuple(each for disk in facts.disks for each in disk.partitions if each.content is Content.BITLOCKER)


class Unlocked:
    """Disks that are served with their volumes open; `opened` are those that a key fitted, as `disk:partition`."""

    def __init__(self, program: ApplianceProgram, control: socket.socket, doors: Mapping[DiskNumber, tuple[Path, str]]) -> None:
        self._program, self._control, self._doors = program, control, doors
        self.opened: tuple[str, ...] = ()
        self.locked: tuple[tuple[str, str], ...] = ()

    def opening(self, partitions: Sequence[Partition]) -> Opening:
        """What became of these partitions."""
        return Opening(tuple(each for each in partitions if f"{each.disk}:{each.number}" in self.opened), self.locked)

    def has(self, number: DiskNumber) -> bool:
        """Whether this disk is served here."""
        return number in self._doors

    def connect(self, number: DiskNumber) -> socket.socket:
        """A connected socket to a disk's view."""
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(str(self._doors[number][0]))
        except OSError as error:
            client.close()
            raise refused(ReasonKind.APPLIANCE_FAILED, "serve", cause=error.strerror) from error
        return client

    def client(self, number: DiskNumber) -> AbstractContextManager[NbdClient]:
        """A client of a disk's view for this process itself."""
        return nbd_client(*self._doors[number])

    def forget(self) -> None:
        """What was written is on its way to the disk, and nothing is answered from memory after this."""
        self._control.settimeout(FORGET_SECONDS)
        try:
            self._control.sendall(FORGET)
            heard = self._control.recv(1)
        except OSError as error:
            raise refused(ReasonKind.APPLIANCE_FAILED, "serve", cause=str(error)) from error
        if heard != FORGET:
            self._program.next(END_SECONDS)

    def open_all(self, count: int) -> None:
        """Hears which volumes the keys opened."""
        answers = [self._program.next(OPEN_SECONDS, "opened", "locked") for _ in range(count)]
        self._program.next(OPEN_SECONDS, "serving")
        self.opened = tuple(str(each["opened"]) for each in answers if "opened" in each)
        self.locked = tuple((str(each["locked"]), str(each.get("cause", ""))) for each in answers if "locked" in each)

    def end(self) -> None:
        """The appliance is shut down and everything is on the disks."""
        self._control.close()
        self._program.next(END_SECONDS, "done")


@contextmanager
def unlocked(disks: Sequence[LockedDisk], keys: Sequence[str], listener: Listener = nobody) -> Iterator[Unlocked]:
    """The disks with every volume open that one of the keys opens, until the block ends."""
    names = ", ".join(f"{each.disk}:{each.number}" for disk in disks for each in disk.partitions)
    listener(Remark("opening-volumes", (("volumes", names),)))
    with ExitStack() as stack:
        view = with_or_without_kvm(lambda settings: _start(stack, disks, keys, settings), listener)
        view.open_all(sum(len(each.partitions) for each in disks))
        yield view
        view.end()


def _start(outer: ExitStack, disks: Sequence[LockedDisk], keys: Sequence[str], settings: str) -> Unlocked:
    """One program whose appliance lives; it and all that was made for it go with the outer block."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="unxen-appliance-")))
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        doors = {each.number: (scratch / f"{each.number}.view", each.path) for each in disks}
        with theirs, ExitStack() as given:
            listeners = [given.enter_context(_listen(doors[each.number][0])) for each in disks]
            drives = [_drive(each, listener, scratch) for each, listener in zip(disks, listeners, strict=True)]
            request = {"drives": drives, "keys": list(keys), "control": theirs.fileno()}
            passed = [theirs.fileno(), *(each.fileno() for each in listeners)]
            program = stack.enter_context(appliance_program(CHILD, request, settings, scratch, passed))
        program.started()
        outer.push(stack.pop_all())
        return Unlocked(program, ours, doors)


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(4)
    return listener


def _drive(disk: LockedDisk, listener: socket.socket, scratch: Path) -> dict[str, Any]:
    partitions = [
        {"disk": each.disk, "number": each.number, "start": each.start, "length": each.length} for each in disk.partitions
    ]
    link = socket_link(disk.socket, scratch, disk.number)
    asked = {"size": disk.size, "partitions": partitions, "listener": listener.fileno(), "writable": disk.writable}
    return {"socket": link, "export": "", "readonly": not disk.writable, **asked}
