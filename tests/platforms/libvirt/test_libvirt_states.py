# SPDX-License-Identifier: Apache-2.0
"""Guests that must not be repaired now, and disks in places of all kinds."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from content import digest
from generators.libvirt_host import Host, disk
from generators.libvirtd import driver_installed
from lxml import etree
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.host.signals import POLITE
from unxen.model.reason import ReasonKind
from unxen.platforms.libvirt.connection import LOOP_NAME, Connection
from unxen.platforms.libvirt.domain_xml import canonical
from unxen.platforms.libvirt.platform import LibvirtPlatform

pytestmark = pytest.mark.disk
XEN = ("10", "xcpng")


def buses(host: Host, name: str) -> list[str]:
    return sorted(each.get("bus", "") for each in etree.fromstring(host.xml(name)).findall("devices/disk/target"))


@pytest.fixture
def guest(host: Host, windows, tmp_path) -> Path:
    """A guest from Xen on SATA, so that it can be started as it is."""
    path = windows(tmp_path / "w.qcow2", *XEN)
    host.define("win", disk(path, "sda", "sata"))
    return path


@pytest.fixture
def unchanged(host: Host, guest: Path) -> Iterator[None]:
    """Whatever happens in the test, neither disk nor definition is another one afterwards."""
    before = digest(guest), canonical(host.xml("win"))
    yield
    assert (digest(guest), canonical(host.xml("win"))) == before


def test_running_guest_is_refused_and_looked_at_all_the_same(host, guest, unxen) -> None:
    host.domain("win").createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    content = digest(guest)
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["reasons"][0]["kind"]) == (14, "in-use")
    assert "domain win" in document["reasons"][0]["what"]
    code, document = unxen("inspect", "libvirt:win")
    assert (code, document["stale"]) == (3, True)
    assert digest(guest) == content


def test_saved_state_is_refused_until_it_is_gone(host, guest, unxen) -> None:
    host.domain("win").createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    host.domain("win").managedSave()
    content = digest(guest)
    for verb in ("inspect", "repair"):
        code, document = unxen(verb, "libvirt:win")
        assert (code, document["reasons"][0]["kind"]) == (50, "saved-state")
    assert "virsh managedsave-remove win" in document["reasons"][0]["remedy"]
    assert main(["watch", "libvirt", "--once"]) == 0
    assert digest(guest) == content
    host.domain("win").managedSaveRemove()
    assert unxen("repair", "libvirt:win")[0] == 0


def test_snapshots_are_refused_until_policy_says_otherwise(host, guest, unxen) -> None:
    host.domain("win").snapshotCreateXML("<domainsnapshot><name>before</name></domainsnapshot>")
    content = digest(guest)
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["reasons"][0]["kind"]) == (51, "has-snapshots")
    assert "before" in document["reasons"][0]["what"]
    assert main(["watch", "libvirt", "--once"]) == 0
    assert digest(guest) == content
    host.configure(repair_guests_with_snapshots=True)
    assert unxen("repair", "libvirt:win")[0] == 0


def test_disk_of_two_domains_is_refused(host, guest, unchanged, unxen) -> None:
    host.define("other", disk(guest.parent / "." / guest.name, "vda", "virtio"))
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["reasons"][0]["kind"]) == (50, "disk-shared")
    assert "other" in document["reasons"][0]["what"]


def test_shareable_disk_is_refused(host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.raw", *XEN, format="raw")
    host.define("win", disk(path, "xvda", format="raw", inner="<shareable/>"))
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["reasons"][0]["kind"]) == (50, "disk-shared")


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_image_that_another_qemu_holds_is_refused(host, unxen, windows, tmp_path, kind) -> None:
    path = windows(tmp_path / f"w.{kind}", *XEN, format=kind)
    host.define("win", disk(path, "xvda", format=kind))
    before = host.xml("win")
    holder = subprocess.Popen(["qemu-io", "-f", kind, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdin.write(b"read 0 512\n")
        holder.stdin.flush()
        assert holder.stdout.readline()
        assert unxen("repair", "libvirt:win")[0] == 14
    finally:
        holder.communicate(b"quit\n")
    assert canonical(host.xml("win")) == canonical(before)


needs_pools = pytest.mark.skipif(not driver_installed("storage"), reason="libvirtd has no driver for storage pools")


@needs_pools
def test_volume_of_a_pool_is_found_through_its_pool(host, unxen, windows, tmp_path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    windows(pool / "vol.qcow2", *XEN)
    connection = host.daemon.connect()
    made = connection.storagePoolCreateXML(f"<pool type='dir'><name>images</name><target><path>{pool}</path></target></pool>")
    try:
        volume = "<source pool='images' volume='vol.qcow2'/>"
        element = f"<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>{volume}<target dev='xvda'/></disk>"
        host.define("win", element)
        code, document = unxen("repair", "libvirt:win")
        assert (code, document["verdict"]) == (0, "repaired")
        assert "pool='images' volume='vol.qcow2'" in host.xml("win")
        assert host.starts("win") == ""
    finally:
        made.destroy()


def test_block_device_is_repaired_and_taken_back(host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.raw", *XEN, format="raw")
    done = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop device can be had here: {done.stderr.strip()}")
    device = done.stdout.strip()
    content = digest(path)
    try:
        host.define("win", disk(device, "xvda", kind="block", format="raw"))
        assert unxen("repair", "libvirt:win")[0] == 0
        assert host.starts("win") == ""
        assert unxen("undo", "libvirt:win")[0] == 0
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    assert digest(path) == content


def test_seven_disks_go_to_sata_together(host, unxen, windows, tmp_path) -> None:
    names = []
    for number, letter in enumerate("abcdefg"):
        path = tmp_path / f"{number}.qcow2"
        if number == 3:
            windows(path, *XEN)
        else:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "16M"], check=True)
        names.append(disk(path, f"xvd{letter}"))
    host.define("win", *names)
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["verdict"]) == (0, "repaired")
    assert buses(host, "win") == ["sata"] * 7
    assert host.starts("win") == ""


def test_volume_of_no_pool_is_refused_with_its_cause(host, unxen) -> None:
    source = "<driver name='qemu' type='raw'/><source pool='none' volume='v'/>"
    host.define("win", f"<disk type='volume' device='disk'>{source}<target dev='xvda'/></disk>")
    code, document = unxen("repair", "libvirt:win")
    assert code == 50
    assert document["reasons"][0]["cause"]


def test_domain_that_is_not_there_is_missing_and_formats_stand_in_definitions(host, unxen, guest) -> None:
    assert unxen("inspect", "libvirt:nobody")[0] == 10
    assert unxen("inspect", "libvirt:win", "--format", "raw")[0] == 2
    assert unxen("inspect", "libvirt:win", "libvirt:win")[0] == 2
    assert unxen("inspect", f"libvirt:{host.domain('win').UUIDString()}")[0] == 3


def test_daemon_that_is_not_there_is_told(host, unxen) -> None:
    host.configure(libvirt_uri="qemu+unix:///system?socket=/nowhere/sock")
    code, document = unxen("inspect", "libvirt:win")
    assert (code, document["reasons"][0]["kind"]) == (50, "platform-refused")
    assert "/nowhere/sock" in document["reasons"][0]["cause"]


def test_missing_bridge_is_reported_and_not_guessed(host, unxen, windows, tmp_path) -> None:
    bridge = "<interface type='bridge'><source bridge='xenbr0'/><model type='netfront'/></interface>"
    host.define("win", disk(windows(tmp_path / "w.qcow2", *XEN), "xvda"), bridge)
    code, document = unxen("repair", "libvirt:win")
    assert code == 0
    assert [each["subject"] for each in document["notes"] if each["kind"] == "missing-bridge"] == ["xenbr0"]
    assert "bridge='xenbr0'" in host.xml("win")
    assert "e1000e" in host.xml("win")


def test_disk_that_another_domains_disk_is_built_on_is_refused(host, guest, unchanged, unxen, tmp_path) -> None:
    clone = tmp_path / "clone.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", guest, "-F", "qcow2", clone], check=True)
    host.define("clone", disk(clone, "sda", "sata"))
    for verb in ("inspect", "repair"):
        code, document = unxen(verb, "libvirt:win")
        assert (code, document["reasons"][0]["kind"]) == (18, "backing-of-others")
        assert str(clone) in document["reasons"][0]["what"]
    assert unxen("repair", "libvirt:clone")[0] == 0, "the overlay itself takes the change"


@needs_pools
def test_backing_file_may_lie_in_another_pool(host, unxen, windows, tmp_path) -> None:
    for name in ("base", "images"):
        (tmp_path / name).mkdir()
    base, overlay = windows(tmp_path / "base" / "w.qcow2", *XEN), tmp_path / "images" / "o.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", overlay], check=True)
    host.define("win", disk(overlay, "xvda"))
    assert unxen("inspect", "libvirt:win")[0] == 15
    pool = f"<pool type='dir'><name>base</name><target><path>{base.parent}</path></target></pool>"
    made = host.daemon.connect().storagePoolCreateXML(pool)
    try:
        assert unxen("repair", "libvirt:win")[0] == 0
    finally:
        made.destroy()


def test_vhd_of_xen_is_read_as_what_it_is(host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.vhd", *XEN, format="vhd")
    host.define("win", disk(path, "sda", "sata", format="vhd"))
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["verdict"]) == (0, "repaired")
    assert "type='vpc'" in host.xml("win")
    assert host.starts("win") == ""


def test_names_that_could_harm_stay_names(host, unxen, capsys, windows, tmp_path) -> None:
    name = "a;b$(c) 'd"
    host.define(name.replace("&", "&amp;"), disk(windows(tmp_path / "w.qcow2", *XEN), "xvda"))
    assert unxen("repair", f"libvirt:{name}")[0] == 0
    assert main(["inspect", f"libvirt:{name}"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("uri", "hostname"), [("qemu+ssh://root@elsewhere/system", "here"), ("qemu+unix:///system?socket=/s", "elsewhere.example.org")]
)
def test_disks_of_another_host_are_not_taken_for_ours(uri, hostname, monkeypatch) -> None:
    class Daemon:
        def getHostname(self) -> str:  # noqa: N802
            return hostname

    connection = Connection(uri)
    monkeypatch.setattr(connection, "handle", Daemon)
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    with pytest.raises(Refused) as caught:
        connection.require_this_host()
    assert caught.value.first.kind is ReasonKind.POLICY_REFUSED
    assert "elsewhere" in caught.value.first.detail("problem")


def test_request_to_end_reaches_no_thread_but_the_one_that_can_hold_it_back(host) -> None:
    """A commit holds signals back in its own thread; libvirt's loop beside it must not take them instead."""
    LibvirtPlatform(host.daemon.uri).states()
    (loop,) = [each for each in threading.enumerate() if each.name == LOOP_NAME]
    status = Path(f"/proc/self/task/{loop.native_id}/status").read_text()
    blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk")).split()[1], 16)
    assert all(blocked >> number - 1 & 1 for number in POLITE)


def test_stamp_changes_with_whatever_matters_and_with_nothing_else(host, tmp_path) -> None:
    image, more = tmp_path / "1.qcow2", tmp_path / "2.qcow2"
    for each in (image, more):
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", each, "16M"], check=True)
    made = host.define("a", disk(image, "sda", "sata"))
    platform = LibvirtPlatform(host.daemon.uri)
    stamps = [platform.states()["a"]]

    def changed() -> bool:
        stamps.append(platform.states()["a"])
        return stamps[-1] != stamps[-2]

    platform.note(platform.describe(("libvirt:a",), ()), "a remark")
    assert not changed(), "our own remark"
    made.setAutostart(True)
    assert not changed()
    made.attachDeviceFlags(disk(more, "sdb", "sata"), libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    assert changed(), "no event tells of a disk that is attached"
    os.utime(image, (1, 1))
    assert changed(), "the image was replaced"
    made.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    assert changed()
    assert not stamps[-1].stopped
    made.destroy()
    assert changed()


def test_what_happens_is_heard_by_name(host, tmp_path) -> None:
    platform = LibvirtPlatform(host.daemon.uri)

    def heard(name: str) -> bool:
        names: set[str] = set()
        for _ in range(50):
            names |= platform.wait(0.2)
            if name in names:
                return True
        return False

    platform.wait(0.1)
    host.define("a", disk(tmp_path / "none.qcow2", "sda", "sata"))
    assert heard("a")
    assert not platform.wait(0.1)
    host.domain("a").rename("b")
    assert heard("b")
    host.daemon.restart()
    assert heard("b"), "after a restart everything counts as new"
