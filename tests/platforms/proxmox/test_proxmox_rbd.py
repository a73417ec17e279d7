# SPDX-License-Identifier: Apache-2.0
"""A VM whose disk is an image of Ceph's that QEMU itself reaches: repaired in a real cluster that asks for a key."""

import hashlib
import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from generators import ceph
from unxen.cli.main import main
from unxen.host import ceph_files
from vms import config, disk

NUMBERS = count()
pytestmark = [
    pytest.mark.disk,
    pytest.mark.skipif(bool(ceph.missing()), reason=f"no Ceph here: {', '.join(ceph.missing())}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the key is for root alone"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[ceph.Cluster]:
    with ceph.cluster(tmp_path_factory.mktemp("ceph") / "cluster") as made:
        yield made


@pytest.fixture
def image(cluster, tmp_path) -> str:
    """A Windows from Xen in the cluster. It stays there: Ceph would wait half a minute for a reader that was killed."""
    name = f"vm-100-disk-{next(NUMBERS)}"
    cluster.put(disk(tmp_path / "disk.raw", "xcpng"), name)
    return name


@pytest.fixture(params=["monhost", "conf"])
def vm(request, double, cluster, image):
    """VM 100 on that image, in a storage that names the monitors or one whose file does."""
    place = {"monhost": f"127.0.0.1:{cluster.port}"} if request.param == "monhost" else {"conf": str(cluster.conf)}
    return on_ceph(double, cluster, image, cluster.keyring, **place)


def on_ceph(double, cluster, image: str, keyring: Path, **place: str):
    double.node.add_storage("far", "rbd", pool=ceph.POOL, username=cluster.user, keyring=str(keyring), size="64M", **place)
    double.define("100", config("boot: order=scsi0", f"scsi0: far:{image}"))
    return double


def digest(cluster, image: str) -> str:
    return hashlib.sha256(cluster.content(image)).hexdigest()


def test_image_is_repaired_moved_and_given_back(vm, cluster, image, capfd) -> None:
    before = digest(cluster, image)
    assert main(["inspect", "proxmox:100", "--quiet"]) == 3
    assert main(["repair", "proxmox:100", "--quiet"]) == 0
    conf = vm.conf("100").main
    assert conf["sata0"].startswith(f"far:{image}")
    assert "lock" not in conf
    assert digest(cluster, image) != before
    assert main(["inspect", "proxmox:100", "--quiet"]) == 0
    assert main(["undo", "proxmox:100", "--quiet"]) == 0
    assert vm.conf("100").main["scsi0"].startswith(f"far:{image}")
    assert digest(cluster, image) == before
    said = capfd.readouterr()
    assert cluster.key not in said.out + said.err
    kept = [each.read_bytes() for each in Path(os.environ["UNXEN_STATE_DIR"]).rglob("*") if each.is_file()]
    assert any(str(cluster.keyring).encode() in each for each in kept)
    assert not any(cluster.key.encode() in each for each in kept)


def test_wrong_key_is_told_by_its_file(double, cluster, image, tmp_path, capfd, monkeypatch) -> None:
    monkeypatch.setattr(ceph_files, "_OURS", ceph_files._OURS.replace("timeout = 15", "timeout = 4"))
    wrong = tmp_path / "wrong.keyring"
    wrong.write_text(f"[client.{cluster.user}]\n\tkey = {ceph.other_key()}\n")
    on_ceph(double, cluster, image, wrong, conf=str(cluster.conf))
    before = digest(cluster, image)
    assert main(["repair", "proxmox:100", "--json"]) == 10
    (why, *_) = json.loads(capfd.readouterr().out)["reasons"]
    assert why["kind"] == "remote-unreachable"
    assert f"refuse the key of client.{cluster.user} in {wrong}" in why["cause"]
    assert "lock" not in double.conf("100").main
    assert digest(cluster, image) == before
