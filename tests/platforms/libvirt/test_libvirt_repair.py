# SPDX-License-Identifier: Apache-2.0
"""A domain from Xen, on a real libvirtd: looked at, repaired, defined anew, started paused, and taken back, disk and definition."""

import pytest
from content import content_of
from generators.hives import windows_hive
from generators.libvirt_host import Host, disk, domain
from lxml import etree
from unxen.platforms.libvirt.domain_xml import NAMESPACE, canonical

pytestmark = pytest.mark.disk


def targets(xml: str) -> dict[str, str]:
    """Bus by name of every disk."""
    return {each.get("dev", ""): each.get("bus", "") for each in etree.fromstring(xml).findall("devices/disk/target")}


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


UEFI = " firmware='efi'"


@pytest.mark.parametrize(("chosen", "scheme", "before", "after"), [("", "gpt", "bios", "efi"), (UEFI, "mbr", "efi", "bios")])
def test_firmware_goes_with_the_boot_files_and_comes_back(
    host: Host, unxen, windows, tmp_path, chosen, scheme, before, after
) -> None:
    path = windows(tmp_path / "w.qcow2", "10", "xcpng", scheme=scheme)
    xml = domain("win", disk(path, "sda", "sata"), machine="q35").replace("<os>", f"<os{chosen}>")
    host.daemon.connect().defineXML(xml)
    was = canonical(host.xml("win"))
    code, document = unxen("inspect", "libvirt:win")
    changes = [(each["part"], each["before"], each["after"]) for each in document["definition"]]
    assert (code, changes) == (3, [("firmware", before, after)])
    assert unxen("repair", "libvirt:win")[0] == 0
    assert ("firmware='efi'" in host.xml("win"), "name='secure-boot'" in host.xml("win")) == (after == "efi", after == "efi")
    assert host.starts("win") == ""
    assert unxen("inspect", "libvirt:win")[0] == 0
    assert unxen("undo", "libvirt:win")[0] == 0
    assert canonical(host.xml("win")) == was


def test_firmware_of_a_windows_without_xen_is_told_and_changed_only_when_asked(host: Host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", hive=windows_hive("10", no_overrides=["storahci"]), scheme="gpt")
    host.define("win", disk(path, "sda", "sata"), machine="q35")
    before = canonical(host.xml("win"))
    code, document = unxen("repair", "libvirt:win")
    notes = [each["kind"] for each in document["installations"][0]["notes"]]
    assert (code, "firmware-mismatch" in notes, canonical(host.xml("win"))) == (0, True, before)
    assert unxen("promote", "libvirt:win", "--to", "virtio")[1]["reasons"][0]["details"]["link"] == "firmware"
    assert unxen("repair", "libvirt:win", "--bus", "sata")[0] == 0
    assert "firmware='efi'" in host.xml("win")
    assert host.starts("win") == ""


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


def test_clock_is_set_in_the_definition_alone_and_taken_back(host: Host, unxen, windows, tmp_path) -> None:
    """Asked for on a Windows that needs nothing else: disks and cards of the definition stay as they are."""
    path = windows(tmp_path / "w.qcow2", "10")
    host.define("win", disk(path, "sda", "sata"), clock="<clock offset='utc'><timer name='rtc' tickpolicy='catchup'/></clock>")
    before, content = canonical(host.xml("win")), content_of(path)
    assert unxen("inspect", "libvirt:win")[0] == 0
    code, document = unxen("repair", "libvirt:win", "--fix", "clock")
    assert (code, document["verdict"], document["changed"], document["switched"]) == (0, "repaired", False, True)
    assert [(each["part"], each["before"], each["after"]) for each in document["definition"]] == [("clock", "utc", "localtime")]
    clock = etree.fromstring(host.xml("win")).find("clock")
    assert (clock.get("offset"), clock.find("timer").get("name")) == ("localtime", "rtc")
    assert host.starts("win") == ""
    assert unxen("repair", "libvirt:win", "--fix", "clock")[1]["definition"] == []
    assert unxen("undo", "libvirt:win")[0] == 0
    assert (canonical(host.xml("win")), content_of(path)) == (before, content)


def test_clock_rides_along_with_a_switch_where_it_is_configured(host: Host, unxen, windows, tmp_path) -> None:
    host.configure(fix=["clock", "crash-screen"])
    path = windows(tmp_path / "w.qcow2", "10", "xcpng")
    host.define("win", disk(path, "xvda"))
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["verdict"]) == (0, "repaired")
    assert "clock" in {each["part"] for each in document["definition"]}
    assert etree.fromstring(host.xml("win")).find("clock").get("offset") == "localtime"
    assert host.starts("win") == ""
    # Another clock since is its administrator's: no watcher comes back for what only rides along.
    xml = host.xml("win").replace("offset='localtime'", "offset='utc'")
    host.daemon.connect().defineXML(xml)
    code, document = unxen("inspect", "libvirt:win")
    assert (code, document["verdict"], document["definition"]) == (0, "healthy", [])
