# SPDX-License-Identifier: Apache-2.0
"""A domain's XML belongs to its administrator: it is read strictly, compared without our own remark, and written back as it came.

Touches nothing. Raises Refused(PLATFORM_REFUSED) for text that is no domain.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import TypeAlias

from lxml import etree

from unxen.errors import refused
from unxen.model.reason import ReasonKind
from unxen.platforms.safe_xml import parse_xml

Element: TypeAlias = etree._Element
NAMESPACE = "https://unxen.invalid/libvirt/1"
"""Of our element below `<metadata>`. A name, not an address: the domain is reserved (RFC 2606)."""


def parse_domain(text: str | bytes) -> Element:
    """The domain element, comments apart."""
    try:
        root = parse_xml(text if isinstance(text, bytes) else text.encode())
    except ValueError as error:
        raise refused(ReasonKind.PLATFORM_REFUSED, problem="its definition cannot be read", cause=error) from error
    if root.tag != "domain":
        raise refused(ReasonKind.PLATFORM_REFUSED, problem="this is no definition of a domain", cause=f"it is a <{root.tag}>")
    return root


def text_of(root: Element) -> str:
    """The domain as text."""
    return str(etree.tostring(root, encoding="unicode"))


def name_of(root: Element) -> str:
    """The domain's name."""
    return (root.findtext("name") or "").strip()


def uuid_of(root: Element) -> str:
    """The domain's UUID, which no renaming changes."""
    return (root.findtext("uuid") or "").strip().lower()


def without_note(root: Element) -> Element:
    """A copy without our remark and what it leaves empty."""
    copy = deepcopy(root)
    for metadata in copy.findall("metadata"):
        for ours in [each for each in metadata if str(each.tag).startswith(f"{{{NAMESPACE}}}")]:
            metadata.remove(ours)
        if len(metadata) == 0:
            copy.remove(metadata)
    # A running domain has a number, which is no part of its definition.
    copy.attrib.pop("id", None)
    return copy


def canonical(text: str) -> str:
    """Equal for definitions that differ only in white space, order of attributes, or our remark."""
    return str(etree.canonicalize(text_of(without_note(parse_domain(text))), strip_text=True))


def disks(root: Element) -> list[Element]:
    """Every disk, floppies and drives without a medium too, in their order."""
    return list(root.findall("devices/disk"))


def device_of(disk: Element) -> str:
    """`disk`, `cdrom`, `floppy` or `lun`."""
    return str(disk.get("device", "disk"))


def hard_disks(root: Element) -> list[Element]:
    """The disks that Windows can lie on, in their order: these are the guest's disks 1, 2, 3."""
    return [disk for disk in disks(root) if device_of(disk) in ("disk", "lun") and disk.find("source") is not None]


def target_of(disk: Element) -> str:
    """The name of its slot, such as `sda`."""
    target = disk.find("target")
    return target.get("dev", "") if target is not None else ""


def bus_word(disk: Element) -> str:
    """libvirt's word for its bus; a definition that libvirt keeps always has one."""
    target = disk.find("target")
    return target.get("bus", "") if target is not None else ""


def drive_address(device: Element) -> dict[str, int] | None:
    """Controller, bus, target and unit of a device that hangs at a controller; None for other addresses."""
    address = device.find("address")
    if address is None or address.get("type") != "drive":
        return None
    return {name: _number(address.get(name, "0")) for name in ("controller", "bus", "target", "unit")}


def controllers(root: Element, kind: str) -> Iterator[Element]:
    """Every controller of a type."""
    yield from (each for each in root.findall("devices/controller") if each.get("type") == kind)


def index_of(controller: Element) -> int:
    """Its number among those of its type."""
    return _number(controller.get("index", "0"))


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
