# SPDX-License-Identifier: Apache-2.0
"""An image need not be a file: a server may have it, and then a protocol and a name on that server say which one it is.

Touches nothing. What is known here is where an image is, not whether it can be reached, nor whether anybody else uses it.
"""

import string
from enum import Enum

from unxen.model.record import dataclass


class Protocol(Enum):
    """How QEMU reaches an image that is no file."""

    NBD = "nbd"
    RBD = "rbd"
    ISCSI = "iscsi"
    HTTP = "http"
    HTTPS = "https"


PORTS = {Protocol.NBD: 10809, Protocol.ISCSI: 3260, Protocol.HTTP: 80, Protocol.HTTPS: 443}
"""Where a server listens when nobody says; monitors of Ceph have two of them, which its library knows."""
_UNRESERVED = string.ascii_letters + string.digits + "-._~"
UNIX_SCHEME = "nbd+unix"
SCHEMES = frozenset({*(each.value for each in Protocol), UNIX_SCHEME})


@dataclass(frozen=True)
class Remote:
    """An image on a server, raw from its first byte to its last.

    `name` is the export of NBD (may be empty), `pool/image` or `pool/namespace/image` of RBD, `target/lun` of iSCSI, the path on
    the server else, with its query and without the first slash. `port` is never 0 but for RBD. `socket` is a UNIX socket that NBD
    is spoken on instead of `host`. `monitors` are those of RBD with their ports, 0 for the usual ones; without any, `conf` or
    Ceph's own file names them.
    `user` is Ceph's, whose key lies in the file `keyring`, both or none; the key itself stands nowhere in the model or a journal.
    `initiator` is the name under which an iSCSI target shall know us, empty for QEMU's own.
    `vouched`: the platform keeps every one of its hosts from starting a guest on this image while we hold that guest, so that no
    lock of the image itself is needed.
    """

    protocol: Protocol
    name: str
    host: str = ""
    port: int = 0
    socket: str = ""
    monitors: tuple[tuple[str, int], ...] = ()
    conf: str = ""
    initiator: str = ""
    user: str = ""
    keyring: str = ""
    vouched: bool = False

    @property
    def url(self) -> str:
        """The image's name for people, the journal and locks: the same for the same image on the same server."""
        name = _quoted(self.name, "/:?=&;,+@")
        if self.socket:
            return f"{UNIX_SCHEME}:///{name}?socket={_quoted(self.socket, '/')}"
        if self.protocol is Protocol.RBD:
            return f"rbd://{name}"
        host = f"[{self.host}]" if ":" in self.host else _quoted(self.host)
        return f"{self.protocol.value}://{host}:{self.port}/{name}"


def _quoted(text: str, more: str = "") -> str:
    """As RFC 3986 has it; characters of `more` stand for themselves. (urllib does it too, and this folder touches nothing.)"""
    kept = frozenset(f"{_UNRESERVED}{more}".encode())
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))


def is_remote(path: str) -> bool:
    """Whether this is an image's name as `Remote.url` has it, and no path."""
    scheme, mark, _ = path.partition("://")
    return bool(mark) and scheme in SCHEMES
