# SPDX-License-Identifier: Apache-2.0
"""Volumes that QEMU reaches over the network: what `pvesm path` says becomes the model's words, or is refused with the way out."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.host import ceph_files
from unxen.host.remote import _node, _served
from unxen.model.codec import encode
from unxen.model.disk import Disk
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import ReasonKind
from unxen.model.remote import Protocol, Remote
from unxen.platforms.proxmox import remote_volumes
from unxen.platforms.proxmox.remote_volumes import remote_volume
from vms import config

VOLUME = "far:vm-100-disk-0"
IQN = "iqn.1993-08.org.debian:01:abc"
KEYRING = "/etc/pve/priv/ceph/far.keyring"
KEY = "AQBCCAlrX+HuOhAAyXp1KO5HTG0scIpw28zq+g=="
OTHER = "AQBCCAlrJePmFxAAlFIHLPynHlc3J7hZRTYGtg=="


@pytest.fixture(autouse=True)
def initiator(tmp_path, monkeypatch):
    """The node's name as an initiator; without a file it has none."""
    path = tmp_path / "initiatorname.iscsi"
    path.write_text(f"# a comment\nInitiatorName={IQN}\n")
    monkeypatch.setattr(remote_volumes, "INITIATOR", path)
    return path


def rbd(name: str, **more: Any) -> Remote:
    return Remote(Protocol.RBD, name, vouched=True, **more)


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
        (
            f"rbd:vms/vm-1-disk-0:conf=/etc/pve/ceph.conf:id=admin:keyring={KEYRING}",
            rbd("vms/vm-1-disk-0", conf="/etc/pve/ceph.conf", user="admin", keyring=KEYRING),
        ),
        (
            f"rbd:vms/vm-1-disk-0:mon_host=m1:auth_supported=cephx:id=pve.1:keyring={KEYRING}",
            rbd("vms/vm-1-disk-0", monitors=(("m1", 0),), user="pve.1", keyring=KEYRING),
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
        ("rbd:vms/vm-100-disk-0:conf=/c:id=admin:keyring=far.keyring", "a key of Ceph"),
        ("rbd:vms/vm-100-disk-0:conf=/c:id=admin:keyring=/etc/pve/../far.keyring", "a key of Ceph"),
        ("rbd:vms/vm-100-disk-0:conf=/c:id=admin:keyring=/k,file=/etc/shadow", "a key of Ceph"),
        (f"rbd:vms/vm-100-disk-0:conf=/c:id=client,x:keyring={KEYRING}", "a key of Ceph"),
        ("rbd:vms/vm-100-disk-0:conf=/c:id=admin", "a key of Ceph"),
        (f"rbd:vms/vm-100-disk-0:conf=/c:keyring={KEYRING}", "a key of Ceph"),
        ("rbd:vms/vm-100-disk-0:mon_host=10.0.0.1:auth_supported=cephx", "auth_supported"),
        (f"rbd:vms/vm-100-disk-0:mon_host=10.0.0.1:auth_supported=none:id=admin:keyring={KEYRING}", "auth_supported"),
        ("rbd:vms/vm-100-disk-0:conf=/c:conf=/d", "an option given twice"),
        ("rbd:vms/vm-100-disk-0:conf=/c:key=AQ==", "the option"),
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
    assert _node(iscsi("fd00::1", 3260, "iqn.x:y/2"), {}) == {
        "driver": "iscsi",
        "transport": "tcp",
        "portal": "[fd00::1]:3260",
        "target": "iqn.x:y",
        "lun": 2,
        "initiator-name": IQN,
    }
    assert _node(rbd("vms/space/vm-100-disk-0", conf="/c"), {"conf": 7}) == {
        "driver": "rbd",
        "pool": "vms",
        "namespace": "space",
        "image": "vm-100-disk-0",
        "conf": "/proc/self/fd/7",
    }
    assert _node(rbd("vms/a", monitors=(("m1", 0),), user="pve", keyring=KEYRING), {"conf": 7, "key": 8}) == {
        "driver": "rbd",
        "pool": "vms",
        "image": "a",
        "server": [{"host": "m1", "port": "6789"}],
        "conf": "/proc/self/fd/7",
        "user": "pve",
        "key-secret": "key",
        "auth-client-required": ["cephx"],
    }


def keyring(tmp_path: Path, text: str) -> Remote:
    path = tmp_path / "far.keyring"
    path.write_text(text)
    return rbd("vms/a", monitors=(("m1", 0),), user="pve", keyring=str(path))


def content(fd: int) -> str:
    with os.fdopen(fd, "rb") as file:
        return os.pread(file.fileno(), 1 << 16, 0).decode()


def test_key_of_the_user_is_handed_over_and_nowhere_told(tmp_path) -> None:
    text = f'[client.admin]\n\tkey = {OTHER}\n[client.pve]\n\tkey = {KEY}\n\tcaps mon = "profile rbd"\n'
    remote = keyring(tmp_path, text)
    assert content(ceph_files.key(remote)) == KEY
    with ExitStack() as stack:
        served = _served(stack, Disk(DiskNumber(1), remote.url, ImageFormat.RAW, remote=remote), True)
        assert KEY not in repr(served)
        assert KEY not in json.dumps(encode(remote))
        (secret,) = served.objects
        handed = {f"/proc/self/fd/{each}": each for each in served.descriptors}
        assert content(os.dup(next(fd for name, fd in handed.items() if f"file={name}," in secret))) == KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"[client.admin]\nkey = {KEY}\n",
        f"key = {KEY}\n",
        "[client.pve]\nkey = AQB\n",
        f"[client.pve]\nkey = {KEY},x\n",
        f"[client.pve]\nkey = {KEY}\nkey = {OTHER}\n",
        f"[client.pve]\nkey = {KEY}\n".ljust((1 << 20) + 1, "#"),
    ],
)
def test_file_without_one_key_of_the_user_is_refused_by_its_name(tmp_path, text: str) -> None:
    remote = keyring(tmp_path, text)
    with pytest.raises(Refused) as caught:
        ceph_files.key(remote)
    assert caught.value.first.kind is ReasonKind.REMOTE_UNREACHABLE
    assert remote.keyring in str(caught.value.first.detail("cause"))
    assert KEY not in repr(caught.value.reasons)


def test_configuration_is_the_clusters_own_with_an_end_to_waiting(tmp_path) -> None:
    conf = tmp_path / "ceph.conf"
    conf.write_text("[global]\nmon_host = 10.0.0.1")
    got = content(ceph_files.configuration(rbd("vms/a", conf=str(conf))))
    assert got.startswith("[global]\nmon_host = 10.0.0.1\n")
    assert "\n[client]\nclient_mount_timeout = 15\n" in got
    conf.unlink()
    with pytest.raises(Refused) as caught:
        ceph_files.configuration(rbd("vms/a", conf=str(conf)))
    assert str(conf) in str(caught.value.first.detail("cause"))


def test_volume_with_a_key_that_means_something_else_is_refused_with_the_way_out(double, capfd) -> None:
    double.node.add_storage("far", "rbd", pool="vms", keyring="/etc/pve/priv/ceph/f?r.keyring")
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
