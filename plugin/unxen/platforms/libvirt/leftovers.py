# SPDX-License-Identifier: Apache-2.0
"""What an import from Xen leaves in a definition, libvirt accepts, and QEMU cannot start; found and mended by the same functions.

Changes the element it is given. What a guest works with all the same is left alone, and what has no counterpart (a bridge that this
host does not have) is reported and not guessed. Source of every row: libvirt 9.0.0 with QEMU 7.2, defined and started.
"""

from collections.abc import Callable
from copy import deepcopy

from unxen.model.definition import DefinitionChange, DefinitionPart
from unxen.model.ids import Bus, ImageFormat
from unxen.platforms.libvirt.domain_xml import Element, bus_word, disks, target_of

FormatOf = Callable[[Element], ImageFormat | None]
"""The true format of a disk that is declared as `vhd`, None when it cannot be told."""
XEN_NICS = ("netfront", "vif", "ioemu")
SAFE_NIC = "e1000"
"""Where it is not known what Windows has drivers for: all since XP have this one."""
XEN_OVMF = "ovmf"


def mend(root: Element, nic: str, format_of: FormatOf) -> list[DefinitionChange]:
    """Takes everything of Xen out but the bus of disks, which goes with the switch."""
    return [*_nics(root, nic), *_loader(root), *_vhd(root, format_of), *_channels(root), *_hostdevs(root)]


def leftovers(root: Element, format_of: FormatOf) -> tuple[str, ...]:
    """What of Xen stands in this definition, in words for a report."""
    buses = [f"bus xen of {target_of(disk)}" for disk in disks(root) if bus_word(disk) == Bus.XEN.value]
    found = mend(deepcopy(root), "", format_of)
    return (*buses, *(f"{each.before} of {each.subject}" for each in found))


def missing_bridges(root: Element, there: Callable[[str], bool]) -> tuple[str, ...]:
    """Bridges that this host does not have; a start would fail of them."""
    names = [source.get("bridge", "") for source in root.findall("devices/interface[@type='bridge']/source")]
    return tuple(dict.fromkeys(name for name in names if name and not there(name)))


def _nics(root: Element, nic: str) -> list[DefinitionChange]:
    changes = []
    for interface in root.findall("devices/interface"):
        model = interface.find("model")
        if model is None or model.get("type") not in XEN_NICS:
            continue
        mac = interface.find("mac")
        subject = mac.get("address", "") if mac is not None else "a network card"
        changes.append(DefinitionChange(DefinitionPart.NIC_MODEL, subject, model.get("type", ""), nic))
        model.set("type", nic)
    return changes


def _loader(root: Element) -> list[DefinitionChange]:
    """Xen's boot ROM goes; where it is Xen's OVMF, libvirt's own takes its place, which needs ACPI."""
    system, loader = root.find("os"), root.find("os/loader")
    if system is None or loader is None or not _is_xen_path(loader.text or ""):
        return []
    path = (loader.text or "").strip()
    for name in ("loader", "nvram"):
        for each in system.findall(name):
            system.remove(each)
    if XEN_OVMF not in path.rpartition("/")[2].lower():
        return [DefinitionChange(DefinitionPart.FIRMWARE, "loader", path, "")]
    set_uefi(root)
    return [DefinitionChange(DefinitionPart.FIRMWARE, "loader", path, "efi")]


def _is_xen_path(path: str) -> bool:
    parts = [part for part in path.strip().lower().split("/") if part]
    return bool(parts) and (parts[-1] == "hvmloader" or any(part.startswith("xen") for part in parts[:-1]))


def set_bios(root: Element) -> None:
    """libvirt's own default is SeaBIOS. The file of the variable store stays: a domain defined anew loses none."""
    system = root.find("os")
    assert system is not None
    system.attrib.pop("firmware", None)
    for name in ("firmware", "loader", "nvram"):
        for each in system.findall(name):
            system.remove(each)


def set_uefi(root: Element) -> None:
    """libvirt chooses code and variable store by itself; `UEFI requires ACPI on this architecture`.

    Without secure boot, as on Xen: what this Windows loads may be signed by nobody that the firmware knows.
    """
    system = root.find("os")
    assert system is not None
    system.set("firmware", "efi")
    for each in system.findall("firmware"):
        system.remove(each)
    kind = system.makeelement("firmware")
    kind.append(kind.makeelement("feature", {"enabled": "no", "name": "secure-boot"}))
    system.insert(1 if system.find("type") is not None else 0, kind)
    features = root.find("features")
    if features is None:
        features = root.makeelement("features")
        system.addnext(features)
    if features.find("acpi") is None:
        features.append(features.makeelement("acpi"))


def _vhd(root: Element, format_of: FormatOf) -> list[DefinitionChange]:
    """`vhd` means VHDX to QEMU; a VHD of Xen's is called `vpc` there."""
    changes = []
    for disk in disks(root):
        driver = disk.find("driver")
        if driver is None or driver.get("type") != "vhd" or format_of(disk) is not ImageFormat.VHD:
            continue
        driver.set("type", "vpc")
        changes.append(DefinitionChange(DefinitionPart.DISK_FORMAT, target_of(disk), "vhd", "vpc"))
    return changes


def _channels(root: Element) -> list[DefinitionChange]:
    """A channel to Xen's store: QEMU's start fails without saying why."""
    found = [each for each in root.findall("devices/channel") if each.find("target[@type='xen']") is not None]
    for each in found:
        _remove(each)
    return [DefinitionChange(DefinitionPart.XEN_SETTING, "channel", "target xen", "") for _ in found]


def _hostdevs(root: Element) -> list[DefinitionChange]:
    """Passed through by Xen's driver: `invalid PCI passthrough type 'xen'`. libvirt's own default takes its place."""
    found = [each for kind in ("hostdev", "interface") for each in root.findall(f"devices/{kind}/driver[@name='xen']")]
    for each in found:
        _remove(each)
    return [DefinitionChange(DefinitionPart.XEN_SETTING, "hostdev", "driver xen", "") for _ in found]


def _remove(element: Element) -> None:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)
