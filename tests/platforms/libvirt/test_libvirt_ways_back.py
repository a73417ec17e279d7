# SPDX-License-Identifier: Apache-2.0
"""Switches and undos that fail half way, or meet a definition that somebody changed: nothing is lost, nothing overwritten."""

import signal
from functools import partial

import pytest
from content import content_of, digest
from faults.strikes import die, run_struck
from generators.libvirt_host import Host, disk
from lxml import etree
from unxen.cli.main import main
from unxen.errors import refused
from unxen.journal.store import Journal
from unxen.model.reason import ReasonKind
from unxen.platforms.libvirt.domain_xml import canonical
from unxen.platforms.libvirt.platform import LibvirtPlatform

pytestmark = pytest.mark.disk
XEN = ("10", "xcpng")


def buses(host: Host, name: str) -> list[str]:
    return sorted(each.get("bus", "") for each in etree.fromstring(host.xml(name)).findall("devices/disk/target"))


def test_refused_switch_leaves_a_good_disk_and_is_made_by_the_watcher(host, unxen, windows, tmp_path, monkeypatch) -> None:
    path = windows(tmp_path / "w.qcow2", *XEN)
    host.define("win", disk(path, "xvda"))
    before = host.xml("win")

    def no(_self, guest, _switch) -> str:
        raise refused(ReasonKind.SWITCH_FAILED, guest.target[0], cause="libvirt has no time")

    with monkeypatch.context() as patch:
        patch.setattr(LibvirtPlatform, "switch", no)
        code, document = unxen("repair", "libvirt:win")
    assert (code, document["verdict"], document["changed"], document["switched"]) == (41, "repaired", True, False)
    assert canonical(host.xml("win")) == canonical(before)
    code, document = unxen("inspect", "libvirt:win")
    assert (code, document["bus"], document["plan"]) == (3, "sata", None)
    content = digest(path)
    assert main(["watch", "libvirt", "--once"]) == 0
    assert buses(host, "win") == ["sata"]
    assert digest(path) == content
    assert unxen("undo", "libvirt:win")[0] == 0
    assert canonical(host.xml("win")) == canonical(before)


@pytest.mark.parametrize("verb", ["repair", "undo"])
def test_switch_that_was_made_and_never_noted_is_known_by_its_outcome(host, unxen, windows, tmp_path, verb) -> None:
    """Killed between libvirt's answer and ours in the journal; libvirt keeps a controller more than it was given."""
    path = windows(tmp_path / "w.qcow2", *XEN)
    host.define("win", disk(path, "xvda"), disk("", "xvdd", device="cdrom", format="raw"))
    before, content = host.xml("win"), content_of(path)
    if verb == "undo":
        assert unxen("repair", "libvirt:win")[0] == 0
    unnoted = partial(setattr, Journal, "set_definition", lambda *_: die())
    assert run_struck([verb, "libvirt:win"], unnoted) == -signal.SIGKILL
    assert buses(host, "win") == (["sata", "sata"] if verb == "repair" else ["xen", "xen"])
    if verb == "repair":
        code, document = unxen("undo", "libvirt:win")
        assert (code, document["switched"]) == (0, True)
    assert canonical(host.xml("win")) == canonical(before)
    assert content_of(path) == content
    assert unxen("undo", "libvirt:win")[0] == 43


def test_definition_of_ones_own_after_a_switch_that_was_not_noted_is_not_overwritten(host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", *XEN)
    host.define("win", disk(path, "xvda"))
    unnoted = partial(setattr, Journal, "set_definition", lambda *_: die())
    assert run_struck(["repair", "libvirt:win"], unnoted) == -signal.SIGKILL
    since = host.xml("win").replace("<memory unit='KiB'>65536", "<memory unit='KiB'>131072")
    host.daemon.connect().defineXML(since)
    content = digest(path)
    code, document = unxen("undo", "libvirt:win")
    assert (code, document["reasons"][0]["kind"]) == (50, "definition-changed")
    assert (canonical(host.xml("win")), digest(path)) == (canonical(since), content)


def test_undo_whose_switch_was_refused_is_finished_by_the_next(host, unxen, windows, tmp_path, monkeypatch) -> None:
    path = windows(tmp_path / "w.qcow2", *XEN)
    host.define("win", disk(path, "xvda"))
    before = canonical(host.xml("win"))
    assert unxen("repair", "libvirt:win")[0] == 0

    def no(_self, guest, _switch) -> str:
        raise refused(ReasonKind.SWITCH_FAILED, guest.target[0], cause="libvirt has no time")

    with monkeypatch.context() as patch:
        patch.setattr(LibvirtPlatform, "switch", no)
        assert unxen("undo", "libvirt:win")[0] == 41
    assert buses(host, "win") == ["sata"]
    assert unxen("undo", "libvirt:win")[0] == 0
    assert canonical(host.xml("win")) == before


def test_undo_does_not_overwrite_what_somebody_defined_since(host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", *XEN)
    host.define("win", disk(path, "xvda"))
    assert unxen("repair", "libvirt:win")[0] == 0
    since = host.xml("win").replace("<memory unit='KiB'>65536", "<memory unit='KiB'>131072")
    host.daemon.connect().defineXML(since)
    content = digest(path)
    code, document = unxen("undo", "libvirt:win")
    assert (code, document["reasons"][0]["kind"]) == (50, "definition-changed")
    assert digest(path) == content
    assert unxen("undo", path)[0] == 0, "the disk alone, by its path"


def test_definition_that_changes_during_a_repair_is_not_overwritten(host, unxen, windows, tmp_path, monkeypatch) -> None:
    path = windows(tmp_path / "w.qcow2", *XEN)
    host.define("win", disk(path, "xvda"))
    real = LibvirtPlatform.switch

    def late(self, guest, switch) -> str:
        host.daemon.connect().defineXML(host.xml("win").replace("65536", "131072"))
        return real(self, guest, switch)

    monkeypatch.setattr(LibvirtPlatform, "switch", late)
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["reasons"][0]["kind"]) == (41, "switch-failed")
    assert "131072" in host.xml("win")
    assert buses(host, "win") == ["xen"]


def test_definition_alone_is_switched_where_the_disk_is_fit_and_taken_back(host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", *XEN)
    assert unxen("repair", path)[0] == 0
    host.define("win", disk(path, "xvda"))
    before, content = canonical(host.xml("win")), digest(path)
    code, document = unxen("inspect", "libvirt:win")
    assert (code, document["verdict"], document["plan"]) == (3, "repairable", None)
    code, document = unxen("repair", "libvirt:win", "--dry-run")
    assert (code, canonical(host.xml("win"))) == (3, before)
    code, document = unxen("repair", "libvirt:win")
    assert (code, document["verdict"], document["changed"], document["switched"]) == (0, "repaired", False, True)
    assert host.starts("win") == ""
    assert digest(path) == content
    assert unxen("undo", "libvirt:win")[0] == 0
    assert canonical(host.xml("win")) == before
    assert unxen("undo", "libvirt:win")[1]["changed"] is True, "the next one is the repair of the disk, made by its path"
    assert unxen("undo", "libvirt:win")[0] == 43
