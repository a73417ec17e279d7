# SPDX-License-Identifier: Apache-2.0
"""The guard as Proxmox calls it: a hookscript that holds back one start, passes every other, and has the repair done elsewhere."""

import subprocess
import time
from pathlib import Path

import pytest
from published import checked
from unxen.cli.main import main
from vms import PLACE, VOLUME, config, disk

pytestmark = pytest.mark.disk
SNIPPET = "local:snippets/unxen-hookscript"
BOOT = "boot: order=scsi0"
ONLY_DISK = f"scsi0: {VOLUME},size=64M"


@pytest.fixture(scope="module")
def windows(tmp_path_factory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("disks")
    return {"xen": disk(top / "xen.raw", "xcpng"), "plain": disk(top / "plain.raw")}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch):
    def write(*lines: str) -> None:
        path = tmp_path / "unxen.toml"
        path.write_text("".join(f"{line}\n" for line in ("watch_quiet_seconds = 0", *lines)))
        monkeypatch.setenv("UNXEN_CONFIG", str(path))

    # On a busy machine a look takes longer than the hook would wait.
    monkeypatch.setenv("UNXEN_HOOK_SECONDS", "120")
    write()
    return write


@pytest.fixture
def vm(double, windows, settings):
    """VM 100 with a Windows from Xen, and the guard in it."""
    double.volume("100/vm-100-disk-0.raw", windows["xen"])
    double.define("100", config(BOOT, ONLY_DISK))
    assert main(["hooks", "install", "proxmox", "100"]) == 0
    assert double.conf("100").main["hookscript"] == SNIPPET
    return double


def hook(double) -> Path:
    return double.root / "storage/local/snippets/unxen-hookscript"


def call(double, *arguments: str, **more: str) -> subprocess.CompletedProcess:
    """The hookscript as Proxmox starts it, but for the lock that it holds meanwhile."""
    return double.run(str(hook(double)), *arguments, **more)


def wait_until(true, seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def is_whole(double) -> bool:
    main_part = double.conf("100").main
    return "sata0" in main_part and "lock" not in main_part


def test_start_is_refused_once_and_works_after_the_worker(vm) -> None:
    done = vm.run("qm", "start", "100")
    assert done.returncode != 0
    assert "unxen: proxmox:100 would stop with 0x7B" in done.stderr
    assert "hookscript error for 100 on pre-start" in done.stderr
    wait_until(lambda: is_whole(vm))
    assert vm.ok("qm", "status", "100") == "status: stopped\n"
    vm.ok("qm", "start", "100")
    assert vm.ok("qm", "status", "100") == "status: running\n"


def test_policy_starts_it_again(vm, settings) -> None:
    settings("proxmox_start_again = true")
    assert vm.run("qm", "start", "100").returncode != 0
    wait_until(lambda: "running" in vm.ok("qm", "status", "100"))
    assert is_whole(vm)


def test_policy_that_only_warns_lets_it_start(vm, settings) -> None:
    settings('guard = "warn"')
    done = vm.run("qm", "start", "100")
    assert done.returncode == 0
    assert "would stop with 0x7B" in done.stderr
    assert "running" in vm.ok("qm", "status", "100")


def test_windows_that_would_start_starts(vm, windows) -> None:
    vm.volume("100/vm-100-disk-0.raw", windows["plain"])
    vm.define("100", config("boot: order=ide0", f"ide0: {VOLUME}", f"hookscript: {SNIPPET}"))
    done = vm.run("qm", "start", "100")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_other_phase_passes(vm) -> None:
    requests = len(vm.requests())
    for phase in ("post-start", "pre-stop", "post-stop", "pre-quantum", ""):
        done = call(vm, "100", phase)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), phase
    assert len(vm.requests()) == requests


def test_start_that_goes_on_with_something_passes(vm) -> None:
    for line in (
        "lock: backup",
        "lock: migrate",
        "lock: import",
        "lock: create",
        "lock: rollback",
        "vmstate: local:100/x.raw",
        "template: 1",
    ):
        vm.define("100", config(BOOT, ONLY_DISK, line))
        done = call(vm, "100", "pre-start")
        assert (done.returncode, done.stderr) == (0, ""), line


def test_incoming_migration_passes(vm) -> None:
    assert call(vm, "100", "pre-start", PVE_MIGRATED_FROM="pve2").returncode == 0


def test_what_cannot_be_judged_passes(vm) -> None:
    (vm.root / PLACE).write_bytes(b"no image")
    assert call(vm, "100", "pre-start").returncode == 0
    assert call(vm, "999", "pre-start").returncode == 0


def test_unxen_that_is_gone_or_broken_lets_it_start(vm) -> None:
    (vm.bin / "unxen").write_text("#!/bin/sh\nexit 1\n")
    assert call(vm, "100", "pre-start").returncode == 0
    (vm.bin / "unxen").unlink()
    assert call(vm, "100", "pre-start").returncode == 0


@pytest.fixture
def earlier(vm) -> Path:
    """VM 100 had a hookscript of its own before."""
    own = vm.root / "storage/local/snippets/own"
    own.write_text(f'#!/bin/sh\necho "$1 $2" >>{vm.root}/called\n[ "$2" != pre-start ] || exit "$(cat {vm.root}/code)"\n')
    own.chmod(0o755)
    (vm.root / "code").write_text("0\n")
    vm.define("100", config(BOOT, ONLY_DISK, "hookscript: local:snippets/own") + f"\n[before]\nhookscript: {SNIPPET}\nname: x\n")
    assert main(["hooks", "install", "proxmox", "100"]) == 0
    return own


def test_earlier_hookscript_is_called_in_every_phase_with_its_own_answer(vm, earlier, settings) -> None:
    settings('guard = "off"')
    vm.ok("qm", "start", "100")
    assert (vm.root / "called").read_text() == "100 pre-start\n100 post-start\n"
    vm.ok("qm", "stop", "100")
    (vm.root / "code").write_text("3\n")
    assert call(vm, "100", "pre-start").returncode == 3
    assert vm.run("qm", "start", "100").returncode != 0


def test_earlier_hookscript_is_not_called_for_a_refused_start(vm, earlier) -> None:
    assert call(vm, "100", "pre-start").returncode == 1
    assert not (vm.root / "called").exists()


def test_removal_brings_the_earlier_one_back_in_snapshots_too(vm, earlier) -> None:
    assert main(["hooks", "remove", "proxmox"]) == 0
    conf = vm.conf("100")
    assert conf.main["hookscript"] == "local:snippets/own"
    assert conf.snapshots["before"] == {"hookscript": "local:snippets/own", "name": "x"}
    assert not hook(vm).exists()
    assert not hook(vm).with_name("unxen-hookscript.earlier").exists()


def test_removal_leaves_no_trace_where_there_was_none(vm, capfd) -> None:
    path = vm.node.config_path("100")
    path.write_text(path.read_text() + f"\n[before]\nhookscript: {SNIPPET}\nname: x\n")
    assert main(["hooks", "status", "proxmox"]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == f"proxmox:100: installed ({SNIPPET})"
    assert main(["hooks", "remove", "proxmox"]) == 0
    assert "hookscript" not in path.read_text()
    assert vm.conf("100").snapshots["before"] == {"name": "x"}


def test_programs_are_told_of_each_guest(vm, capfd) -> None:
    states = {"install": "unchanged", "status": "installed", "remove": "removed"}
    for action, state in states.items():
        assert main(["hooks", action, "proxmox", "100", "--json"]) == 0
        (row,) = checked("hooks", capfd.readouterr().out)["rows"]
        volume = None if action == "remove" else SNIPPET
        assert row == {"what": "proxmox:100", "state": state, "enabled": None, "hookscript": volume}
    assert main(["hooks", "status", "proxmox", "--json"]) == 0
    assert all(each["hookscript"] is None for each in checked("hooks", capfd.readouterr().out)["rows"])


def test_installing_twice_does_not_make_it_its_own_predecessor(vm) -> None:
    assert main(["hooks", "install", "proxmox", "100"]) == 0
    assert call(vm, "100", "post-stop").returncode == 0
