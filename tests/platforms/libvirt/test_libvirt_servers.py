# SPDX-License-Identifier: Apache-2.0
"""Disks that are no files: real NBD servers give them to a domain of a real libvirtd; what is left alone is told by its name."""

import signal
from xml.sax.saxutils import quoteattr

import nbd
import pytest
from content import digest
from faults.strikes import die, in_commit, run_struck
from generators.http_ranges import serving
from generators.libvirt_host import Host, disk
from generators.nbd_servers import have_nbdkit, nbdkit, qemu_nbd
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.model.reason import ReasonKind
from unxen.model.remote import Protocol, Remote
from unxen.platforms.libvirt.domain_xml import canonical, parse_domain
from unxen.platforms.libvirt.network_disks import remote_of

disk_test = pytest.mark.disk


def network_disk(remote: Remote, target: str = "xvda", *, format: str = "raw", bus: str = "", inner: str = "") -> str:
    host = f"<host transport='unix' socket={quoteattr(remote.socket)}/>" if remote.socket else ""
    if remote.host:
        host = f"<host name={quoteattr(remote.host)} port='{remote.port}'/>"
    slot = f" bus='{bus}'" if bus else ""
    name = f" name={quoteattr(remote.name)}" if remote.name else ""
    return (
        f"<disk type='network' device='disk'><driver name='qemu' type='{format}'/>"
        f"<source protocol='{remote.protocol.value}'{name}>{host}{inner}</source><target dev='{target}'{slot}/></disk>"
    )


@disk_test
def test_disk_behind_nbd_is_repaired_started_and_taken_back(host: Host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.raw", "10", "xcpng", format="raw")
    content = digest(path)
    with qemu_nbd(path) as remote:
        host.define("win", network_disk(remote))
        before = host.xml("win")
        code, document = unxen("inspect", "libvirt:win")
        assert (code, document["verdict"]) == (3, "repairable")
        assert digest(path) == content
        code, document = unxen("repair", "libvirt:win")
        assert (code, document["verdict"], document["switched"]) == (0, "repaired", True)
        assert digest(path) != content
        assert host.starts("win") == ""
        assert unxen("inspect", "libvirt:win")[1]["verdict"] == "healthy"
        code, document = unxen("undo", "libvirt:win")
        assert (code, document["switched"]) == (0, True)
    assert digest(path) == content
    assert canonical(host.xml("win")) == canonical(before)


@disk_test
def test_server_of_many_clients_is_looked_at_and_not_written(host: Host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.raw", "10", "xcpng", format="raw")
    content = digest(path)
    with qemu_nbd(path, "--shared=3") as remote:
        host.define("win", network_disk(remote))
        code, document = unxen("inspect", "libvirt:win")
        assert (code, [each["kind"] for each in document["reasons"]]) == (16, ["remote-without-lock"])
        assert document["chains"]
        assert unxen("repair", "libvirt:win")[0] == 16
    assert digest(path) == content


@disk_test
def test_second_disk_that_nobody_changes_needs_no_lock(host: Host, unxen, windows, tmp_path) -> None:
    """And a system disk that was repaired by other means needs none for its new bus."""
    windows(tmp_path / "w.raw", "10", "xcpng", format="raw")
    data = tmp_path / "data.raw"
    data.write_bytes(bytes(1 << 20))
    with qemu_nbd(data, "--shared=3") as remote:
        host.define("win", disk(tmp_path / "w.raw", "xvda", format="raw"), network_disk(remote, "xvdb"))
        code, document = unxen("repair", "libvirt:win")
        assert (code, document["verdict"], document["switched"]) == (0, "repaired", True)
        assert unxen("undo", "libvirt:win")[0] == 0
    assert unxen("repair", tmp_path / "w.raw", "--bus", "sata")[0] == 0
    with qemu_nbd(tmp_path / "w.raw", "--shared=3") as remote:
        host.define("moved", network_disk(remote))
        code, document = unxen("repair", "libvirt:moved")
        assert (code, document["changed"], document["switched"]) == (0, False, True)


@disk_test
def test_server_that_counts_its_clients_otherwise(host: Host, unxen, windows, tmp_path) -> None:
    """A second client that is turned away is a lock; one that is served although the server does not say so is none."""
    if not have_nbdkit():
        pytest.skip("nbdkit is not installed")
    path = windows(tmp_path / "w.raw", "10", "xcpng", format="raw")
    for limit, code in ((0, 16), (1, 3)):
        options = ("--filter=limit", "--filter=multi-conn", f"limit={limit}", "multi-conn-mode=disable")
        with nbdkit(path, *options) as remote:
            host.define("win", network_disk(remote))
            assert unxen("inspect", "libvirt:win")[0] == code
    with nbdkit(path, "--readonly") as remote:
        host.define("win", network_disk(remote))
        assert unxen("repair", "libvirt:win")[0] == 17


@disk_test
def test_machine_or_domain_that_has_the_same_disk_keeps_unxen_out(host: Host, unxen, windows, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("unxen.host.remote.GREET_SECONDS", 0.5)
    path = windows(tmp_path / "w.raw", "10", "xcpng", format="raw")
    content = digest(path)
    with qemu_nbd(path) as remote:
        host.define("win", network_disk(remote))
        holder = nbd.NBD()
        holder.set_export_name(remote.name)
        holder.connect_unix(remote.socket)
        assert unxen("inspect", "libvirt:win")[0] == 14
        assert unxen("repair", "libvirt:win")[0] == 14
        holder.shutdown()
        host.define("other", network_disk(remote, "sda", bus="sata"))
        code, document = unxen("repair", "libvirt:win")
        assert (code, document["reasons"][0]["kind"]) == (50, "disk-shared")
    assert digest(path) == content


@disk_test
@pytest.mark.parametrize(
    ("port", "format", "inner", "code", "kind"),
    [
        (1, "raw", "", 10, "remote-unreachable"),
        (1, "qcow2", "", 50, "remote-unsupported"),
        (1, "raw", "<auth username='a'><secret type='iscsi' usage='u'/></auth>", 50, "remote-unsupported"),
    ],
)
def test_what_cannot_be_reached_is_refused_by_its_name(host: Host, unxen, port, format, inner, code, kind) -> None:
    protocol = Protocol.ISCSI if inner else Protocol.NBD
    name = "iqn.2001-04.com.example:disk/1" if inner else "disk"
    remote = Remote(protocol, name, host="127.0.0.1", port=port)
    host.define("win", network_disk(remote, "sda", format=format, bus="sata", inner=inner))
    done, document = unxen("repair", "libvirt:win")
    assert (done, document["reasons"][0]["kind"]) == (code, kind)


def source(attributes: str, inner: str = "", outer: str = "") -> str:
    disk = f"<disk type='network'><source {attributes}>{inner}</source>{outer}<target dev='sda' bus='sata'/></disk>"
    return f"<domain><devices>{disk}</devices></domain>"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (source("protocol='nbd'", "<host name='h' port='1'/>"), "nbd://h:1/"),
        (source("protocol='nbd' name='a b'", "<host name='fe80::1'/>"), "nbd://[fe80::1]:10809/a%20b"),
        (source("protocol='nbd' name='x'", "<host transport='unix' socket='/a b'/>"), "nbd+unix:///x?socket=/a%20b"),
        (source("protocol='rbd' name='p/i'", "<host name='m1'/><host name='m2' port='3'/>"), "rbd://p/i"),
        (source("protocol='iscsi' name='iqn.x:y'", "<host name='h'/>"), "iscsi://h:3260/iqn.x:y/0"),
        (source("protocol='iscsi' name='iqn.x:y/2'", "<host name='h'/>"), "iscsi://h:3260/iqn.x:y/2"),
        (source("protocol='https' name='/d/i.raw' query='a=b'", "<host name='h'/>"), "https://h:443/d/i.raw?a=b"),
    ],
)
def test_every_way_to_name_an_image_has_one_url(text, url) -> None:
    assert remote_of(parse_domain(text).find("devices/disk")).url == url


def test_initiator_is_the_one_that_the_target_knows() -> None:
    known = "<initiator><iqn name='iqn.2001-04.com.example:host'/></initiator>"
    found = remote_of(parse_domain(source("protocol='iscsi' name='t/1'", f"<host name='h'/>{known}")).find("devices/disk"))
    assert found.initiator == "iqn.2001-04.com.example:host"


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        (source("protocol='ssh' name='/i'", "<host name='h'/>"), "protocol"),
        (source("protocol='gluster' name='v/i'", "<host name='h'/>"), "protocol"),
        (source("protocol='nbd' tls='yes'", "<host name='h'/>"), "tls"),
        (source("protocol='nbd'", "<host name='h'/>", "<auth username='u'/>"), "secret"),
        (source("protocol='rbd' name='p/i'", "<auth username='u'/>"), "secret"),
        (source("protocol='rbd' name='p/i'", "<snapshot name='s'/>"), "snapshot"),
        (source("protocol='rbd' name='i'"), "pool"),
        (source("protocol='https' name='i'", "<host name='h'/><cookies/>"), "cookies"),
        (source("protocol='iscsi' name='t/1'", "<host name='h'/><reservations/>"), "reservations"),
        (source("protocol='iscsi' name='t/x'", "<host name='h'/>"), "unit"),
        (source("protocol='nbd'", "<host name='h' port='0'/>"), "port"),
        (source("protocol='nbd'", "<host name='h'/><host name='i'/>"), "servers"),
        (source("protocol='nbd'", "<host transport='unix' socket='a'/>"), "socket"),
        (source("protocol='nbd'", "<host transport='rdma' name='h'/>"), "transport"),
    ],
)
def test_what_unxen_would_reach_otherwise_than_the_guest_is_refused(text, feature) -> None:
    with pytest.raises(Refused) as caught:
        remote_of(parse_domain(text).find("devices/disk"))
    assert caught.value.first.kind is ReasonKind.REMOTE_UNSUPPORTED
    assert feature in caught.value.first.detail("feature")


@disk_test
def test_commit_that_a_kill_cut_off_is_finished_over_the_network(host: Host, unxen, windows, tmp_path, capsys) -> None:
    path = windows(tmp_path / "w.raw", "10", "xcpng", format="raw")
    with qemu_nbd(path) as remote:
        host.define("win", network_disk(remote))
        assert run_struck(["repair", "libvirt:win"], in_commit(lambda _daemon: die())) == -signal.SIGKILL
        assert unxen("inspect", "libvirt:win")[0] == 44
        assert main(["recover"]) == 0
        capsys.readouterr()
        code, document = unxen("repair", "libvirt:win")
        assert (code, document["switched"]) == (0, True)
        assert host.starts("win") == ""


@disk_test
def test_disk_on_a_web_server_is_looked_at_and_never_written(host: Host, unxen, windows, tmp_path) -> None:
    """Through a library of QEMU's that makes its own connections, from a box that has the host's network."""
    path = windows(tmp_path / "w.raw", "10", "xcpng", format="raw")
    with serving(path) as port:
        host.define("win", network_disk(Remote(Protocol.HTTP, "images/w.raw", host="127.0.0.1", port=port)))
        code, document = unxen("inspect", "libvirt:win")
        if document["reasons"][0]["kind"] == "tool-missing":
            assert "qemu-block-extra" in document["reasons"][0]["remedy"]
            pytest.skip("QEMU's driver for HTTP is not installed (qemu-block-extra)")
        assert (code, [each["kind"] for each in document["reasons"]]) == (16, ["remote-without-lock"])
        assert document["chains"]
        assert unxen("repair", "libvirt:win")[0] == 16
