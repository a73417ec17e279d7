# SPDX-License-Identifier: Apache-2.0
"""A web server that serves one file by ranges, as a store of images does; the standard library's own serves whole files only."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serving(path: Path) -> Iterator[int]:
    """The port of this host on which every name is this file."""
    data = path.read_bytes()

    class Ranges(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._head(200, len(data))

        def do_GET(self) -> None:
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start, end = (int(found[1]), int(found[2] or len(data) - 1)) if found else (0, len(data) - 1)
            piece = data[start : end + 1]
            self._head(206 if found else 200, len(piece), f"bytes {start}-{start + len(piece) - 1}/{len(data)}")
            self.wfile.write(piece)

        def _head(self, code: int, length: int, place: str = "") -> None:
            self.send_response(code)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(length))
            if place:
                self.send_header("Content-Range", place)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
