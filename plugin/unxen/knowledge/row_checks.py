# SPDX-License-Identifier: Apache-2.0
"""A well-formed row can still ask for something absurd; these are the bounds of every field, row by row.

Touches nothing. Each check gives (field, problem) for what is wrong. Bounds are drawn so that no row, also no administrator's, can
make a driver start earlier, name a whole inbox bus as Xen's, or point at a file outside the driver directory.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from unxen.knowledge.layout import Entry
from unxen.model.ids import Bus, MachineType

Problem = tuple[str, str]
Check = Callable[[Any], str | None]

GUID = re.compile(r"\{[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}")
FAMILY = re.compile(r"[a-z0-9_]+")
NAME = re.compile(r"[^\\/:*?\"<>|\s][^\\/:*?\"<>|]*")
DEVICE_ID = re.compile(r"[^\\\s]+\\[^\\\s]+")
CRITICAL_ID = re.compile(r"[^\\\s]+")
# Prefixes that would call every device of an inbox bus Xen's.
INBOX_BUSES = ("acpi", "display", "hid", "hdaudio", "ide", "isapnp", "pci", "pciide", "root", "scsi", "storage", "sw", "swd", "usb")
LINKS = ("buses", "controller-filters", "disk")
# What libvirt and Proxmox both call a network card of QEMU.
CARDS = ("virtio", "e1000e", "e1000", "rtl8139", "pcnet", "ne2k_pci")
TRACES = ("enum", "hardware-config")
BUSES = tuple(each.value for each in Bus if each not in (Bus.XEN, Bus.UNKNOWN))
BOARDS = tuple(each.value for each in MachineType if each is not MachineType.UNKNOWN)


def row_problems(entry: Entry) -> Iterator[Problem]:
    """Everything that is wrong with one row by itself."""
    for field, check in CHECKS.get(entry.table.heading, {}).items():
        if problem := check(getattr(entry.row, field)):
            yield field, problem
    lowest, highest = getattr(entry.row, "nt_from", None), getattr(entry.row, "nt_to", None)
    if lowest and highest and lowest > highest:
        yield "nt_to", "is older than nt_from"


def _matches(pattern: re.Pattern[str], problem: str) -> Check:
    return lambda value: None if pattern.fullmatch(value) else problem


def _all(check: Check) -> Check:
    return lambda values: next((problem for problem in map(check, values) if problem), None)


def _one_of(*allowed: object) -> Check:
    shown = ", ".join(str(each) for each in allowed if each is not None)
    return lambda value: None if value in allowed else f"must be one of {shown}"


def _some(check: Check) -> Check:
    return lambda values: check(values) if values else "must not be empty"


def _if_any(check: Check) -> Check:
    return lambda value: check(value) if value else None


def _prefix(value: str) -> str | None:
    bus, backslash, rest = value.partition("\\")
    if not backslash or not bus:
        return r"must begin with a bus and a backslash, such as XENBUS\ "[:-1]
    if bus.casefold() in INBOX_BUSES and len(rest) < 4:
        return "would take in all devices of a bus of Windows"
    return None


def _setting(value: str) -> str | None:
    parts = value.split("\\")
    good = len(parts) >= 2 and parts[0].casefold() == "services" and all(parts)
    return None if good else r"must be a key below Services\ "[:-1]


def _bus(value: Bus) -> str | None:
    return "must be a bus that QEMU emulates for KVM" if value in (Bus.XEN, Bus.UNKNOWN) else None


def _boards(value: str) -> str | None:
    known = [each.strip() in BOARDS for each in value.split(",")]
    return None if all(known) else "must name boards out of " + ", ".join(BOARDS)


NAMED = _matches(NAME, "must be a plain name")
CLASS = _matches(GUID, "must be a class GUID such as {4d36e96a-e325-11ce-bfc1-08002be10318}")
DEVICE = _matches(DEVICE_ID, r"must be a device id such as PCI\VEN_8086&DEV_7010")
CHECKS: Mapping[str, Mapping[str, Check]] = {
    "family": {"id": _matches(FAMILY, "must be small letters, digits and underscores")},
    "xen_service": {
        "name": NAMED,
        "images": _all(NAMED),
        "start_after": _one_of(None, 3, 4),
        "off_beside": _all(NAMED),
    },
    "xen_filter": {"name": NAMED},
    "xen_device": {"prefix": _prefix},
    "xen_setting": {"key": _setting},
    "controller": {"service": NAMED, "bus": _bus, "ids": _some(_all(DEVICE)), "requires": _all(NAMED), "files": _all(NAMED)},
    "emulated": {"bus": _bus, "board": _boards, "ids": _some(_all(DEVICE)), "class_guid": CLASS},
    "boot_service": {"service": NAMED},
    "class": {"guid": CLASS, "links": _all(_one_of(*LINKS))},
    "stock_filter": {"class_guid": CLASS, "names": _some(_all(NAMED))},
    "san_policy": {"number": _one_of(1, 2, 3, 4), "name": NAMED, "offline": _all(_one_of(*BUSES))},
    "san_default": {"policy": _one_of(1, 2, 3, 4)},
    "unfinished_tool": {"service": NAMED, "images": _some(_all(NAMED))},
    "critical_mistake": {"id": _matches(CRITICAL_ID, "must be a key name such as pci#cc_0101"), "service": NAMED},
    "critical_row": {
        "id": _matches(CRITICAL_ID, "must be a key name such as pci#cc_0101"),
        "bus": _bus,
        "service": NAMED,
        "class_guid": CLASS,
        "files": _all(NAMED),
    },
    "article_step": {"service": NAMED, "start": _one_of(0, 3), "number": _one_of(*range(1, 13))},
    "kvm_trace": {"kind": _one_of(*TRACES)},
    "processor": {"service": NAMED, "start": _one_of(3, 4)},
    "network_card": {"model": _one_of(*CARDS), "installed": _if_any(NAMED)},
    "guard": {"product": NAMED, "files": _some(_all(NAMED))},
}
