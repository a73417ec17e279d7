# SPDX-License-Identifier: Apache-2.0
"""Volumes that QEMU reaches over the network: what `pvesm path` says becomes the model's words, or is refused with the way out."""

import json

import pytest
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.host.remote import _node
from unxen.model.reason import ReasonKind
from unxen.model.remote import Protocol, Remote
from unxen.platforms.proxmox import remote_volumes
from unxen.platforms.proxmox.remote_volumes import remote_volume
from vms import config

VOLUME = "far:vm-100-disk-0"
IQN = "iqn.1993-08.org.debian:01:abc"


@pytest.fixture(autouse=True)
def initiator(tmp_path, monkeypatch):
    """The node's name as an initiator; without a file it has none."""
    path = tmp_path / "initiatorname.iscsi"
    path.write_text(f"# a comment\nInitiatorName={IQN}\n")
    monkeypatch.setattr(remote_volumes, "INITIATOR", path)
    return path


def rbd(name: str, *, conf: str = "", monitors: tuple[tuple[str, int], ...] = ()) -> Remote:
    return Remote(Protocol.RBD, name, conf=conf, monitors=monitors, vouched=True)


def iscsi(host: str, port: int, name: str) -> Remote:
    return Remote(Protocol.ISCSI, name, host, port, initiator=IQN, vouched=True)


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("rbd:vms/vm-100-disk-0:conf=/etc/pve/ceph.conf", rbd("vms/vm-100-disk-0", conf="/etc/pve/ceph.conf")),
        ("rbd:vms/space/vm-100-disk-0:conf=/c", rbd("vms/space/vm-100-disk-0", conf="/c")),
        (
            r"rbd:vms/vm-1-disk-0:mon_host=10.0.0.1;mon2\:3300;[fd00\:\:1]\:6789:auth_supported=none",
            rbd("vms/vm-1-disk-0", monitors=(("10.0.0.1", 0), ("mon2", 3300), ("fd00::1", 6789))),
        ),
        ("iscsi://10.0.0.1/iqn.2003-01.org.x:t1/3", iscsi("10.0.0.1", 3260, "iqn.2003-01.org.x:t1/3")),
        ("iscsi://[fd00::1]:3261/iqn.x/0", iscsi("fd00::1", 3261, "iqn.x/0")),
        ("/dev/rbd-pve/fsid/vms/vm-100-disk-0", None),
    ],
)
def test_path_becomes_the_image_that_the_guest_has(path: str, remote: Remote | None) -> None:
    assert remote_volume(VOLUME, "far", path) == remote


@pytest.mark.parametrize(
    ("path", "feature"),
    [
        ("rbd:vms/vm-100-disk-0:conf=/c:id=admin:keyring=/etc/pve/priv/ceph/far.keyring", "a key of Ceph"),
        ("rbd:vms/vm-100-disk-0:mon_host=10.0.0.1:auth_supported=cephx", "a key of Ceph"),
        ("rbd:vms/vm-100-disk-0:conf=/c:snap=x", "the option"),
        ("rbd:vms/vm-100-disk-0@snap:conf=/c", "the name"),
        ("rbd:vm-100-disk-0:conf=/c", "the name"),
        ("rbd:a/b/c/d:conf=/c", "the name"),
        ("rbd:vms/vm-100-disk-0:mon_host=a b", "the monitor"),
        ("iscsi://user%pass@10.0.0.1/iqn.x/0", "the name"),
        ("iscsi://10.0.0.1/iqn.x/0?header_digest=crc32c", "the name"),
        ("iscsi://10.0.0.1/iqn.x/lun0", "the name"),
    ],
)
def test_what_is_not_certain_is_refused_by_name(path: str, feature: str) -> None:
    with pytest.raises(Refused) as caught:
        remote_volume(VOLUME, "far", path)
    assert caught.value.first.kind is ReasonKind.REMOTE_UNSUPPORTED
    assert caught.value.first.detail("feature") == feature


def test_target_is_not_asked_under_another_name(initiator) -> None:
    """It may show each initiator other disks under the same number."""
    initiator.write_text("# nothing\n")
    with pytest.raises(Refused):
        remote_volume(VOLUME, "far", "iscsi://10.0.0.1/iqn.x/0")


def test_qemu_is_told_name_by_name() -> None:
    assert _node(iscsi("fd00::1", 3260, "iqn.x:y/2")) == {
        "driver": "iscsi",
        "transport": "tcp",
        "portal": "[fd00::1]:3260",
        "target": "iqn.x:y",
        "lun": 2,
        "initiator-name": IQN,
    }
    assert _node(rbd("vms/space/vm-100-disk-0", conf="/c")) == {
        "driver": "rbd",
        "pool": "vms",
        "namespace": "space",
        "image": "vm-100-disk-0",
        "conf": "/c",
    }


def test_volume_behind_a_key_is_refused_with_the_way_out(double, capfd) -> None:
    double.node.add_storage("far", "rbd", pool="vms", keyring="/etc/pve/priv/ceph/far.keyring")
    double.define("100", config(f"scsi0: {VOLUME}"))
    before = double.node.config_path("100").read_bytes()
    assert main(["repair", "proxmox:100", "--json"]) == 50
    (why,) = json.loads(capfd.readouterr().out)["reasons"]
    assert why["kind"] == "remote-unsupported"
    assert "pvesm set far --krbd 1" in why["cause"]
    assert double.node.config_path("100").read_bytes() == before


def test_import_to_where_nothing_can_be_written_leaves_nothing(double, tmp_path, capfd) -> None:
    double.node.add_storage("far", "rbd", pool="vms")
    double.define("100", config())
    source = tmp_path / "a.raw"
    source.write_bytes(bytes(1 << 20))
    assert main(["import", "100", str(source), "far", "--json"]) == 50
    assert "no files and no devices" in json.loads(capfd.readouterr().out)["reasons"][0]["details"]["problem"]
    assert ["pvesm", "free", VOLUME] in double.requests()
