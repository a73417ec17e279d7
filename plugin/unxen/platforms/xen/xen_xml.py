# SPDX-License-Identifier: Apache-2.0
"""libvirt's domain XML of a Xen guest becomes a machine; on KVM most of it is refused, so nothing of it is kept as text.

Touches nothing. Raises Unreadable, and Refused(PARAVIRTUAL_GUEST) for a guest that is no whole machine.
"""

import re
from collections.abc import Iterator

from lxml import etree

from unxen.model.ids import Firmware
from unxen.model.machine import BootDevice, Clock, Graphics, GuestKind, Loss, MachineDefinition, NetworkCard
from unxen.platforms.safe_xml import parse_xml
from unxen.platforms.xen.addresses import mac_address, network_name
from unxen.platforms.xen.hvm_only import hvm_only
from unxen.platforms.xen.mappings import Mappings, mappings
from unxen.platforms.xen.unreadable import Unreadable
from unxen.platforms.xen.xl_cfg import no_enlightenment, serial_end
from unxen.platforms.xen.xml_drives import xml_drives

UNITS = {"b": 1, "bytes": 1, "kb": 1000, "k": 1 << 10, "kib": 1 << 10, "mb": 10**6, "m": 1 << 20, "mib": 1 << 20,
         "gb": 10**9, "g": 1 << 30, "gib": 1 << 30, "tb": 10**12, "t": 1 << 40, "tib": 1 << 40}  # fmt: skip
BOOT = {"hd": BootDevice.DISK, "cdrom": BootDevice.CDROM, "network": BootDevice.NETWORK, "fd": BootDevice.FLOPPY}
PARENTS = ("os", "features", "cpu", "devices")
NAMESPACES = {"http://libvirt.org/schemas/domain/xen/1.0": "xen:"}
MOST_VCPUS = 4096
# As in the zone database: an area, and a place in it.
ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")
OFFSETS = ("", "utc", "localtime", "variable")


def read_xen_xml(data: bytes) -> MachineDefinition:
    """The machine that a domain XML describes."""
    try:
        domain = parse_xml(data)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    if domain.tag != "domain":
        raise Unreadable(f"its root is <{str(domain.tag)[:40]}>, not <domain>")
    if domain.get("type") != "xen":
        raise Unreadable(
            f"it is a domain of type {domain.get('type') or 'unknown'}, not of Xen",
            advice="for other domains see unxen inspect libvirt:NAME",
        )
    name = _text(domain, "name")
    hvm_only(_kind(domain), name)
    if not name:
        raise Unreadable("<name> is missing")
    return _machine(domain, name, mappings())


def _kind(domain: etree._Element) -> GuestKind:
    kind, machine = _text(domain, "os/type"), _attribute(domain, "os/type", "machine")
    if kind == "hvm" or machine == "xenfv":
        return GuestKind.HVM
    return GuestKind.PVH if kind == "xenpvh" or machine == "xenpvh" else GuestKind.PV


def _machine(domain: etree._Element, name: str, table: Mappings) -> MachineDefinition:
    most = _memory(domain, "memory", 0)
    drives, disk_losses = xml_drives(domain, table)
    cards, card_losses = _cards(domain, table)
    max_vcpus = _number(domain, "vcpu", 1)
    video = _attribute(domain, "devices/video/model", "type")
    return MachineDefinition(
        name=name,
        uuid=_text(domain, "uuid"),
        description="\n".join(filter(None, (_text(domain, "title"), _text(domain, "description")))),
        memory=_memory(domain, "currentMemory", most),
        max_memory=most,
        vcpus=min(max(_count(domain, "vcpu", "current"), 0) or max_vcpus, max_vcpus),
        max_vcpus=max_vcpus,
        cores_per_socket=_cores(domain),
        firmware=_firmware(domain),
        secure_boot=_attribute(domain, "os/loader", "secure") == "yes",
        acpi=domain.find("features/acpi") is not None,
        apic=domain.find("features/apic") is not None,
        hpet=_timer(domain, "hpet"),
        nested=_is_nested(domain),
        hyperv=_hyperv(domain, table),
        boot=_boot(domain),
        clock=Clock.LOCALTIME if _is_local(domain) else Clock.UTC,
        clock_shift=_count(domain, "clock", "adjustment"),
        clock_zone=_zone(domain),
        video="".join(table.kvm("video", video)),
        video_memory=max(_count(domain, "devices/video/model", "vram"), 0),
        graphics=_graphics(domain),
        sound="".join(table.kvm("sound", _attribute(domain, "devices/sound", "model"))),
        serial=len(domain.findall("devices/serial")),
        on_poweroff=_action(domain, table, "on_poweroff", "destroy"),
        on_reboot=_action(domain, table, "on_reboot", "restart"),
        on_crash=_action(domain, table, "on_crash", "destroy"),
        cards=cards,
        drives=drives,
        losses=(*_losses(domain, table), *disk_losses, *card_losses, *_serial_ends(domain)),
    )


def _text(domain: etree._Element, path: str) -> str:
    return (domain.findtext(path) or "").strip()


def _attribute(domain: etree._Element, path: str, name: str) -> str:
    element = domain.find(path)
    return "" if element is None else element.get(name, "")


def _count(domain: etree._Element, path: str, name: str) -> int:
    """A whole number in an attribute; 0 where there is none that is sensible."""
    text = _attribute(domain, path, name).strip()
    return int(text) if re.fullmatch(r"-?[0-9]{1,10}", text) else 0


def _number(domain: etree._Element, path: str, default: int) -> int:
    text = _text(domain, path)
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 0 < int(text) <= MOST_VCPUS:
        raise Unreadable(f"<{path}> is no sensible number", _line(domain, path))
    return int(text)


def _memory(domain: etree._Element, path: str, default: int) -> int:
    text, unit = _text(domain, path), _attribute(domain, path, "unit").lower() or "kib"
    if not text and default:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text) or unit not in UNITS:
        raise Unreadable(f"<{path}> is no sensible size", _line(domain, path))
    return int(text) * UNITS[unit]


def _line(domain: etree._Element, path: str) -> int:
    element = domain.find(path)
    return 0 if element is None else int(element.sourceline or 0)


def _firmware(domain: etree._Element) -> Firmware:
    """Xen's OVMF is a loader of type pflash, or the attribute of newer versions."""
    loader = domain.find("os/loader")
    told = _attribute(domain, "os", "firmware") == "efi"
    flash = loader is not None and (loader.get("type") == "pflash" or "ovmf" in (loader.text or "").lower())
    return Firmware.UEFI if told or flash else Firmware.BIOS


def _cores(domain: etree._Element) -> int:
    """Per socket, threads among them: Windows counts both as processors of that socket."""
    counts = [max(_count(domain, "cpu/topology", name), 0) for name in ("cores", "threads", "dies")]
    return counts[0] * max(counts[1], 1) * max(counts[2], 1)


def _is_nested(domain: etree._Element) -> bool:
    """libvirt's word for nestedhvm is a feature of the processor."""
    found = [each.get("policy", "require") for each in domain.findall("cpu/feature") if each.get("name") in ("vmx", "svm")]
    return any(each in ("require", "force", "optional") for each in found)


def _timer(domain: etree._Element, name: str) -> bool | None:
    present = {each.get("name"): each.get("present") for each in domain.findall("clock/timer")}
    return {"yes": True, "no": False}.get(present.get(name) or "")


def _is_local(domain: etree._Element) -> bool:
    return "localtime" in (_attribute(domain, "clock", "offset"), _attribute(domain, "clock", "basis"))


def _zone(domain: etree._Element) -> str:
    """The name of a time zone, if it is one by its letters."""
    zone = _attribute(domain, "clock", "timezone") if _attribute(domain, "clock", "offset") == "timezone" else ""
    return zone if ZONE.fullmatch(zone) else ""


def _clock_losses(domain: etree._Element) -> list[Loss]:
    """A clock that shows what no field holds: another way to say its offset, or a zone without a name."""
    offset = _attribute(domain, "clock", "offset")
    if offset in OFFSETS or (offset == "timezone" and _zone(domain)):
        return []
    remedy = "Set the clock inside Windows at the first start, or write the <clock> that you mean into the new definition."
    return [Loss("clock", f"its offset {offset} has no counterpart here; it shows UTC", remedy)]


def _hyperv(domain: etree._Element, table: Mappings) -> tuple[str, ...]:
    """`<viridian/>` stands for the usual ones; libvirt's own names are taken as they are where the tables know them."""
    known, named = _known_hyperv(table), _named_hyperv(domain)
    whole = domain.find("features/viridian") is not None or _attribute(domain, "features/hyperv", "mode") == "passthrough"
    viridian = table.hyperv_all() if whole else ()
    clock = ("hypervclock",) if _timer(domain, "hypervclock") else ()
    return tuple(dict.fromkeys((*viridian, *(each for each in named if each in known), *clock)))


def _named_hyperv(domain: etree._Element) -> list[str]:
    return [str(each.tag) for each in domain.findall("features/hyperv/*") if each.get("state") == "on"]


def _known_hyperv(table: Mappings) -> set[str]:
    return {name for row in table.values["viridian"].values() for name in row.kvm}


def _boot(domain: etree._Element) -> tuple[BootDevice, ...]:
    found = [BOOT[each.get("dev", "")] for each in domain.findall("os/boot") if each.get("dev") in BOOT]
    return tuple(dict.fromkeys(found)) or (BootDevice.DISK,)


def _graphics(domain: etree._Element) -> Graphics:
    kinds = [each.get("type") for each in domain.findall("devices/graphics")]
    return Graphics("spice" if "spice" in kinds and "vnc" not in kinds else "vnc", _attribute(domain, "devices/graphics", "keymap"))


def _serial_ends(domain: etree._Element) -> list[Loss]:
    return [serial_end(each.get("type", "")) for each in domain.findall("devices/serial") if each.get("type", "pty") != "pty"]


def _action(domain: etree._Element, table: Mappings, path: str, default: str) -> str:
    found = table.kvm("action", _text(domain, path))
    return found[0] if found else default


def _cards(domain: etree._Element, table: Mappings) -> tuple[tuple[NetworkCard, ...], list[Loss]]:
    cards, losses = [], []
    for number, each in enumerate(domain.findall("devices/interface")):
        named = _attribute(each, "model", "type")
        model = table.card_model(named)
        if model is None:
            losses.append(table.unknown_value(f"interface {number}: model", named))
        bridge = network_name(_attribute(each, "source", "bridge"))
        network = network_name(_attribute(each, "source", "network"))
        if not bridge:
            why = f"it hung on a network of the old host ({network or each.get('type')})"
            losses.append(Loss(f"interface {number}", why, "Give the card the bridge or network of this host that it belongs to."))
        losses += [table.loss("vif_key", key, f"interface {number}: {key}") for key in _card_extras(each)]
        mac, mtu = mac_address(_attribute(each, "mac", "address")), max(_count(each, "mtu", "size"), 0)
        cards.append(NetworkCard(mac, model or "", bridge, mtu, network=network))
    return tuple(cards), losses


def _card_extras(card: etree._Element) -> Iterator[str]:
    """Parts of an interface that the table of xl's keys knows by another name."""
    names = {"ip": "ip", "bandwidth": "rate", "backenddomain": "backend", "vlan": "trunk", "script": "script"}
    yield from (key for tag, key in names.items() if card.find(tag) is not None)


def _losses(domain: etree._Element, table: Mappings) -> list[Loss]:
    """One Loss per element that fills no field, however often it stands there."""
    paths = dict.fromkeys(_paths(domain))
    told = [table.loss("xml_element", path) for path in paths if not table.keeps("xml_element", path)]
    known = _known_hyperv(table)
    told += [no_enlightenment(each) for each in _named_hyperv(domain) if each not in known]
    return told + _clock_losses(domain) + _secrets(domain, table)


def _paths(domain: etree._Element) -> Iterator[str]:
    for each in domain:
        if each.tag in PARENTS:
            yield from (f"{each.tag}/{_name(inner)}" for inner in each if not _is_own_console(inner))
        else:
            yield _name(each)


def _is_own_console(element: etree._Element) -> bool:
    """The console that libvirt shows beside a serial port is that port."""
    return str(element.tag) == "console" and any(each.get("type") == "serial" for each in element.findall("target"))


def _name(element: etree._Element) -> str:
    name = etree.QName(element)
    return f"{NAMESPACES.get(name.namespace, '')}{name.localname}"


def _secrets(domain: etree._Element, table: Mappings) -> list[Loss]:
    screens = domain.findall("devices/graphics")
    found = [table.loss("xl_option", "vncpasswd", "graphics: passwd") for each in screens if each.get("passwd")]
    open_to_all = any(each.get("listen") not in (None, "", "127.0.0.1", "localhost") for each in screens)
    return found[:1] + ([table.loss("xl_option", "vnclisten", "graphics: listen")] if open_to_all else [])
