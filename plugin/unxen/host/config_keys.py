# SPDX-License-Identifier: Apache-2.0
"""Every key that the configuration may have, once: how its value is read, what it is for, and how it looks in a file.

Touches nothing. The loader, `unxen config show` and the documentation all read this table. A value that is not what
its key asks for raises Wrong.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unxen.model.fix import Fix
from unxen.model.ids import Bus
from unxen.model.record import dataclass
from unxen.model.settings import Delivery, GuardPolicy, WatchPolicy

BUS_ALIASES = {"scsi": Bus.VIRTIO_SCSI, "virtio": Bus.VIRTIO_BLK}
CHOOSABLE = tuple(bus for bus in Bus if bus not in (Bus.XEN, Bus.UNKNOWN))


class Wrong(Exception):
    """A value that is not what its key asks for."""

    def __init__(self, expected: str, found: object, suggestion: str = "") -> None:
        super().__init__(expected)
        self.expected, self.found, self.suggestion = expected, str(found), suggestion


@dataclass(frozen=True)
class Key:
    """One key. `example` is its value as TOML writes it; `meaning` completes it as a comment."""

    read: Callable[[Any], Any]
    example: str
    meaning: str


def bus_named(name: str) -> Bus:
    """The bus of that name or alias; ValueError for others."""
    alias = BUS_ALIASES.get(name.lower())
    bus = alias or Bus(name.lower())
    if bus not in CHOOSABLE:
        raise ValueError(name)
    return bus


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong("true or false", repr(value))
    return value


def _number(low: float, high: float, whole: bool) -> Callable[[Any], Any]:
    kind = "whole number" if whole else "number"

    def read(value: Any) -> Any:
        right = type(value) is int or (type(value) is float and not whole)
        if not right or not low <= value <= high:
            raise Wrong(f"a {kind} from {low:g} to {high:g}", repr(value))
        return value if whole else float(value)

    return read


def _directory(value: Any) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise Wrong("an absolute path", repr(value))
    return Path(value)


def _text_like(pattern: str, kind: str) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise Wrong(kind, repr(value))
        return value

    return read


def _list_of(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(value: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise Wrong("a list", repr(value))
        return tuple(read(each) for each in value)

    return run


def _one_of(names: tuple[str, ...], convert: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in names:
            import difflib  # lazily: mistakes are few

            near = difflib.get_close_matches(str(value), names, 1)
            raise Wrong(f"one of {', '.join(names)}", repr(value), near[0] if near else "")
        return convert(value)

    return read


BUS_NAMES = (*(bus.value for bus in CHOOSABLE), *BUS_ALIASES)

KEYS: dict[str, Key] = {
    "backing_dirs": Key(
        _list_of(_directory), '["/var/lib/libvirt/images/base"]', "where backing files may lie besides an image's own directory"
    ),
    "preference": Key(_list_of(_one_of(BUS_NAMES, bus_named)), '["sata", "ide"]', "buses in the order in which they are chosen"),
    "delivery": Key(
        _one_of(tuple(each.value for each in Delivery), Delivery),
        '"auto"',
        "how an edited hive gets into the file system: auto, in-place, appliance",
    ),
    "wait_seconds": Key(_number(0, 86400, whole=False), "0", "how long to wait for another unxen on the same disk"),
    "repair_guests_that_ran_on_kvm": Key(_boolean, "false", "such a Windows starts already, so it is left alone"),
    "undo_days": Key(_number(0, 36500, whole=True), "30", "how many days undo data is kept"),
    "undo_bytes": Key(_number(0, 1 << 50, whole=True), "10737418240", "how many bytes of it at most; the oldest goes first"),
    "watch": Key(
        _one_of(tuple(each.value for each in WatchPolicy), WatchPolicy),
        '"repair"',
        "what a watcher does with a stopped guest that needs it: repair, report",
    ),
    "watch_poll_seconds": Key(_number(1, 86400, whole=False), "60", "how often it looks for changes that no event told"),
    "watch_quiet_seconds": Key(_number(0, 86400, whole=False), "5", "a disk written more recently may still be copied: wait"),
    "guard": Key(
        _one_of(tuple(each.value for each in GuardPolicy), GuardPolicy),
        '"auto"',
        "what a hook says before a start: auto, warn, refuse, repair, off",
    ),
    "guard_repair_seconds": Key(
        _number(0.1, 600, whole=False), "5", "how long a start may wait for the policy repair, its commit apart"
    ),
    "repair_guests_with_snapshots": Key(_boolean, "false", "going back to a snapshot brings the old bus and disk back"),
    "notes": Key(_boolean, "true", "leave a note at the guest on its platform"),
    "libvirt_uri": Key(_text_like(r"[a-z+]+:///?[!-~]*", "a libvirt URI"), '"qemu:///system"', "where libvirt's guests are"),
    "proxmox_attach_unused": Key(_boolean, "true", "attach a disk with Windows that lies unused where a VM has no other disk"),
    "proxmox_start_again": Key(_boolean, "false", "start a VM again whose start the guard refused, once it is repaired"),
    "history_days": Key(_number(1, 36500, whole=True), "365", "how many days what was done is remembered for unxen report"),
    "metrics_dir": Key(
        _directory, '"/var/lib/prometheus/node-exporter"', "where watchers write counters for the node exporter; nowhere if not set"
    ),
    "accept_stale_hive": Key(
        _boolean, "false", "go on with a dirty registry hive whose logs are missing or useless; what stood in them is lost"
    ),
    "fix": Key(
        _list_of(_one_of(tuple(each.value for each in Fix), Fix)),
        '["crash-screen"]',
        "what is mended along with a repair that is made anyway: data-disks, clock, crash-screen, stock-filters; else nothing",
    ),
    "knowledge_dir": Key(_directory, '"/etc/unxen/knowledge.d"', "where tables of your own driver families lie"),
}
