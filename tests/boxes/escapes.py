# SPDX-License-Identifier: Apache-2.0
"""Runs the attempts of `attempts.py` in each kind of box, and gives what worked. As a program: for whoever runs it, as JSON."""

import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from unxen.errors import Refused
from unxen.host import nbd, sandbox, storage_daemon
from unxen.host.sandbox import Box, Limits
from unxen.model.disk import Disk, ImageChain
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.probe.images import check_images

ATTEMPTS = (Path(__file__).parent / "attempts.py").read_text()
MIB = 1 << 20
# As the real child begins: the limits that it sets on itself, and its first word.
CHILD = """
import resource, socket, struct, sys
for kind, value in ((resource.RLIMIT_AS, 1 << 30), (resource.RLIMIT_NPROC, 0), (resource.RLIMIT_NOFILE, 128)):
    resource.setrlimit(kind, (value, value))
sock = socket.socket(fileno=int(sys.argv[2]))
sock.sendall(struct.pack(">II", 7, 0) + b'"ready"')
socket.recv_fds(sock, 1, 8)
sys.argv[1:] = {arguments!r}
"""


@contextmanager
def a_host() -> Iterator[tuple[str, ...]]:
    """A port, a socket and a process that must not be reached."""
    with ExitStack() as stack:
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "socket"
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen()
        path.parent.chmod(0o755)
        path.chmod(0o777)
        yield str(port), str(path), str(os.getpid())


def checked(path: Path, format: ImageFormat) -> ImageChain:
    with Box.open() as box:
        (chain,) = check_images([Disk(DiskNumber(1), str(path), format)], box, [])
    return chain


def image_in(directory: Path) -> ImageChain:
    """A disk above another."""
    base, path = directory / "base.raw", directory / "disk.qcow2"
    base.write_bytes(bytes(MIB))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", path], check=True)
    return checked(path, ImageFormat.QCOW2)


def hostile(script: str, arguments: Sequence[str]) -> str:
    """The box's own script, with the attempts in the place of the program that it would start."""
    words = shlex.join(["/usr/bin/python3", "-I", "-c", ATTEMPTS, *arguments])
    return script.replace('exec "$@"', "exec " + words.replace("{", "{{").replace("}", "}}"))


def from_parser(image: Path, *options: str) -> list[str]:
    """From the parser's box, with the descriptor of an image in it."""
    with a_host() as host, tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        arguments = [*host, *options]
        (Path(directory) / "child.py").write_text(CHILD.format(arguments=arguments) + ATTEMPTS)
        stack = ExitStack()
        stack.enter_context(patch.object(sandbox, "PACKAGE_PARENT", Path(directory)))
        with stack, image.open("rb") as file, Box.open(Limits(answer_seconds=30), "child.py") as box:
            return _worked(lambda: box.ask("header", {}, fds=(file.fileno(),)))


def from_reader(chain: ImageChain, *options: str) -> list[str]:
    """From the box that serves a disk to be read."""
    script = nbd.SCRIPT
    with a_host() as host, patch.object(nbd, "SCRIPT", hostile(script, (*host, *options))), nbd.serve_read_only(chain) as server:
        return _worked(server.connect)


def from_daemon(chain: ImageChain, directory: Path, *options: str) -> list[str]:
    """From the box of the daemon, which may write the disk and its own directory."""
    script = storage_daemon.SCRIPT
    with a_host() as host, patch.object(storage_daemon, "SCRIPT", hostile(script, (*host, "--may-write", *options))):
        return _worked(storage_daemon.storage_daemon(chain, directory).__enter__)


def _worked(talk) -> list[str]:
    try:
        talk()
    except Refused as error:
        cause = error.first.detail("cause")
        return json.loads(cause.partition("worked: ")[2])
    raise AssertionError("the program in the box was not that of the test")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        chain = image_in(Path(directory))
        work = Path(directory) / "work"
        work.mkdir(mode=0o700)
        found = {
            "mode": sandbox.box_mode().value,
            "parser": from_parser(Path(chain.disk.path), "--may-thread"),
            "reader": from_reader(chain),
            "daemon": from_daemon(chain, work),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
