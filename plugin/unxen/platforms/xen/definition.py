# SPDX-License-Identifier: Apache-2.0
"""One definition from Xen, whatever its form, becomes a machine; which form it is, its own first bytes tell.

Reads the one file. Raises Refused(DISK_MISSING, NO_PERMISSION, DEFINITION_INVALID, PARAVIRTUAL_GUEST).
"""

import os
import stat
from pathlib import Path

from unxen.errors import refused
from unxen.model.machine import MachineDefinition
from unxen.model.reason import ReasonKind
from unxen.platforms.xen.pieces import GZIP_MAGIC, ZSTD_MAGIC
from unxen.platforms.xen.unreadable import Unreadable
from unxen.platforms.xen.xl_cfg import machine_of
from unxen.platforms.xen.xl_syntax import Setting, read_settings
from unxen.platforms.xen.xm_cfg import NotPython, read_xm

BIGGEST = 1 << 20
OVA = b"ova.xml\0"


def is_export(path: str) -> bool:
    """Whether this is an .xva rather than a text: by its first bytes, or by its name when they tell nothing."""
    head = _head(path, len(OVA))
    return head.startswith((GZIP_MAGIC, ZSTD_MAGIC, OVA)) or Path(path).suffix.lower() == ".xva"


def read_definition(path: str) -> MachineDefinition:
    """The machine of a domain XML, an xl or an xm file."""
    data = _head(path, BIGGEST + 1)
    try:
        if len(data) > BIGGEST:
            raise Unreadable("it is larger than 1 MiB")
        return _read(data)
    except Unreadable as error:
        line = str(error.line or "")
        raise refused(ReasonKind.DEFINITION_INVALID, path, line=line, problem=error.problem, advice=error.advice) from error


def _read(data: bytes) -> MachineDefinition:
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        from unxen.platforms.xen.xen_xml import read_xen_xml

        return read_xen_xml(data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("it is no text in UTF-8") from error
    if "\0" in text:
        raise Unreadable("it is no text")
    return machine_of(_settings(text.replace("\r\n", "\n")))


def _settings(text: str) -> list[Setting]:
    """By xl's grammar; what does not fit there may still be Python with its values written out."""
    try:
        return read_settings(text)
    except Unreadable as error:
        try:
            return read_xm(text)
        except NotPython:
            raise error from None


def _head(path: str, most: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise refused(ReasonKind.DISK_MISSING, path) from error
    except (OSError, ValueError) as error:
        raise refused(ReasonKind.NO_PERMISSION, path, cause=getattr(error, "strerror", None) or str(error)) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise refused(ReasonKind.DEFINITION_INVALID, path, problem="it is no file")
        return _up_to(fd, most)
    except OSError as error:
        raise refused(ReasonKind.NO_PERMISSION, path, cause=error.strerror) from error
    finally:
        os.close(fd)


def _up_to(fd: int, most: int) -> bytes:
    data = b""
    while len(data) < most and (piece := os.read(fd, most - len(data))):
        data += piece
    return data
