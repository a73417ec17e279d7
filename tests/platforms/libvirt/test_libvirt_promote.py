# SPDX-License-Identifier: Apache-2.0
"""virtio as the second stage, on a real libvirtd: moved with proof, started paused, taken back; without proof untouched."""

import hashlib
from pathlib import Path

import libvirt
import pytest
from generators.hives import windows_hive
from generators.libvirt_host import Host, disk
from lxml import etree
from unxen.platforms.libvirt.domain_xml import canonical

pytestmark = pytest.mark.disk

READY = windows_hive("10", virtio_win=["viostor", "vioscsi"], no_overrides=["storahci"])
PLACES = {"virtio": ("vda", "virtio", "virtio-blk"), "virtio-scsi": ("sda", "scsi", "virtio-scsi")}


def targets(xml: str) -> dict[str, str]:
    """Bus by name of every disk."""
    return {each.get("dev", ""): each.get("bus", "") for each in etree.fromstring(xml).findall("devices/disk/target")}


def sum_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(("machine", "to"), [("q35", "virtio"), ("pc", "virtio-scsi")])
def test_disk_is_moved_with_proof_started_and_moved_back(host: Host, unxen, windows, tmp_path, machine, to) -> None:
    path = windows(tmp_path / "w.qcow2", hive=READY)
    host.define("win", disk(path, "sda", "sata"), disk("", "sdb", "sata", device="cdrom", format="raw"), machine=machine)
    before, content = canonical(host.xml("win")), sum_of(path)
    name, word, bus = PLACES[to]

    code, document = unxen("promote", "libvirt:win", "--to", to, "--dry-run")
    assert (code, document["verdict"], document["bus"], document["switched"]) == (0, "healthy", bus, False)
    assert document["definition"]
    assert canonical(host.xml("win")) == before

    code, document = unxen("promote", "libvirt:win", "--to", to)
    assert (code, document["verdict"], document["changed"], document["switched"]) == (0, "repaired", False, True)
    assert targets(host.xml("win"))[name] == word
    assert host.starts("win") == ""
    assert (unxen("promote", "libvirt:win", "--to", to)[1]["definition"], unxen("inspect", "libvirt:win")[0]) == ([], 0)

    assert unxen("undo", "libvirt:win")[0] == 0
    assert canonical(host.xml("win")) == before
    assert unxen("promote", "libvirt:win", "--to", to)[0] == 0

    code, document = unxen("demote", "libvirt:win")
    assert (code, document["bus"], document["switched"]) == (0, "sata", True)
    assert set(targets(host.xml("win")).values()) == {"sata"}
    assert host.starts("win") == ""
    assert sum_of(path) == content


def test_without_proof_the_link_is_named_and_nothing_changes(host: Host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", hive=windows_hive("10", virtio_win=["viostor"], starts={"viostor": 3}))
    host.define("win", disk(path, "sda", "sata"), machine="q35")
    before, content = canonical(host.xml("win")), sum_of(path)
    for to, finding in (("virtio", "not-boot-start"), ("virtio-scsi", "service-absent")):
        code, document = unxen("promote", "libvirt:win", "--to", to)
        assert (code, document["verdict"], document["definition"]) == (26, "refused", [])
        assert [each["kind"] for each in document["reasons"]] == ["driver-not-shown"]
        assert document["reasons"][0]["details"]["finding"] == finding
    assert (canonical(host.xml("win")), sum_of(path)) == (before, content)
    assert unxen("undo", "libvirt:win")[0] == 43


def test_way_back_is_refused_where_ahci_was_switched_off_meanwhile_and_a_repair_opens_it(
    host: Host, unxen, windows, tmp_path
) -> None:
    path = windows(tmp_path / "w.qcow2", hive=windows_hive("10", virtio_win=["viostor"]))
    host.define("win", disk(path, "vda", "virtio"), machine="q35")
    code, document = unxen("demote", "libvirt:win")
    assert (code, document["reasons"][0]["details"]["finding"]) == (26, "overridden")
    assert "unxen repair --bus sata" in document["reasons"][0]["remedy"]
    assert targets(host.xml("win")) == {"vda": "virtio"}
    assert unxen("repair", "--bus", "sata", "libvirt:win")[0] == 0
    assert targets(host.xml("win")) == {"sda": "sata"}


def test_running_or_saved_domain_stays(host: Host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", hive=READY)
    domain = host.define("win", disk(path, "sda", "sata"), machine="q35")
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    assert unxen("promote", "libvirt:win", "--to", "virtio")[0] == 14
    domain.managedSave()
    code, document = unxen("promote", "libvirt:win", "--to", "virtio")
    assert (code, document["reasons"][0]["kind"]) == (50, "saved-state")
    domain.managedSaveRemove()
    assert targets(host.xml("win")) == {"sda": "sata"}


def test_libvirt_that_refuses_leaves_no_switch_for_later(host: Host, unxen, windows, tmp_path, monkeypatch) -> None:
    from unxen.platforms.libvirt import platform

    path = windows(tmp_path / "w.qcow2", hive=READY)
    host.define("win", disk(path, "sda", "sata"), machine="q35")
    before = canonical(host.xml("win"))
    with monkeypatch.context() as patch:

        def refuse(*_: object) -> None:
            raise libvirt.libvirtError("no")

        patch.setattr(platform, "_define", refuse)
        code, document = unxen("promote", "libvirt:win", "--to", "virtio")
    assert (code, document["verdict"], document["reasons"][0]["kind"]) == (50, "failed", "move-failed")
    assert canonical(host.xml("win")) == before
    # A switch that waited would make the next look ask for virtio.
    assert unxen("inspect", "libvirt:win")[1]["bus"] == "sata"
    assert unxen("undo", "libvirt:win")[0] == 43
