# SPDX-License-Identifier: Apache-2.0
"""A moved disk gets another name, libvirt sorts disks by name, and `<boot dev='hd'/>` means the first: so it is said which one.

Changes the element it is given, and only where the disk that the firmware tried first would be another one now. Sources: libvirt
9.0.0 src/conf/domain_conf.c and src/qemu/qemu_command.c, and the command lines it makes.
"""

from unxen.model.definition import DefinitionChange, DefinitionPart
from unxen.platforms.libvirt.domain_xml import Element, bus_word, device_of, disks, target_of

HARD_DISK = "hd"
KINDS = {"cdrom": ("cdrom",), "fd": ("floppy",), HARD_DISK: ("disk", "lun")}


def first_hard_disk(root: Element) -> Element | None:
    """The disk that `<boot dev='hd'/>` means once libvirt has sorted them."""
    return next((disk for disk in _as_libvirt_keeps_them(root) if device_of(disk) in KINDS[HARD_DISK]), None)


def keep_first(root: Element, first: Element | None) -> list[DefinitionChange]:
    """Names the boot devices one by one where the first hard disk would change; `first` is the one from before."""
    if first is None or first_hard_disk(root) is first or root.find("devices//boot") is not None:
        return []
    system = root.find("os")
    assert system is not None
    wanted = [each.get("dev", "") for each in system.findall("boot")] or [HARD_DISK]
    for each in system.findall("boot"):
        system.remove(each)
    for order, kind in enumerate(wanted, 1):
        device = first if kind == HARD_DISK else _first_of(root, kind)
        if device is not None:
            device.append(device.makeelement("boot", {"order": str(order)}))
    return [DefinitionChange(DefinitionPart.BOOT_ORDER, "machine", ", ".join(wanted), f"{target_of(first)} first")]


def _first_of(root: Element, kind: str) -> Element | None:
    if kind == "network":
        found: Element | None = root.find("devices/interface")
        return found
    return next((disk for disk in _as_libvirt_keeps_them(root) if device_of(disk) in KINDS.get(kind, ())), None)


def _as_libvirt_keeps_them(root: Element) -> list[Element]:
    """Disks of one bus stand in the order of their names, buses as they came."""
    kept: list[Element] = []
    for disk in disks(root):
        same = [place for place, each in enumerate(kept) if bus_word(each) == bus_word(disk)]
        later = [place for place in same if _index(kept[place]) > _index(disk)]
        kept.insert(later[0] if later else same[-1] + 1 if same else len(kept), disk)
    return kept


def _index(disk: Element) -> int:
    """The number behind the prefix of two letters: a is 0, z 25, aa 26."""
    index = 0
    for letter in target_of(disk).removeprefix("x")[2:]:
        index = index * 26 + ord(letter) - ord("a") + 1
    return index
