# SPDX-License-Identifier: Apache-2.0
"""A disk of any format becomes raw bytes in a new volume; the source is read in a box, in the format that was given.

Reads the source through the same checked chain as a look does, so nothing in an image decides what is opened, and a VHD has the
size that its footer says. Writes only to the sink. Raises Refused; what was written until then must be thrown away.
"""

from unxen.host.disk_sink import RawSink
from unxen.host.nbd import serve_read_only
from unxen.host.nbd_client import PIECE, client_on
from unxen.model.disk import ImageChain
from unxen.model.progress import Advanced, Listener, Step


def copy_disk(chain: ImageChain, sink: RawSink, listener: Listener) -> None:
    """Every byte that a guest would see."""
    with serve_read_only(chain) as server, client_on(server.connect(), chain.disk.path) as client:
        for at in range(0, client.size, PIECE):
            length = min(PIECE, client.size - at)
            sink.write(at, client.read(at, length))
            listener(Advanced(Step.COPY, at + length, client.size))
    sink.close()
