# SPDX-License-Identifier: Apache-2.0
"""The watcher against a real libvirtd: guests are repaired as they arrive, once each, and whatever must not be touched is not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import libvirt
import pytest
from content import digest
from generators.hives import windows_hive
from generators.libvirt_host import Host, disk
from lxml import etree
from unxen.cli.main import main
from unxen.platforms.libvirt.connection import Connection
from unxen.platforms.libvirt.domain_xml import NAMESPACE, canonical

pytestmark = pytest.mark.disk
PATIENCE = 180.0


def once() -> None:
    """The watcher's look at every guest."""
    assert main(["watch", "libvirt", "--once"]) == 0


@contextmanager
def watching(host: Host, own_state: Path, tmp_path: Path) -> Iterator[subprocess.Popen]:
    """The service as systemd would start it."""
    environment = {**os.environ, "UNXEN_CONFIG": str(host.config), "UNXEN_STATE_DIR": str(own_state)}
    with (tmp_path / "watch.log").open("wb") as log:
        program = Path(sys.executable).parent / "unxen"
        process = subprocess.Popen([program, "watch", "libvirt"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.2)


def buses(host: Host, name: str) -> list[str]:
    return [each.get("bus", "") for each in etree.fromstring(host.xml(name)).findall("devices/disk/target")]


def note(host: Host, name: str) -> str:
    """Our remark at the domain, empty without one."""
    try:
        return host.domain(name).metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    except libvirt.libvirtError:
        return ""


def test_service_repairs_what_arrives_and_outlives_a_restart_of_libvirt(host, own_state, windows, tmp_path) -> None:
    host.configure(watch_poll_seconds=2)
    running = host.define("running", disk(windows(tmp_path / "r.qcow2", "10"), "sda", "sata"))
    running.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    with watching(host, own_state, tmp_path):
        host.define("first", disk(windows(tmp_path / "1.qcow2", "10", "xcpng"), "xvda"))
        until(lambda: buses(host, "first") == ["sata"])
        host.daemon.restart()
        assert host.domain("running").isActive()
        host.define("second", disk(windows(tmp_path / "2.qcow2", "10", "xcpng"), "xvda"))
        until(lambda: buses(host, "second") == ["sata"] and "repaired" in note(host, "second"))
    assert host.starts("first") == ""
    assert host.starts("second") == ""


def test_definition_is_replaced_once_and_then_left_alone(host, windows, tmp_path) -> None:
    host.define("win", disk(windows(tmp_path / "w.qcow2", "10", "xcpng"), "xvda"))
    once()
    after, content = host.xml("win"), digest(tmp_path / "w.qcow2")
    once()
    assert (host.xml("win"), digest(tmp_path / "w.qcow2")) == (after, content)


def test_started_guest_is_left_alone_and_repaired_when_it_stops(host, own_state, windows, tmp_path) -> None:
    host.configure(watch_poll_seconds=2)
    path = windows(tmp_path / "w.qcow2", "10", "xcpng")
    content = digest(path)
    # Defined and started in one breath: the watcher sees it running.
    host.define("win", disk(path, "sda", "sata")).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    with watching(host, own_state, tmp_path):
        time.sleep(4)
        assert digest(path) == content
        host.domain("win").destroy()
        until(lambda: "repaired" in note(host, "win"))
    assert host.starts("win") == ""


def test_fifty_domains_at_once(host, own_state, windows, tmp_path) -> None:
    """While the service runs; and no definition is replaced more often than once, though each replacement is an event itself."""
    empty = tmp_path / "empty.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", empty, "16M"], check=True)
    elements = {}
    for number in range(50):
        path = tmp_path / f"{number}.qcow2"
        path.write_bytes(empty.read_bytes())
        xen = number in (7, 33)
        elements[number] = disk(windows(path, "10", "xcpng") if xen else path, "xvda" if xen else "vda")
    events = Connection(host.daemon.uri)
    events.tell_events()
    events.handle()
    with watching(host, own_state, tmp_path):
        before = {number: host.define(f"g{number}", element).XMLDesc() for number, element in elements.items()}
        until(lambda: all("repaired" in note(host, f"g{number}") for number in (7, 33)))
        # Another one, defined last, is looked at when all events of before have been seen to.
        host.define("last", disk(windows(tmp_path / "last.qcow2", "10", "xcpng"), "xvda"))
        until(lambda: "repaired" in note(host, "last"))
    changed = {number for number in range(50) if canonical(host.xml(f"g{number}")) != canonical(before[number])}
    assert changed == {7, 33}
    assert NAMESPACE not in host.xml("g0")
    names = [events.happened.get_nowait() for _ in range(events.happened.qsize())]
    events.close()
    assert {name: names.count(name) for name in ("g0", "g7", "g33", "last")} == {"g0": 1, "g7": 2, "g33": 2, "last": 2}


def test_windows_that_has_run_on_kvm_for_years_is_not_touched_by_one_byte(host, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", "10", hive=windows_hive("10", families=["xcpng"], kvm_traces=True))
    host.define("old", disk(path, "vda", "virtio"))
    before = host.xml("old"), digest(path), path.stat().st_mtime_ns
    once()
    assert (host.xml("old"), digest(path), path.stat().st_mtime_ns) == before


def test_policy_report_writes_a_note_and_nothing_else(host, windows, tmp_path) -> None:
    host.configure(watch="report")
    path = windows(tmp_path / "w.qcow2", "10", "xcpng")
    host.define("win", disk(path, "xvda"))
    before, content = host.xml("win"), digest(path)
    once()
    assert canonical(host.xml("win")) == canonical(before)
    assert digest(path) == content
    assert "can be repaired" in note(host, "win")
    host.configure(watch="report", notes=False)
    host.define("quiet", disk(windows(tmp_path / "q.qcow2", "10", "xcpng"), "xvda"))
    once()
    assert note(host, "quiet") == ""


def test_undone_repair_is_not_done_again(host, unxen, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", "10", "xcpng")
    host.define("win", disk(path, "xvda"))
    once()
    assert unxen("undo", "libvirt:win")[0] == 0
    before = host.xml("win")
    once()
    assert canonical(host.xml("win")) == canonical(before)
    assert buses(host, "win") == ["xen"]


def test_disk_that_comes_later_is_repaired_then(host, own_state, windows, tmp_path) -> None:
    host.configure(watch_poll_seconds=1)
    path = tmp_path / "late.qcow2"
    host.define("late", disk(path, "xvda"))
    with watching(host, own_state, tmp_path):
        time.sleep(3)
        assert buses(host, "late") == ["xen"]
        windows(path, "10", "xcpng")
        until(lambda: buses(host, "late") == ["sata"])
