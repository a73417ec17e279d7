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
