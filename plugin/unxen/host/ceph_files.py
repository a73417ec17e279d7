# SPDX-License-Identifier: Apache-2.0
"""A cluster's configuration and a user's key lie where only root may read them, and what speaks to the cluster is not root.

Reads those two files and puts what is needed of them into memory, which a box gets as descriptors; the key stands in no command,
no environment and no name. No file of Ceph's or no key in it is Refused(REMOTE_UNREACHABLE), Refused(NO_PERMISSION) where it may
not be read. Nothing that is said of either quotes what is in it.
"""

import base64
import binascii
import re
from pathlib import Path

from unxen.errors import Refused, refused
from unxen.host.sealed import sealed_memory
from unxen.model.reason import ReasonKind
from unxen.model.remote import Remote

_SECTION = re.compile(r"\s*\[([^\]]*)\]\s*")
_KEY = re.compile(r"\s*key\s*=\s*([A-Za-z0-9+/]+={0,2})\s*")
_BIGGEST = 1 << 20
# Ceph's library tries a wrong key again and again for five minutes, and says on its standard error alone that it was refused (seen
# with 16.2). A monitor that is there answers at once. Errors alone: nobody reads what it says while all is well.
CONNECT_SECONDS = 15
_OURS = f"""
[client]
client_mount_timeout = {CONNECT_SECONDS}
log_to_stderr = false
err_to_stderr = true
"""
KEY_REFUSED = "handle_auth_bad_method"
"""What that library says then."""


def configuration(remote: Remote) -> int:
    """A descriptor of the configuration, the cluster's own and what unxen adds to it."""
    text = _read(remote, remote.conf) if remote.conf else b""
    return sealed_memory((text, _OURS.encode()))[0]


def key(remote: Remote) -> int:
    """A descriptor of the user's key as it stands in the keyring: base64 text."""
    return sealed_memory((_key(remote).encode(),))[0]


def _key(remote: Remote) -> str:
    """The one key in the section of the user; keys of others are not looked at."""
    wanted, section, found = f"client.{remote.user}", "", set()
    for line in _read(remote, remote.keyring).decode("utf-8", "replace").splitlines():
        if head := _SECTION.fullmatch(line):
            section = head[1]
        elif section == wanted and (words := _KEY.fullmatch(line)):
            found.add(words[1])
    if len(found) != 1 or not _is_base64(next(iter(found))):
        raise _unreachable(remote, f"{remote.keyring} has not one key of {wanted}")
    return found.pop()


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False


def _read(remote: Remote, path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(_BIGGEST + 1)
    except PermissionError as error:
        raise refused(ReasonKind.NO_PERMISSION, path, cause=error.strerror) from error
    except OSError as error:
        raise _unreachable(remote, f"{path}: {error.strerror}") from error
    if len(data) > _BIGGEST:
        raise _unreachable(remote, f"{path} is no file of Ceph's: larger than {_BIGGEST} bytes")
    return data


def _unreachable(remote: Remote, cause: str) -> Refused:
    return refused(ReasonKind.REMOTE_UNREACHABLE, remote.url, cause=cause)
