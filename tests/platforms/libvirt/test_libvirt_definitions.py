# SPDX-License-Identifier: Apache-2.0
"""Definitions before and after a switch, as files; libvirt takes each and starts what comes out, and each option has its case."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import libvirt
import pytest
from generators.libvirt_host import Host, disk, domain
from unxen.errors import Refused
from unxen.knowledge.loader import load_knowledge
from unxen.model.definition import Wish
from unxen.model.ids import Bus, DiskNumber, Firmware, ImageFormat, MachineType
from unxen.model.machine import Clock
from unxen.model.reason import ReasonKind
from unxen.plan.cards import card_models
from unxen.platforms.libvirt.clock import set_clock
from unxen.platforms.libvirt.disk_options import Elsewhere, option_rows
from unxen.platforms.libvirt.domain_xml import canonical, hard_disks, parse_domain, text_of
from unxen.platforms.libvirt.guest_disks import vhd_format
from unxen.platforms.libvirt.leftovers import leftovers
from unxen.platforms.libvirt.machine import board_of, bus_of, firmware_of, first_disk, machine_of
from unxen.platforms.libvirt.places import WORDS, move
from unxen.platforms.libvirt.switch import switched

CASES = Path(__file__).resolve().parents[2] / "cases" / "libvirt"
NAMES = sorted(path.stem for path in CASES.glob("*.xml") if not path.stem.endswith(".after"))


CARDS = load_knowledge().network_cards


def raw_everywhere(_disk: object) -> ImageFormat:
    return ImageFormat.RAW


def wish(bus: Bus = Bus.SATA, **more: object) -> Wish:
    every = {
        "disks": (DiskNumber(1),),
        "drivers": frozenset(),
        "card": "e1000e",
        "firmware": Firmware.UNKNOWN,
    }
    return Wish(bus=bus, **{**every, **more})  # type: ignore[arg-type]


def wish_in(text: str) -> Wish:
    """The wish that a case's third comment spells."""
    line = next(line for line in text.splitlines() if line.startswith("<!-- wish:"))
    words = dict(word.partition("=")[::2] for word in line.removeprefix("<!-- wish:").removesuffix("-->").split())
    return wish(
        Bus(words["bus"]),
        disks=tuple(DiskNumber(int(each)) for each in words.get("disks", "1").split(",")),
        drivers=frozenset(Bus(each) for each in words.get("drivers", words["bus"]).split(",")),
        card=card_models(CARDS, tuple(map(int, words["windows"].split("."))), lambda _: "netkvm" in words)[0],
        firmware=Firmware(words.get("firmware", "unknown")),
    )


@pytest.mark.parametrize("name", NAMES)
def test_definition_after_the_switch_is_the_file(name, golden) -> None:
    text = (CASES / f"{name}.xml").read_text()
    done = switched(text, wish_in(text), raw_everywhere)
    changes = "".join(f"<!-- {each.part.value} of {each.subject}: {each.before} > {each.after} -->\n" for each in done.changes)
    golden(Path("cases/libvirt") / f"{name}.after.xml", f"{changes}{done.after if done.changes else ''}\n")


@pytest.mark.parametrize("name", NAMES)
def test_switching_twice_changes_nothing_more(name) -> None:
    text = (CASES / f"{name}.xml").read_text()
    done = switched(text, wish_in(text), raw_everywhere)
    assert switched(done.after, wish_in(text), raw_everywhere).changes == ()


@pytest.mark.disk
@pytest.mark.parametrize("name", NAMES)
def test_libvirt_takes_both_and_starts_what_comes_out(name, host: Host, tmp_path) -> None:
    text = (CASES / f"{name}.xml").read_text().replace("/images/", f"{tmp_path}/")
    for number in range(1, 8):
        image = tmp_path / f"{number}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "16M"], check=True)
    connection = host.daemon.connect()
    connection.defineXML(text)
    kept = host.domain("case").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    done = switched(kept, wish_in(text), raw_everywhere)
    connection.defineXMLFlags(done.after, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    assert host.starts("case") == ""
    now = host.domain("case").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE)
    assert switched(now, wish_in(text), raw_everywhere).changes == (), "libvirt has not put anything back"
    for kept_text in ("geheim", "urn:other", "Do not touch", "KEEP-ME", "KEPT"):
        assert (kept_text in now) is (kept_text in text)


@pytest.mark.disk
@pytest.mark.parametrize("name", NAMES)
def test_firmware_tries_the_same_disk_first_as_before(name, host: Host, tmp_path) -> None:
    """Asked of the command line that libvirt makes, with every bus of Xen's read as SATA so that it can make one."""
    text = (CASES / f"{name}.xml").read_text().replace("/images/", f"{tmp_path}/")
    for number in range(1, 8):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / f"{number}.qcow2", "16M"], check=True)
    connection = host.daemon.connect()
    connection.defineXML(text)
    kept = host.xml("case")
    done = switched(kept, wish_in(text), raw_everywhere)
    connection.defineXML(done.after)
    assert boot_image(connection, host.xml("case")) == first_image(kept)


def first_image(text: str) -> str:
    """The image of the disk with the lowest boot order, else of the first one as libvirt keeps them."""
    found = first_disk(parse_domain(text))
    return Path(found.find("source").get("file")).name


def boot_image(connection: libvirt.virConnect, text: str) -> str:
    """The image of the hard disk that has the lowest boot index on QEMU's command line."""
    line = shlex.split(connection.domainXMLToNative("qemu-argv", text))
    nodes = [json.loads(word) for word in line if word.startswith('{"')]
    devices = [each for each in nodes if "bootindex" in each and "drive" in each]
    first = min(devices, key=lambda each: each["bootindex"])
    by_name = {each["node-name"]: each for each in nodes if "node-name" in each}
    node = by_name[first["drive"]]
    while "filename" not in node:
        node = by_name[node["file"]]
    return Path(node["filename"]).name


# What makes a disk on another bus have the option, and where it is moved to; one row of the table each.
OPTIONS: dict[str, tuple[str, str, str, dict[str, str], Bus]] = {
    "driver@iothread": ("vda", "virtio", "", {"iothread": "1"}, Bus.SATA),
    "driver@queues": ("vda", "virtio", "", {"queues": "2"}, Bus.SATA),
    "driver@ioeventfd": ("vda", "virtio", "", {"ioeventfd": "on"}, Bus.SATA),
    "driver@event_idx": ("vda", "virtio", "", {"event_idx": "on"}, Bus.SATA),
    "driver@iommu": ("vda", "virtio", "", {"iommu": "on"}, Bus.SATA),
    "driver@ats": ("vda", "virtio", "", {"ats": "on"}, Bus.SATA),
    "driver@packed": ("vda", "virtio", "", {"packed": "on"}, Bus.SATA),
    "driver@page_per_vq": ("vda", "virtio", "", {"page_per_vq": "on"}, Bus.SATA),
    "@model": ("vda", "virtio", "", {}, Bus.SATA),
    "wwn": ("sda", "scsi", "<wwn>5000c50015ea71aa</wwn>", {}, Bus.SATA),
    "vendor": ("sda", "scsi", "<vendor>XENSRC</vendor>", {}, Bus.SATA),
    "product": ("sda", "scsi", "<product>PVDISK</product>", {}, Bus.SATA),
    "acpi": ("vda", "virtio", "<acpi index='3'/>", {}, Bus.SATA),
    "geometry@trans": ("hda", "ide", "<geometry cyls='1' heads='1' secs='1' trans='lba'/>", {}, Bus.SATA),
    "target@rotation_rate": ("sda", "sata", "", {}, Bus.VIRTIO_BLK),
    "readonly": ("vda", "virtio", "<readonly/>", {}, Bus.SATA),
    "blockio@logical_block_size": (
        "vda",
        "virtio",
        "<blockio logical_block_size='4096' physical_block_size='4096'/>",
        {},
        Bus.SATA,
    ),
    "transient@shareBacking": ("vda", "virtio", "<transient shareBacking='yes'/>", {}, Bus.SATA),
}


def test_every_row_of_the_table_has_a_case_and_its_reasons() -> None:
    assert set(OPTIONS) == {row.where for row in option_rows()}
    assert all(row.why and row.source and set(row.buses) <= {"ide", "sata", "scsi", "virtio"} for row in option_rows())


def with_option(where: str, path: object) -> str:
    target, bus, inner, driver, _ = OPTIONS[where]
    element = disk(path, target, bus, inner=inner, **driver)
    if where == "@model":
        element = element.replace("device='disk'", "device='disk' model='virtio-transitional'")
    if where == "target@rotation_rate":
        element = element.replace("bus='sata'", "bus='sata' rotation_rate='1'")
    return domain("option", element, machine="pc").replace("<os>", "<iothreads>1</iothreads><os>")


@pytest.mark.disk
@pytest.mark.parametrize("row", option_rows(), ids=lambda row: row.where)
def test_option_is_refused_by_libvirt_on_the_other_bus_and_dealt_with_by_us(row, host: Host, tmp_path) -> None:
    image = tmp_path / "1.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, "16M"], check=True)
    connection = host.daemon.connect()
    bus = OPTIONS[row.where][-1]
    connection.defineXML(with_option(row.where, image))
    kept = host.xml("option")
    assert has_option(kept, row.where)
    assert moved_without_our_care(host, kept, bus) != ""
    if row.elsewhere is Elsewhere.REFUSE:
        with pytest.raises(Refused) as caught:
            switched(kept, wish(bus), raw_everywhere)
        assert caught.value.first.kind is ReasonKind.PLATFORM_REFUSED
        assert caught.value.first.detail("cause") == row.why
        return
    done = switched(kept, wish(bus), raw_everywhere)
    assert not has_option(done.after, row.where)
    connection.defineXML(done.after)
    assert host.starts("option") == ""


def moved_without_our_care(host: Host, text: str, bus: Bus) -> str:
    """What libvirt says to the same move with the option left where it is; the definition is as before afterwards."""
    root = parse_domain(text)
    move(root, hard_disks(root)[0], bus)
    connection = host.daemon.connect()
    try:
        connection.defineXML(text_of(root))
        return host.starts("option")
    except libvirt.libvirtError as error:
        return error.get_error_message()
    finally:
        connection.defineXML(text)


def has_option(text: str, where: str) -> bool:
    path, _, attribute = where.partition("@")
    element = hard_disks(parse_domain(text))[0]
    element = element.find(path) if path else element
    return element is not None and (not attribute or element.get(attribute) is not None)


@pytest.mark.parametrize(
    ("machine", "board"),
    [
        ("pc", MachineType.I440FX),
        ("pc-i440fx-7.2", MachineType.I440FX),
        ("q35", MachineType.Q35),
        ("pc-q35-9.0", MachineType.Q35),
        ("microvm", MachineType.UNKNOWN),
        ("xenfv", MachineType.UNKNOWN),
    ],
)
def test_board_follows_from_the_machine(machine, board) -> None:
    root = parse_domain(domain("a", disk("/d", "sda", "sata"), machine=machine))
    assert board_of(root) is board
    assert (Bus.IDE in machine_of(root, ()).offered) is (board is MachineType.I440FX)


@pytest.mark.parametrize(
    ("slot", "model", "bus"),
    [
        ("ide", "", Bus.IDE),
        ("sata", "", Bus.SATA),
        ("virtio", "", Bus.VIRTIO_BLK),
        ("xen", "", Bus.XEN),
        ("usb", "", Bus.UNKNOWN),
        ("scsi", "", Bus.SCSI_LSI),
        ("scsi", "lsilogic", Bus.SCSI_LSI),
        ("scsi", "auto", Bus.SCSI_LSI),
        ("scsi", "virtio-scsi", Bus.VIRTIO_SCSI),
        ("scsi", "lsisas1068", Bus.SCSI_MPTSAS),
        ("scsi", "lsisas1078", Bus.SCSI_MEGASAS),
        ("scsi", "buslogic", Bus.UNKNOWN),
    ],
)
def test_slot_is_the_controller_that_windows_will_see(slot, model, bus) -> None:
    controller = f"<controller type='scsi' index='0' model='{model}'/>" if model else ""
    root = parse_domain(domain("a", disk("/d", "sda", slot), controller))
    assert bus_of(root, hard_disks(root)[0]) is bus


def test_every_bus_that_disks_are_moved_to_is_read_back_as_that_bus() -> None:
    for bus in WORDS:
        done = switched(domain("a", disk("/d", "xvda", "xen")), wish(bus), raw_everywhere)
        root = parse_domain(done.after)
        assert bus_of(root, hard_disks(root)[0]) is bus


def test_first_disk_by_boot_order_tells_the_bus() -> None:
    second = disk("/b", "sda", "sata", inner="<boot order='1'/>")
    root = parse_domain(domain("a", disk("/a", "vda", "virtio", inner="<boot order='2'/>"), second))
    assert machine_of(root, ()).bus is Bus.SATA
    root = parse_domain(domain("a", disk("/a", "vda", "virtio"), disk("/b", "sda", "sata")))
    assert machine_of(root, ()).bus is Bus.VIRTIO_BLK


@pytest.mark.parametrize(
    ("os", "firmware"),
    [
        ("", Firmware.BIOS),
        ("<loader type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>", Firmware.UEFI),
        ("<loader type='rom'>/x.bin</loader>", Firmware.UNKNOWN),
    ],
)
def test_firmware_follows_from_the_loader(os, firmware) -> None:
    assert firmware_of(parse_domain(domain("a", os=os))) is firmware


PASSED_THROUGH = """<hostdev mode='subsystem' type='pci' managed='yes'><driver name='xen'/>
  <source><address domain='0x0000' bus='0x7f' slot='0x1f' function='0x7'/></source></hostdev>"""


@pytest.mark.disk
def test_passed_through_device_loses_xens_driver_and_stays(host: Host, tmp_path) -> None:
    """There is no such device to start with; what libvirt says of its driver, it says while it makes the command line."""
    connection = host.daemon.connect()
    connection.defineXML(domain("case", disk(tmp_path / "1.qcow2", "xvda"), PASSED_THROUGH))
    kept = host.xml("case")
    done = switched(kept, wish(), raw_everywhere)
    told = [(each.subject, each.before, each.after) for each in done.changes if each.subject == "hostdev"]
    assert told == [("hostdev", "driver xen", "")]
    connection.defineXMLFlags(done.after, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    (found,) = parse_domain(host.xml("case")).findall("devices/hostdev")
    assert found.find("driver") is None
    assert found.find("source/address").get("slot") == "0x1f"
    with pytest.raises(libvirt.libvirtError, match="passthrough type 'xen'"):
        connection.domainXMLToNative("qemu-argv", kept.replace("bus='xen'", "bus='sata'").replace("xvda", "sda"))
    try:
        assert "0000:7f:1f.7" in connection.domainXMLToNative("qemu-argv", host.xml("case"))
    except libvirt.libvirtError as error:
        # A host without VFIO has no driver for it at all.
        assert "passthrough type 'default'" in str(error)


def test_vhd_is_renamed_only_where_it_is_one() -> None:
    text = domain("a", disk("/d.vhd", "sda", "sata", format="vhd"))
    assert switched(text, wish(), lambda _disk: ImageFormat.VHDX).changes == ()
    done = switched(text, wish(), lambda _disk: ImageFormat.VHD)
    assert parse_domain(done.after).find("devices/disk/driver").get("type") == "vpc"
    assert leftovers(parse_domain(text), lambda _disk: ImageFormat.VHD) == ("vhd of sda",)


def test_two_formats_that_are_called_vhd_are_told_by_their_marks(tmp_path) -> None:
    marks = {
        "dynamic": (b"conectix" + bytes(1024), ImageFormat.VHD),
        "fixed": (bytes(1024) + b"conectix" + bytes(504), ImageFormat.VHD),
        "vhdx": (b"vhdxfile" + bytes(1024), ImageFormat.VHDX),
        "neither": (bytes(2048), None),
        "short": (b"con", None),
    }
    for name, (data, kind) in marks.items():
        (tmp_path / name).write_bytes(data)
        assert vhd_format(str(tmp_path / name)) is kind, name
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "absent", "nul\0"):
        assert vhd_format(f"{tmp_path}/{name}") is None


def test_disk_that_is_passed_through_as_scsi_stays_unless_windows_is_on_it() -> None:
    lun = disk("/dev/sdx", "sda", "scsi", kind="block", format="raw", device="lun")
    text = domain("a", disk("/d", "xvda", "xen"), lun)
    root = parse_domain(switched(text, wish(), raw_everywhere).after)
    assert [bus_of(root, each) for each in hard_disks(root)] == [Bus.SATA, Bus.SCSI_LSI]
    with pytest.raises(Refused):
        switched(text, wish(disks=(DiskNumber(2),)), raw_everywhere)


def test_definitions_differ_by_more_than_space_order_and_our_remark() -> None:
    plain = domain("a", disk("/d", "sda", "sata"))
    remark = '<metadata><unxen:note xmlns:unxen="https://unxen.invalid/libvirt/1">repaired</unxen:note></metadata>'
    other = '<metadata><x:y xmlns:x="urn:x"/></metadata>'
    assert canonical(plain) == canonical(domain("a", disk("/d", "sda", "sata"), metadata=remark).replace("\n", "\n   "))
    assert canonical(plain) != canonical(domain("a", disk("/d", "sda", "sata"), metadata=other))
    assert canonical(plain) != canonical(plain.replace("sata", "ide"))


def test_strange_text_is_refused_and_no_file_is_read() -> None:
    for text in ("", "<a/>", "<domain", "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><domain>&e;</domain>"):
        with pytest.raises(Refused) as caught:
            parse_domain(text)
        assert caught.value.first.kind is ReasonKind.PLATFORM_REFUSED


def test_transformations_need_no_libvirt() -> None:
    code = "import sys, unxen.platforms.libvirt.switch, unxen.platforms.libvirt.hook; print('libvirt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("clock", "wanted", "after"),
    [
        ("", Clock.LOCALTIME, "<clock offset='localtime'/>"),
        ("<clock offset='utc'/>", Clock.LOCALTIME, "<clock offset='localtime'/>"),
        ("<clock offset='utc'/>", Clock.UTC, None),
        ("<clock offset='localtime'><timer name='rtc'/></clock>", Clock.UTC, "<clock offset='utc'><timer name='rtc'/></clock>"),
        ("<clock offset='timezone' timezone='Europe/Berlin'/>", Clock.LOCALTIME, None),
        ("<clock offset='timezone' timezone='Europe/Berlin'/>", Clock.UTC, "<clock offset='utc'/>"),
        ("<clock offset='variable' adjustment='7200' basis='utc'/>", Clock.LOCALTIME, None),
        ("<clock offset='utc'/>", None, None),
    ],
)
def test_clock_becomes_what_windows_takes_it_for(clock, wanted, after) -> None:
    root = parse_domain(domain("win", clock=clock))
    changes = set_clock(root, wanted)
    assert bool(changes) is (after is not None)
    wanted_clock, found = parse_domain(domain("win", clock=after or clock)).find("clock"), root.find("clock")
    assert found is not None and wanted_clock is not None
    assert text_of(found).strip() == text_of(wanted_clock).strip()
