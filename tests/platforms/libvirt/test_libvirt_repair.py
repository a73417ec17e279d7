# SPDX-License-Identifier: Apache-2.0
"""A domain from Xen, on a real libvirtd: looked at, repaired, defined anew, started paused, and taken back, disk and definition."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from generators.libvirt_host import Host, disk
from lxml import etree
from unxen.platforms.libvirt.domain_xml import NAMESPACE, canonical

pytestmark = pytest.mark.disk


def targets(xml: str) -> dict[str, str]:
    """Bus by name of every disk."""
    return {each.get("dev", ""): each.get("bus", "") for each in etree.fromstring(xml).findall("devices/disk/target")}


def content_of(path: Path, kind: str = "qcow2") -> str:
    """Hash of what a guest would read."""
    raw = path.with_suffix(".content")
    subprocess.run(["qemu-img", "convert", "-f", kind, "-O", "raw", path, raw], check=True)
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return digest


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_disk_on_xens_bus_is_repaired_switched_started_and_taken_back(host: Host, unxen, windows, tmp_path, machine) -> None:
    path = windows(tmp_path / "w.qcow2", "10", "xcpng")
    host.define("win", disk(path, "xvda"), disk("", "xvdd", device="cdrom", format="raw"), machine=machine)
    before, content = host.xml("win"), content_of(path)
    assert "xen" in host.starts("win")

    code, document = unxen("inspect", "libvirt:win")
    assert (code, document["verdict"], document["bus"]) == (3, "repairable", "sata")
    assert canonical(host.xml("win")) == canonical(before)

    code, document = unxen("repair", "libvirt:win")
    assert (code, document["verdict"], document["changed"], document["switched"]) == (0, "repaired", True, True)
    assert targets(host.xml("win")) == {"sda": "sata", "sdb": "sata"}
    assert NAMESPACE in host.xml("win")
    assert host.starts("win") == ""

    for verb in ("inspect", "repair"):
        code, document = unxen(verb, "libvirt:win")
        assert (code, document["verdict"], document["definition"]) == (0, "healthy", [])

    code, document = unxen("undo", "libvirt:win")
    assert (code, document["switched"]) == (0, True)
    assert content_of(path) == content
    assert canonical(host.xml("win")) == canonical(before)
    assert unxen("undo", "libvirt:win")[0] == 43


NETFRONT = "<interface type='user'><model type='netfront'/></interface>"
CHANNEL = "<channel type='pty'><target type='xen' name='org.example'/></channel>"
HVMLOADER = "<loader type='rom'>/usr/lib/xen/boot/hvmloader</loader>"
OVMF = "<loader type='rom'>/usr/lib/xen/boot/ovmf.bin</loader>"


@pytest.mark.parametrize(
    ("machine", "os", "devices", "scheme", "after"),
    [
        ("pc", "", (NETFRONT,), "mbr", "<model type='e1000e'/>"),
        ("q35", HVMLOADER, (), "mbr", "hvm</type>"),
        ("pc", "", (CHANNEL,), "mbr", "<controller type='sata'"),
        ("q35", OVMF, (), "gpt", "<os firmware='efi'>"),
        ("pc", "", (NETFRONT,), "gpt", "<os firmware='efi'>"),
    ],
    ids=["netfront", "hvmloader", "channel", "ovmf", "bios-that-nobody-chose"],
)
def test_leftover_is_mended_with_the_disk_and_the_domain_starts(
    host: Host, unxen, windows, tmp_path, machine, os, devices, scheme, after
) -> None:
    path = windows(tmp_path / "w.qcow2", "10", "xcpng", scheme=scheme)
    host.define("win", disk(path, "sda", "sata"), *devices, machine=machine, os=os)
    before = canonical(host.xml("win"))
    if os or scheme == "mbr":
        assert host.starts("win") != ""
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["verdict"]) == (0, "repaired")
    assert after in host.xml("win")
    assert "xen/" not in host.xml("win")
    assert host.starts("win") == ""
    assert unxen("undo", "libvirt:win")[0] == 0
    assert canonical(host.xml("win")) == before


def test_firmware_that_somebody_chose_is_not_changed_but_told(host: Host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", "10", "xcpng", scheme="gpt")
    host.define("win", disk(path, "sda", "sata"))
    before = host.xml("win")
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["reasons"][0]["kind"]) == (26, "no-bootable-bus")
    assert document["reasons"][0]["details"]["link"] == "firmware"
    assert canonical(host.xml("win")) == canonical(before)


def test_xp_goes_to_ide_and_gets_the_older_network_card(host: Host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", "xp", "gplpv")
    host.define("xp", disk(path, "xvda"), disk("", "xvdd", device="cdrom", format="raw"), NETFRONT)
    code, document = unxen("repair", "libvirt:xp")
    assert (code, document["bus"]) == (0, "ide")
    assert set(targets(host.xml("xp")).values()) == {"ide"}
    assert "<model type='e1000'/>" in host.xml("xp")
    assert host.starts("xp") == ""
    host.define("on-q35", disk(windows(tmp_path / "q.qcow2", "xp", "gplpv"), "xvda"), machine="q35")
    assert unxen("repair", "libvirt:on-q35")[0] == 26
