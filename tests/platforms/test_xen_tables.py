# SPDX-License-Identifier: Apache-2.0
"""Every row of the tables of Xen's words is used: a word that fills a field changes the machine, every other one is told."""

import tomllib
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import pytest
from generators.xva import ExportedMachine, ova_xml
from unxen.model.machine import Drive, MachineDefinition, NetworkCard
from unxen.platforms.xen.disk_spec import parse_disk
from unxen.platforms.xen.drives import drives_of
from unxen.platforms.xen.mappings import HEADINGS, mappings
from unxen.platforms.xen.ova_xml import read_ova
from unxen.platforms.xen.vif_spec import parse_card
from unxen.platforms.xen.xen_xml import read_xen_xml
from unxen.platforms.xen.xl_cfg import machine_of
from unxen.platforms.xen.xl_syntax import read_settings

TABLES = sorted(Path(str(files("unxen.platforms.xen"))).glob("*.toml"))
ROWS = [(heading, row) for path in TABLES for heading, rows in tomllib.loads(path.read_text()).items() for row in rows]
HVM = 'type = "hvm"\nname = "x"\nvcpus = 4\nmemory = 512\n'
# A value for every option of xl that fills a field, and what it is without the option where that is not plain HVM.
XL_SAMPLES = {
    "name": '"other"',
    "uuid": '"3fd4b1d2-9ef1-4f0a-8ad2-9f2f6f0a3c55"',
    "memory": "1024",
    "maxmem": "2048",
    "vcpus": "8",
    "maxvcpus": "16",
    "vcpu_avail": "3",
    "firmware": '"uefi"',
    "bios": '"ovmf"',
    "boot": '"n"',
    "acpi": "0",
    "apic": "0",
    "hpet": "1",
    "nestedhvm": "1",
    "viridian": "1",
    "localtime": "1",
    "rtc_timeoffset": "60",
    "disk": "['/dev/a,raw,hda,w']",
    "vif": "['']",
    "keymap": '"de"',
    "spice": "1",
    "stdvga": "1",
    "vga": '"qxl"',
    "videoram": "8",
    "serial": '"pty"',
    "soundhw": '"ac97"',
    "on_poweroff": '"restart"',
    "on_reboot": '"destroy"',
    "on_crash": '"restart"',
}
# What the new machine has anyway, and what decides whether it is converted at all.
XL_ALWAYS = {"vnc": "1", "usbdevice": '"tablet"', "type": '"hvm"', "builder": '"hvm"'}
DISK_SAMPLES = {
    "target": "vdev=hda,target=/dev/b",
    "format": "vdev=hda,format=qcow2,target=/dev/a",
    "vdev": "vdev=hdb,target=/dev/a",
    "access": "vdev=hda,access=ro,target=/dev/a",
    "devtype": "vdev=hda,devtype=cdrom,target=/dev/a",
    "cdrom": "vdev=hda,cdrom,target=/dev/a",
    "backendtype": "vdev=hda,backendtype=phy,target=/a",
    "discard": "vdev=hda,discard,target=/dev/a",
    "no-discard": "vdev=hda,discard,no-discard,target=/dev/b",
    "qcow": None,
}
VIF_SAMPLES = {
    "mac": "mac=00:16:3e:00:00:01",
    "bridge": "bridge=b",
    "model": "model=e1000",
    "type": "type=vif,model=e1000",
    "mtu": "mtu=9000",
    "vlan": "vlan=7",
}
XML = "<domain type='xen'>{head}<os>{os}</os><features>{features}</features><cpu>{cpu}</cpu><devices>{devices}</devices></domain>"
PLAIN = {
    "head": "<name>x</name><memory>524288</memory>",
    "os": "<type machine='xenfv'>hvm</type>",
    "features": "",
    "cpu": "",
    "devices": "",
}
XML_SAMPLES = {
    "name": None,
    "os/type": None,
    "features/acpi": "<acpi/>",
    "features/apic": "<apic/>",
    "features/viridian": "<viridian/>",
    "features/hyperv": "<hyperv><relaxed state='on'/></hyperv>",
    "uuid": "<uuid>u</uuid>",
    "title": "<title>t</title>",
    "description": "<description>d</description>",
    "memory": None,
    "currentMemory": "<currentMemory>1024</currentMemory>",
    "vcpu": "<vcpu>2</vcpu>",
    "os/loader": "<loader type='pflash'>/usr/lib/xen/boot/ovmf.bin</loader>",
    "os/boot": "<boot dev='network'/>",
    "os/firmware": "<firmware/>",
    "clock": "<clock offset='localtime'/>",
    "on_poweroff": "<on_poweroff>restart</on_poweroff>",
    "on_reboot": "<on_reboot>destroy</on_reboot>",
    "on_crash": "<on_crash>restart</on_crash>",
    "cpu/topology": "<topology cores='2'/>",
    "cpu/feature": "<feature name='vmx' policy='require'/>",
    "devices/disk": "<disk><target dev='hda'/></disk>",
    "devices/interface": "<interface/>",
    "devices/graphics": "<graphics type='spice'/>",
    "devices/video": "<video><model type='qxl'/></video>",
    "devices/input": "<input type='tablet'/>",
    "devices/serial": "<serial/>",
    "devices/sound": "<sound model='ac97'/>",
}
XVA_SAMPLES = {"cores-per-socket": "2", "hpet": "true", "secureboot": "true", "timeoffset": "3600", "viridian": "1", "vtpm": "true"}
XML_ALWAYS = ("name", "os/type", "memory", "devices/input", "os/firmware")


@pytest.mark.parametrize(("heading", "row"), ROWS, ids=[f"{heading}-{row.get('word', row.get('xen'))}" for heading, row in ROWS])
def test_row_says_why_and_where_from(heading, row):
    assert row["why"] and row["source"]
    if heading not in HEADINGS:
        assert isinstance(row["kvm"], list)
    elif not row.get("becomes"):
        assert row.get("harmless") is True or len(row["remedy"]) > 10
    else:
        kinds = {"disk_key": Drive, "vif_key": NetworkCard}
        assert row["becomes"] in {each.name for each in fields(kinds.get(heading, MachineDefinition))} | {"path"}


@pytest.mark.parametrize("word", [row["word"] for heading, row in ROWS if heading == "xl_option"])
def test_option_of_xl_fills_its_field_or_is_told(word):
    plain = machine_of(read_settings(HVM))
    if word in XL_ALWAYS:
        assert machine_of(read_settings(f"{HVM}{word} = {XL_ALWAYS[word]}\n")) == plain
    elif mappings().keeps("xl_option", word):
        made = machine_of(read_settings(f"{HVM}{word} = {XL_SAMPLES[word]}\n"))
        field = mappings().words["xl_option"][word].becomes
        assert getattr(made, field) != getattr(plain, field)
        assert made.losses == ()
    else:
        told = machine_of(read_settings(f'{HVM}{word} = "something"\n')).losses
        assert [each.item for each in told] == [word]
        # What is off is no loss.
        assert machine_of(read_settings(f"{HVM}{word} = 0\n")).losses == (() if word != "kernel" else told)


@pytest.mark.parametrize("word", [row["word"] for heading, row in ROWS if heading == "disk_key"])
def test_word_of_a_disk_fills_its_field_or_is_told(word):
    table = mappings()
    plain, _ = drives_of([parse_disk("vdev=hda,target=/dev/a")], table)
    if word in DISK_SAMPLES:
        if DISK_SAMPLES[word]:
            made, losses = drives_of([parse_disk(DISK_SAMPLES[word])], table)
            assert (made != plain, losses) == (True, ())
    elif table.keeps("disk_key", word):
        made, losses = drives_of([parse_disk(f"{word}:/srv/a,hda,w")], table)
        assert (made[0].path, made[0].slot, losses) == ("/srv/a", "hda", ())
    else:
        text = {
            "w!": "/dev/a,raw,hda,w!",
            "drbd": "drbd:r,hda,w",
            "nbd": "nbd:r,hda,w",
            "enbd": "enbd:r,hda,w",
            "iscsi": "iscsi:r,hda,w",
        }
        spec = text.get(word, f"vdev=hda,{word}{'' if parse_flag(word) else '=x'},target=/dev/a")
        assert drives_of([parse_disk(spec)], table)[1]


def parse_flag(word: str) -> bool:
    return word in ("direct-io-safe", "colo", "no-colo", "trusted", "untrusted")


@pytest.mark.parametrize("word", [row["word"] for heading, row in ROWS if heading == "vif_key"])
def test_word_of_a_card_fills_its_field_or_is_told(word):
    table = mappings()
    if table.keeps("vif_key", word):
        card, losses = parse_card(VIF_SAMPLES[word], 0, table)
        changed = card != parse_card("model=e1000" if word == "type" else "", 0, table)[0]
        assert (changed, losses) == (True, ())
    else:
        _, losses = parse_card(f"{word}=x", 0, table)
        assert [each.item for each in losses] == [f"vif 0: {word}"]


@pytest.mark.parametrize("word", [row["word"] for heading, row in ROWS if heading == "xml_element"])
def test_element_fills_its_field_or_is_told(word):
    parent, _, name = word.rpartition("/")
    plain = read_xen_xml(XML.format(**PLAIN).encode())
    kept = mappings().keeps("xml_element", word)
    sample = XML_SAMPLES[word] or "" if kept else f"<{name.replace('xen:', 'xen:')}/>"
    text = XML.format(**{**PLAIN, parent or "head": PLAIN[parent or "head"] + sample})
    made = read_xen_xml(text.replace("type='xen'", "type='xen' xmlns:xen='http://libvirt.org/schemas/domain/xen/1.0'", 1).encode())
    if not kept:
        assert [each.item for each in made.losses] == [word]
    elif word not in XML_ALWAYS:
        field = mappings().words["xml_element"][word].becomes
        assert getattr(made, field) != getattr(plain, field)


def exported(word: str) -> ExportedMachine:
    """A machine in whose export the word stands."""
    place, _, name = word.partition("/")
    if place == "platform":
        return ExportedMachine(platform={name: XVA_SAMPLES.get(name, "something")})
    if place == "nvram":
        return ExportedMachine(platform={}, nvram={name: "x"})
    if place == "other_config":
        return ExportedMachine(platform={}, more_fields={"other_config": {name: "0/0000:04:00.0"}})
    if place == "vm":
        said = {"attached_PCIs": ["Ref:5"], "has_vendor_device": True, "bios_strings": {"system-manufacturer": "HP"}}
        return ExportedMachine(platform={}, more_fields={name: said.get(name, "x")})
    kind, fields_ = ("VDI", {"type": "suspend", "virtual_size": "512"}) if name == "suspended" else (name, {})
    return ExportedMachine(platform={}, more_objects=[(kind, "Ref:70", fields_)])


@pytest.mark.parametrize("word", [row["word"] for heading, row in ROWS if heading == "xva_field"])
def test_field_of_an_export_fills_its_field_or_is_told(word):
    plain = read_ova(ova_xml(ExportedMachine(platform={}), [])).definition
    made = read_ova(ova_xml(exported(word), [])).definition
    if mappings().keeps("xva_field", word):
        field = mappings().words["xva_field"][word].becomes
        assert (getattr(made, field) != getattr(plain, field), made.losses) == (True, ())
    else:
        assert [each.item for each in made.losses] == [word.removeprefix("object/").removeprefix("vm/")]


def test_row_of_values_is_read_by_its_reader():
    """Each small table answers for its rows, in any case of letters."""
    table = mappings()
    for xen in table.values["nic_model"]:
        assert table.card_model(xen.upper()) is not None
    for xen in table.values["disk_format"]:
        assert table.image_format(xen) is not None
    for xen in table.values["viridian"]:
        assert table.hyperv(xen) is not None
    for name in ("firmware", "video", "sound", "action", "disk_driver"):
        assert all(table.kvm(name, xen) == row.kvm for xen, row in table.values[name].items())
