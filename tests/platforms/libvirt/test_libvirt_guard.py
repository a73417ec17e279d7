# SPDX-License-Identifier: Apache-2.0
"""The hook as libvirt calls it: it refuses a start that would end in 0x7B, and is in nobody's way otherwise."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest
from generators.libvirt_host import Host, disk, domain
from unxen.host.storage_daemon import StorageDaemon
from unxen.journal.records import EntryState
from unxen.journal.store import open_journal
from unxen.model.settings import GuardPolicy, Settings
from unxen.model.start import Answer, StartRisk
from unxen.platforms.libvirt.hook import hook_call
from unxen.services.guard import judge_start
from unxen.workflow.tables import tables_of

pytestmark = pytest.mark.disk
HOOK = Path(__file__).resolve().parents[3] / "hooks" / "libvirt" / "50-unxen"
CALLS = ("prepare begin", "start begin", "started begin", "stopped end", "release end", "reconnect begin")


@pytest.fixture
def hooked(host: Host, own_state: Path, tmp_path: Path):
    """The hook in its place, its own environment as libvirt's is; gives the log of its calls."""
    log = tmp_path / "calls"

    def install(before: str = "") -> Path:
        place = host.daemon.hooks / "50-unxen"
        place.write_text(
            f"#!/bin/sh\nexport PATH={Path(sys.executable).parent}:$PATH UNXEN_STATE_DIR={own_state} UNXEN_CONFIG={host.config}\n"
            f'echo "$2 $3" >>{log}\n{before}\nexec {HOOK} "$@"\n'
        )
        place.chmod(0o755)
        return log

    yield install
    (host.daemon.hooks / "50-unxen").unlink(missing_ok=True)


def test_guest_of_xen_is_refused_with_the_remedy_repaired_and_then_started(host, hooked, unxen, windows, tmp_path) -> None:
    log = hooked()
    path = windows(tmp_path / "w.qcow2", "10", "xcpng")
    host.define("win", disk(path, "sda", "sata"))
    said = host.starts("win")
    assert "unxen: libvirt:win would stop with 0x7B INACCESSIBLE_BOOT_DEVICE on sata; run: unxen repair libvirt:win" in said
    assert unxen("repair", "libvirt:win")[0] == 0
    assert host.starts("win") == ""
    assert set(log.read_text().splitlines()) >= {"prepare begin", "start begin", "started begin", "release end"}


def test_bus_of_xen_gets_a_sentence_that_says_what_to_do(host, hooked, windows, tmp_path) -> None:
    hooked()
    host.define("win", disk(windows(tmp_path / "w.qcow2", "10", "xcpng"), "xvda"))
    said = host.starts("win")
    assert "unxen: libvirt:win is still defined for Xen (bus xen of xvda)" in said
    host.configure(guard="warn")
    assert "unsupported disk bus 'xen'" in host.starts("win")


def test_policy_decides_and_a_plain_windows_starts(host, hooked, windows, tmp_path) -> None:
    hooked()
    host.define("xen", disk(windows(tmp_path / "x.qcow2", "10", "xcpng"), "sda", "sata"))
    host.define("plain", disk(windows(tmp_path / "p.qcow2", "10"), "sda", "sata"))
    for policy in ("warn", "off"):
        host.configure(guard=policy)
        assert host.starts("xen") == "", policy
    host.configure(guard="repair", guard_repair_seconds=60)
    assert host.starts("xen") == ""
    host.configure()
    assert host.starts("xen") == "", "it was repaired before that start"


def test_guest_that_goes_on_from_saved_memory_is_neither_refused_nor_repaired(host, hooked, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", "10", "xcpng")
    host.define("win", disk(path, "sda", "sata")).createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    host.domain("win").managedSave()
    content = path.read_bytes()
    hooked()
    host.configure(guard="repair")
    assert host.starts("win") == ""
    assert path.read_bytes() == content


def test_disk_that_is_being_repaired_does_not_start(host, hooked, own_state, windows, tmp_path) -> None:
    from unxen.host.locks import own_locks

    hooked()
    path = windows(tmp_path / "w.qcow2", "10")
    host.define("win", disk(path, "sda", "sata"))
    with own_locks(own_state / "locks", [str(path)], wait=0, waiting=lambda: None):
        assert "unxen: libvirt:win is being repaired" in host.starts("win")
    assert host.starts("win") == ""


def test_linux_guest_starts_with_the_hook_as_without(host, hooked, tmp_path) -> None:
    path = tmp_path / "linux.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"], check=True)
    host.define("linux", disk(path, "vda", "virtio"))
    assert host.starts("linux") == ""
    hooked()
    assert host.starts("linux") == ""


def test_broken_unxen_keeps_no_guest_from_starting(host, hooked, windows, tmp_path) -> None:
    host.define("win", disk(windows(tmp_path / "w.qcow2", "10", "xcpng"), "sda", "sata"))
    bin = tmp_path / "bin"
    bin.mkdir()
    fake = bin / "unxen"
    for body in ("exit 1", "echo Traceback >&2; exit 1", "exit 2", "kill -9 $$", "sleep 60", "exec python3 -c 'import nothing'"):
        fake.write_text(f"#!/bin/sh\n{body}\n")
        fake.chmod(0o755)
        hooked(f"export PATH={bin}:$PATH UNXEN_HOOK_SECONDS=1")
        assert host.starts("win") == "", body
    shutil.rmtree(bin)
    hooked("export PATH=/usr/bin:/bin")
    assert host.starts("win") == "", "unxen is not installed"


def test_running_guest_survives_a_restart_of_libvirt_under_a_hook_that_cannot_work(host, hooked, windows, tmp_path) -> None:
    host.define("win", disk(windows(tmp_path / "w.qcow2", "10"), "sda", "sata"))
    host.domain("win").createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    log = hooked("export PATH=/nowhere")
    host.daemon.restart()
    deadline = time.monotonic() + 60
    while not (log.exists() and "reconnect begin" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert "reconnect begin" in log.read_text()
    assert host.domain("win").isActive()


def test_hook_of_an_ordinary_users_daemon_lets_start_what_it_cannot_read(host, windows, tmp_path) -> None:
    path = windows(tmp_path / "w.qcow2", "10", "xcpng")
    path.chmod(0o600)
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/nonexistent"}
    text = domain("win", disk(path, "sda", "sata")).encode()
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", HOOK, "win", "prepare", "begin", "-"]
    done = subprocess.run(command, input=text, env=environment, capture_output=True, check=False, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_define_and_start_race_each_other_and_the_guest_ends_repaired(host, hooked, own_state, windows, tmp_path) -> None:
    hooked()
    host.configure(watch_poll_seconds=1)
    environment = {**os.environ, "UNXEN_CONFIG": str(host.config), "UNXEN_STATE_DIR": str(own_state)}
    log = (tmp_path / "watch.log").open("wb")
    watcher = subprocess.Popen([Path(sys.executable).parent / "unxen", "watch", "libvirt"], env=environment, stdout=log, stderr=log)
    try:
        said = []
        host.define("win", disk(windows(tmp_path / "w.qcow2", "10", "xcpng"), "xvda"))
        deadline = time.monotonic() + 90
        while (error := host.starts("win")) and time.monotonic() < deadline:
            said.append(error)
        assert error == ""
        assert said, "the first start was too early"
        # Not yet repaired, just being repaired, or its image held for it: never half of it.
        assert all("unxen: libvirt:win is" in each or "lock" in each for each in said)
    finally:
        watcher.terminate()
        watcher.wait(60)
        log.close()


def test_slow_repair_before_a_start_is_given_up_and_nothing_of_it_stays(windows, own_state, tmp_path, monkeypatch) -> None:
    """Storage so slow that an overlay is not delivered within the seconds that a start may wait."""
    path = windows(tmp_path / "w.qcow2", "10", "xcpng")
    content = path.read_bytes()
    real = StorageDaemon.export

    def slow(daemon, node, name="", *, writable=False) -> None:
        real(daemon, node, name, writable=writable)
        if writable:
            time.sleep(60)

    monkeypatch.setattr(StorageDaemon, "export", slow)
    call = hook_call(["win", "prepare", "begin"], domain("win", disk(path, "sda", "sata")).encode())
    settings = Settings(own_state, guard=GuardPolicy.REPAIR, guard_repair_seconds=5)
    found = judge_start(call, "libvirt:win", settings, tables_of(settings))
    assert (found.answer, found.risk) == (Answer.REFUSE, StartRisk.WOULD_STOP)
    assert path.read_bytes() == content
    assert list((own_state / "work").glob("*/*")) == []
    with open_journal(own_state) as journal:
        assert [each.state for each in journal.in_states(tuple(EntryState))] == [EntryState.ROLLED_BACK]
    monkeypatch.undo()
    patient = replace(settings, guard_repair_seconds=60)
    assert judge_start(call, "libvirt:win", patient, tables_of(patient)).risk is StartRisk.REPAIRED_NOW


def test_missing_disk_and_strange_definition_are_libvirts_business(host, hooked, tmp_path) -> None:
    hooked()
    host.define("gone", disk(tmp_path / "none.qcow2", "sda", "sata"))
    assert "Cannot access storage file" in host.starts("gone")
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "UNXEN_CONFIG": str(host.config)}
    for text in (b"", b"<domain", b"<domain/>", b"\xff\xfe", b"<!DOCTYPE domain SYSTEM '/etc/passwd'><domain/>"):
        done = subprocess.run([HOOK, "a", "prepare", "begin", "-"], input=text, env=environment, capture_output=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("call", CALLS[1:])
def test_other_operations_are_let_through_without_starting_anything(call, tmp_path) -> None:
    environment = {"PATH": "/nowhere"}
    done = subprocess.run(
        ["/bin/sh", HOOK, "a", *call.split(), "-"], input=b"<domain/>", env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
