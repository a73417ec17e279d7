# SPDX-License-Identifier: Apache-2.0
"""One disk of an xl or xm configuration, in every form in which it may be written.

Touches nothing. Source: xl-disk-configuration(5): positions (target, format, vdev, access), keys, `target=` which takes the rest,
and the prefixes of older tools. Raises Unreadable.
"""

import re
from dataclasses import dataclass, field

from unxen.platforms.xen.unreadable import Unreadable

FORMAT_PREFIXES = ("raw", "qcow", "qcow2", "vhd")
SCRIPT_PREFIXES = ("iscsi", "nbd", "enbd", "drbd")
NAME_PREFIXES = ("tapdisk", "tap", "tap2", "aio", "ioemu", "file", "phy")
FLAGS = ("cdrom", "direct-io-safe", "discard", "no-discard", "colo", "no-colo", "trusted", "untrusted")
SHARED = "w!"
EMPTY = "empty"
"""The format of a drive without a disc."""
ACCESS = {"": False, "r": True, "ro": True, "w": False, "rw": False, SHARED: False}
_PREFIX = re.compile(r"\s*([a-z][a-z0-9]*):")
_KEY = re.compile(r"\s*([a-z][-a-z0-9_]*)=")


@dataclass
class DiskSpec:
    """A disk as written; empty is what was not said. `keys` are all words that were used."""

    target: str | None = None
    format: str | None = None
    vdev: str | None = None
    access: str | None = None
    cdrom: bool = False
    script: str = ""
    backend: str = ""
    backendtype: str = ""
    discard: bool = False
    keys: list[str] = field(default_factory=list)

    @property
    def read_only(self) -> bool:
        """CDs are, whatever is said."""
        return self.cdrom or ACCESS[self.access or ""]


def parse_disk(text: str) -> DiskSpec:
    """The disk that a specification describes."""
    spec, old_form = DiskSpec(), False
    rest = text.strip()
    if not rest:
        raise Unreadable("a disk is empty")
    while rest:
        if (prefix := _PREFIX.match(rest)) and spec.target is None:
            old_form = _prefix(spec, prefix[1], text)
            rest = rest[prefix.end() :]
            continue
        key = _KEY.match(rest)
        if key and key[1] == "target":
            _set(spec, "target", rest[key.end() :], text)
            return _checked(spec, text)
        word, _, rest = rest.partition(",")
        if key:
            _keyword(spec, key[1], word.partition("=")[2], text)
        else:
            _positional(spec, word.strip(), old_form, text)
    return _checked(spec, text)


def _prefix(spec: DiskSpec, name: str, text: str) -> bool:
    if name in FORMAT_PREFIXES:
        _set(spec, "format", name, text)
    elif name in SCRIPT_PREFIXES:
        spec.script = f"block-{name}"
    elif name not in NAME_PREFIXES:
        raise Unreadable(f"{name}: is no prefix of a disk ({text})")
    spec.keys.append(name)
    return True


def _keyword(spec: DiskSpec, key: str, value: str, text: str) -> None:
    value = value.strip()
    spec.keys.append(key)
    if key == "devtype":
        if value not in ("cdrom", "disk"):
            raise Unreadable(f"devtype={value} is unknown ({text})")
        spec.cdrom = value == "cdrom"
    elif key in ("format", "vdev", "access", "script", "backend", "backendtype"):
        _set(spec, key, value, text)


def _positional(spec: DiskSpec, word: str, old_form: bool, text: str) -> None:
    if word in FLAGS:
        _flag(spec, word)
    elif spec.target is None:
        spec.target = word
    elif not old_form and spec.format is None and not _is_drive(spec, word):
        spec.format = word
    elif spec.vdev is None:
        if _is_drive(spec, word) and spec.format is None:
            spec.format = EMPTY
        _vdev(spec, word, text)
    elif spec.access is None:
        spec.access = word
    elif word:
        raise Unreadable(f"there is one word too many in a disk ({text})")


def _is_drive(spec: DiskSpec, word: str) -> bool:
    """`,hdc:cdrom,r`: an empty drive leaves out its format."""
    return not spec.target and word.endswith((":cdrom", ":disk"))


def _vdev(spec: DiskSpec, word: str, text: str) -> None:
    name, colon, kind = word.rpartition(":")
    if colon and name != "ioemu":
        if kind not in ("cdrom", "disk"):
            raise Unreadable(f"{kind} is no kind of disk ({text})")
        spec.cdrom, word = kind == "cdrom", name
    spec.vdev = word.removeprefix("ioemu:")


def _flag(spec: DiskSpec, word: str) -> None:
    spec.keys.append(word)
    if word == "cdrom":
        spec.cdrom = True
    elif word in ("discard", "no-discard"):
        spec.discard = word == "discard"


def _set(spec: DiskSpec, name: str, value: str, text: str) -> None:
    if getattr(spec, name):
        raise Unreadable(f"{name} is given twice in a disk ({text})")
    setattr(spec, name, value)


def _checked(spec: DiskSpec, text: str) -> DiskSpec:
    if (spec.access or "") not in ACCESS:
        raise Unreadable(f"{spec.access} is no access ({text})")
    if spec.access == SHARED:
        spec.keys.append(SHARED)
    if not spec.vdev:
        raise Unreadable(f"a disk has no vdev ({text})")
    return spec
