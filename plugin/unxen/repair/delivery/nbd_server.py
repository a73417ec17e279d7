# SPDX-License-Identifier: Apache-2.0
"""What lies behind a BitLocker key can be read only inside an appliance; this serves it to the readers that unxen has already.

Speaks the least of the NBD protocol that libnbd needs (fixed newstyle, no structured replies), on sockets it is given. One request
is answered at a time. Whoever breaks the protocol, or is silent in the middle of a request, loses the connection.
"""

import errno
import selectors
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from typing import Protocol

MAGIC, OPTION_MAGIC, REPLY_MAGIC = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
REQUEST_MAGIC, ANSWER_MAGIC = 0x25609513, 0x67446698
FIXED_NEWSTYLE, NO_ZEROES = 0x1, 0x2
HAS_FLAGS, READ_ONLY, SEND_FLUSH = 0x1, 0x2, 0x4
ACK, INFO, UNSUPPORTED = 1, 3, 0x80000001
INFO_EXPORT = 0
LONGEST_OPTION, LONGEST_REQUEST = 4096, 32 << 20
SECONDS = 30.0
OPTION, REQUEST = struct.Struct(">8sII"), struct.Struct(">IHHQQI")


class Option(IntEnum):
    """Options of the handshake that are understood."""

    EXPORT_NAME = 1
    ABORT = 2
    INFO = 6
    GO = 7


class Command(IntEnum):
    """Requests that are understood."""

    READ = 0
    WRITE = 1
    DISCONNECT = 2
    FLUSH = 3


class Disk(Protocol):
    """What is served. Methods raise OSError; a disk that is not writable is never written to."""

    size: int
    writable: bool

    def read(self, offset: int, length: int) -> bytes: ...

    def write(self, offset: int, data: bytes) -> None: ...

    def flush(self) -> None: ...


class _Gone(Exception):
    """The client went, or said nonsense."""


class Server:
    """All disks at their listening sockets, with the clients that came."""

    def __init__(self, control: socket.socket, disks: Mapping[socket.socket, Disk]) -> None:
        self._control = control
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(control, selectors.EVENT_READ)
        for listener, disk in disks.items():
            self._waiting.register(listener, selectors.EVENT_READ, disk)

    def serve(self) -> bytes:
        """Answers until a byte comes by the control socket, or it is closed; gives what came. Clients stay."""
        while True:
            for key, _ in self._waiting.select():
                if key.fileobj is self._control:
                    return self._control.recv(1)
                self._attend(key)

    def _attend(self, key: selectors.SelectorKey) -> None:
        """A new client is greeted and from then on heard; one that is known has a request."""
        if isinstance(key.data, _Client):
            try:
                key.data.answer()
            except (_Gone, OSError):
                self._waiting.unregister(key.fileobj)
                key.data.socket.close()
            return
        listener = key.fileobj
        assert isinstance(listener, socket.socket)
        connection, _ = listener.accept()
        connection.settimeout(SECONDS)
        client = _Client(connection, key.data)
        try:
            client.shake_hands()
        except (_Gone, OSError):
            connection.close()
            return
        self._waiting.register(connection, selectors.EVENT_READ, client)


class _Client:
    """One connection."""

    def __init__(self, connection: socket.socket, disk: Disk) -> None:
        self.socket, self._disk = connection, disk

    def shake_hands(self) -> None:
        """The handshake, up to the first request."""
        self.socket.sendall(MAGIC + OPTION_MAGIC + struct.pack(">H", FIXED_NEWSTYLE | NO_ZEROES))
        (flags,) = struct.unpack(">I", self._receive(4))
        while True:
            magic, option, length = OPTION.unpack(self._receive(OPTION.size))
            if magic != OPTION_MAGIC or length > LONGEST_OPTION:
                raise _Gone
            self._receive(length)
            if option == Option.EXPORT_NAME:
                self.socket.sendall(self._size() + (b"" if flags & NO_ZEROES else bytes(124)))
                return
            if option in (Option.INFO, Option.GO):
                self._reply(option, INFO, struct.pack(">H", INFO_EXPORT) + self._size())
            self._reply(option, ACK if option in set(Option) else UNSUPPORTED)
            if option == Option.GO:
                return
            if option == Option.ABORT:
                raise _Gone

    def _size(self) -> bytes:
        flags = HAS_FLAGS | SEND_FLUSH | (0 if self._disk.writable else READ_ONLY)
        return struct.pack(">QH", self._disk.size, flags)

    def _reply(self, option: int, kind: int, data: bytes = b"") -> None:
        self.socket.sendall(struct.pack(">QIII", REPLY_MAGIC, option, kind, len(data)) + data)

    def answer(self) -> None:
        """One request."""
        magic, _, command, handle, offset, length = REQUEST.unpack(self._receive(REQUEST.size))
        if magic != REQUEST_MAGIC or length > LONGEST_REQUEST or command == Command.DISCONNECT:
            raise _Gone
        data = self._receive(length) if command == Command.WRITE else b""
        try:
            found, error = self._do(command, offset, length, data), 0
        except OSError as failure:
            found, error = b"", failure.errno or errno.EIO
        self.socket.sendall(struct.pack(">IIQ", ANSWER_MAGIC, error, handle) + found)

    def _do(self, command: int, offset: int, length: int, data: bytes) -> bytes:
        if offset + length > self._disk.size:
            raise OSError(errno.EINVAL, "past the end")
        if command == Command.READ:
            return self._disk.read(offset, length)
        if command == Command.WRITE and self._disk.writable:
            self._disk.write(offset, data)
        elif command == Command.FLUSH:
            self._disk.flush()
        else:
            raise OSError(errno.EPERM if command == Command.WRITE else errno.EINVAL, "not possible here")
        return b""

    def _receive(self, length: int) -> bytes:
        pieces: list[bytes] = []
        while length:
            with suppress(InterruptedError):
                piece = self.socket.recv(min(length, 1 << 20))
                if not piece:
                    raise _Gone
                pieces.append(piece)
                length -= len(piece)
        return b"".join(pieces)
