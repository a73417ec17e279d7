# SPDX-License-Identifier: Apache-2.0
"""A machine that came from Xen becomes a new KVM domain: its XML, and the definition itself where a libvirt is there to take it.

`domain_xml` touches nothing. `define` speaks to libvirt and replaces nothing: Refused(OUTPUT_EXISTS) when a domain of that name is
there, Refused(PLATFORM_REFUSED) with libvirt's own words for the rest.
"""

import uuid
from collections.abc import Sequence

from lxml import etree

from unxen.errors import refused
from unxen.model.conversion import Conversion, Placed
from unxen.model.ids import Bus, Firmware, ImageFormat, MachineType
from unxen.model.machine import BootDevice, Clock, Drive, MachineDefinition, Media, NetworkCard
from unxen.model.reason import ReasonKind

KIB = 1 << 10
BUSES = {
    Bus.IDE: ("ide", "hd"),
    Bus.SATA: ("sata", "sd"),
    Bus.VIRTIO_BLK: ("virtio", "vd"),
    Bus.VIRTIO_SCSI: ("scsi", "sd"),
    Bus.SCSI_LSI: ("scsi", "sd"),
    Bus.SCSI_MEGASAS: ("scsi", "sd"),
}
"""libvirt's word for a bus, and the letters that its targets begin with."""
SCSI_MODELS = {Bus.VIRTIO_SCSI: "virtio-scsi", Bus.SCSI_LSI: "lsilogic", Bus.SCSI_MEGASAS: "lsisas1078"}
BOARDS = {MachineType.Q35: "q35", MachineType.I440FX: "pc"}
FORMATS = {ImageFormat.VHD: "vpc"}
BOOT = {BootDevice.DISK: "hd", BootDevice.CDROM: "cdrom", BootDevice.NETWORK: "network"}
SPINLOCK_RETRIES = "8191"
CLOCK_ENLIGHTENMENT = "hypervclock"


def domain_xml(conversion: Conversion) -> str:
    """The XML of the domain, for `virsh define`."""
    machine = conversion.machine
    domain = etree.Element("domain", type="kvm")
    try:
        _identity(domain, machine)
        _firmware(domain, machine, conversion.board)
        _features(domain, machine)
        _processor(domain, machine)
        _clock(domain, machine)
        for name in ("on_poweroff", "on_reboot", "on_crash"):
            _add(domain, name, getattr(machine, name))
        _devices(domain, conversion)
    except ValueError as error:
        problem = "a name in it has letters that no XML may have"
        raise refused(ReasonKind.DEFINITION_INVALID, conversion.source, problem=problem) from error
    etree.indent(domain, "  ")
    return _visible(str(etree.tostring(domain, encoding="unicode"))) + "\n"


def _visible(xml: str) -> str:
    """The same document; letters that could steer a terminal stand as references."""
    return "".join(letter if letter.isprintable() or letter == "\n" else f"&#{ord(letter)};" for letter in xml)


def define(xml: str, name: str, uri: str) -> None:
    """Makes the domain; one of the same name stays untouched."""
    try:
        from unxen.platforms.libvirt.connection import Connection, told
    except ImportError as error:
        raise refused(ReasonKind.TOOL_MISSING, "libvirt", tool="the Python module libvirt", package="python3-libvirt") from error
    connection = Connection(uri)
    try:
        with told(name):
            if name in {each.name() for each in connection.handle().listAllDomains()}:
                raise refused(ReasonKind.OUTPUT_EXISTS, f"a domain {name}", cause=f"libvirt at {uri} has one.")
            connection.handle().defineXML(xml)
    finally:
        connection.close()


def _add(parent: etree._Element, tag: str, text: str = "", **attributes: str) -> etree._Element:
    """One more element; empty attributes are left out."""
    element = etree.SubElement(parent, tag, {name: value for name, value in attributes.items() if value})
    element.text = text or None
    return element


def _identity(domain: etree._Element, machine: MachineDefinition) -> None:
    _add(domain, "name", machine.name)
    if identity := _uuid(machine.uuid):
        _add(domain, "uuid", identity)
    if machine.description:
        _add(domain, "description", machine.description)
    _add(domain, "memory", str(max(machine.max_memory, machine.memory) // KIB), unit="KiB")
    if machine.memory < machine.max_memory:
        _add(domain, "currentMemory", str(machine.memory // KIB), unit="KiB")
    current = str(machine.vcpus) if machine.vcpus < machine.max_vcpus else ""
    _add(domain, "vcpu", str(machine.max_vcpus), current=current)


def _uuid(text: str) -> str:
    """In the one form that libvirt writes; nothing for what is no UUID, then libvirt makes one."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return ""


def _firmware(domain: etree._Element, machine: MachineDefinition, board: MachineType) -> None:
    uefi = machine.firmware is Firmware.UEFI
    system = _add(domain, "os", firmware="efi" if uefi else "")
    _add(system, "type", "hvm", arch="x86_64", machine=BOARDS[board])
    if uefi:
        switch = "yes" if machine.secure_boot else "no"
        _add(_add(system, "firmware"), "feature", enabled=switch, name="secure-boot")
    for device in machine.boot:
        if device in BOOT:
            _add(system, "boot", dev=BOOT[device])


def _features(domain: etree._Element, machine: MachineDefinition) -> None:
    features = _add(domain, "features")
    if machine.acpi or machine.firmware is Firmware.UEFI:
        _add(features, "acpi")
    if machine.apic:
        _add(features, "apic")
    names = [each for each in machine.hyperv if each != CLOCK_ENLIGHTENMENT]
    if names:
        hyperv = _add(features, "hyperv")
        for name in names:
            _add(hyperv, name, state="on", retries=SPINLOCK_RETRIES if name == "spinlocks" else "")
    if machine.secure_boot:
        _add(features, "smm", state="on")


def _processor(domain: etree._Element, machine: MachineDefinition) -> None:
    """libvirt's own default lacks what Windows 8 and later ask for at their start."""
    processor = _add(domain, "cpu", mode="host-passthrough" if machine.nested else "host-model")
    cores = machine.cores_per_socket
    if cores > 0 and machine.max_vcpus % cores == 0:
        _add(processor, "topology", sockets=str(machine.max_vcpus // cores), cores=str(cores), threads="1")


def _clock(domain: etree._Element, machine: MachineDefinition) -> None:
    if machine.clock_zone:
        clock = _add(domain, "clock", offset="timezone", timezone=machine.clock_zone)
    elif machine.clock_shift:
        clock = _add(domain, "clock", offset="variable", adjustment=str(machine.clock_shift), basis=machine.clock.value)
    else:
        clock = _add(domain, "clock", offset="localtime" if machine.clock is Clock.LOCALTIME else "utc")
    _add(clock, "timer", name="rtc", tickpolicy="catchup")
    _add(clock, "timer", name="pit", tickpolicy="delay")
    _add(clock, "timer", name="hpet", present="yes" if machine.hpet else "no")
    if CLOCK_ENLIGHTENMENT in machine.hyperv:
        _add(clock, "timer", name=CLOCK_ENLIGHTENMENT, present="yes")


def _devices(domain: etree._Element, conversion: Conversion) -> None:
    machine, devices = conversion.machine, _add(domain, "devices")
    for each in conversion.placed:
        _disk(devices, each, _letters(each, conversion.placed))
    for model in dict.fromkeys(SCSI_MODELS[each.bus] for each in conversion.placed if each.bus in SCSI_MODELS):
        _add(devices, "controller", type="scsi", index="0", model=model)
    for card in machine.cards:
        _interface(devices, card)
    for number in range(machine.serial):
        _add(_add(devices, "serial", type="pty"), "target", port=str(number))
    if machine.tablet:
        _add(devices, "input", type="tablet", bus="usb")
    if machine.video != "none":
        _add(devices, "graphics", type=machine.graphics.kind, autoport="yes", listen="127.0.0.1", keymap=machine.graphics.keymap)
    if machine.sound:
        _add(devices, "sound", model=machine.sound)
    memory = str(machine.video_memory) if machine.video_memory >= KIB else ""
    _add(_add(devices, "video"), "model", type=machine.video or "vga", vram="" if machine.video == "none" else memory)
    if machine.tpm:
        _add(_add(devices, "tpm", model="tpm-crb"), "backend", type="emulator", version="2.0")


def _letters(placed: Placed, all_placed: Sequence[Placed]) -> str:
    """The target: letters in the order of the places; buses that share a beginning share one row, because names may not repeat."""
    beginning = BUSES[placed.bus][1]
    row = [each for each in all_placed if BUSES[each.bus][1] == beginning]
    # libvirt derives controller and unit from the letter, so the first bus, which is the disks', begins with a.
    first = row[0].bus
    row.sort(key=lambda each: (each.bus is not first, each.index))
    return f"{beginning}{_letter(row.index(placed))}"


def _letter(index: int) -> str:
    letters = ""
    number = index + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters


def _disk(devices: etree._Element, placed: Placed, target: str) -> None:
    drive = placed.drive
    disk = _add(devices, "disk", type="block" if drive.block_device else "file", device=drive.media.value)
    _add(disk, "driver", name="qemu", type=FORMATS.get(drive.format, drive.format.value), discard="unmap" if drive.discard else "")
    if drive.path:
        _add(disk, "source", **{"dev" if drive.block_device else "file": drive.path}, startupPolicy=_policy(drive))
    _add(disk, "target", dev=target, bus=BUSES[placed.bus][0])
    if drive.read_only:
        _add(disk, "readonly")


def _policy(drive: Drive) -> str:
    """A CD that is not there must not keep the machine from starting."""
    return "optional" if drive.media is Media.CDROM else ""


def _interface(devices: etree._Element, card: NetworkCard) -> None:
    kind = "bridge" if card.bridge else "network" if card.network else "user"
    interface = _add(devices, "interface", type=kind)
    if card.mac:
        _add(interface, "mac", address=card.mac)
    if kind != "user":
        _add(interface, "source", **{kind: card.bridge or card.network})
    _add(interface, "model", type=card.model)
    if card.mtu:
        _add(interface, "mtu", size=str(card.mtu))
