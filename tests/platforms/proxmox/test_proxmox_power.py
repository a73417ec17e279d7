# SPDX-License-Identifier: Apache-2.0
"""The node loses its power at every write of the configuration: our lock goes, the disk has a slot, nobody else's lock goes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forbidden import destructive
from unxen.cli.main import main
from unxen.host.config import load_settings
from unxen.platforms.proxmox.own_lock import DIRECTORY, LONGEST_REQUEST
from vms import VOLUME, config

HERE = Path(__file__).resolve().parent
SLOTS = ("ide", "sata", "scsi", "virtio", "unused")
MOST_WRITES = 60


@pytest.fixture
def vm(double):
    double.volume("100/vm-100-disk-0.raw")
    double.volume("100/vm-100-disk-1.raw")
    double.define("100", CONFIG)
    return double


CONFIG = config("boot: order=scsi0;net0", f"scsi0: {VOLUME},iothread=1", "unused0: local:100/vm-100-disk-1.raw")


def switch(double) -> int:
    return subprocess.run([sys.executable, HERE / "run_switch.py", double.root], check=False, stderr=subprocess.DEVNULL).returncode


def slots(double) -> dict[str, str]:
    found = double.conf("100").main
    return {key: value.split(",")[0] for key, value in found.items() if key.rstrip("0123456789") in SLOTS and key != "ide2"}


def reset(double, **power: object) -> None:
    double.define("100", CONFIG)
    (double.root / "writes").unlink(missing_ok=True)
    double.faults(**power)


BEFORE = {"scsi0": VOLUME, "unused0": "local:100/vm-100-disk-1.raw"}
AFTER = {"sata0": VOLUME, "unused0": "local:100/vm-100-disk-1.raw"}


def test_power_may_fail_at_any_write(vm) -> None:
    """Every position of one whole switch, in one test: only the last one ends by itself."""
    seen = []
    for number in range(1, MOST_WRITES):
        reset(vm, power=[number, "after"])
        if (code := switch(vm)) == 0:
            break
        assert code == -signal.SIGKILL
        locked = "lock" in vm.conf("100").main
        vm.faults()
        assert main(["recover", "--quiet"]) == 0
        conf = vm.conf("100")
        assert "lock" not in conf.main, number
        assert (conf.pending, conf.deletes) == ({}, []), number
        assert slots(vm) in (BEFORE, AFTER), number
        assert conf.main["boot"] == ("order=scsi0;net0" if "scsi0" in conf.main else "order=sata0;net0"), number
        seen.append((locked, "sata0" in conf.main))
    assert slots(vm) == AFTER
    assert {(True, False), (True, True), (False, True)} <= set(seen)
    assert [each for each in vm.requests() if destructive(each)] == []


@pytest.mark.parametrize("number", [5, 6, 7])
def test_volume_of_another_owner_that_is_in_no_slot_comes_back(vm, number: int) -> None:
    """Proxmox does not list such a volume as unused when it leaves its slot: the file names it nowhere then."""
    foreign = "local:999/vm-999-disk-0.raw"
    vm.volume("999/vm-999-disk-0.raw")
    vm.define("100", config("boot: order=scsi0;net0", f"scsi0: {foreign}"))
    vm.faults(power=[number, "after"], add_first="boot")
    assert switch(vm) == -signal.SIGKILL
    vm.faults()
    assert main(["recover", "--quiet"]) == 0
    conf = vm.conf("100")
    assert "lock" not in conf.main
    assert set(slots(vm).values()) == {foreign}


def crashed(vm) -> None:
    """The lock stands; so far it is ours."""
    vm.faults(power=[2, "after"])
    assert switch(vm) == -signal.SIGKILL
    vm.faults()
    assert vm.conf("100").main["lock"] == "create"


def test_lock_that_was_written_at_another_time_is_somebody_elses(vm) -> None:
    """Somebody unlocked by hand and restores over the VM: the same configuration, the same word."""
    crashed(vm)
    late = time.time() + LONGEST_REQUEST + 60
    os.utime(vm.node.config_path("100"), (late, late))
    assert main(["recover", "--quiet"]) == 0
    assert vm.conf("100").main["lock"] == "create"


@pytest.mark.parametrize("line", ["memory: 1024", "scsi0: local:100/vm-100-disk-1.raw", "sata3: local:100/vm-100-disk-1.raw"])
def test_lock_on_another_machine_is_somebody_elses(vm, line: str) -> None:
    crashed(vm)
    conf = vm.conf("100")
    key, _, value = line.partition(": ")
    conf.main[key] = value
    vm.write("100", conf)
    before = vm.node.config_path("100").read_bytes()
    assert main(["recover", "--quiet"]) == 0
    assert vm.node.config_path("100").read_bytes() == before


@pytest.mark.parametrize("word", ["backup", "migrate", "snapshot"])
def test_another_word_is_somebody_elses(vm, word: str) -> None:
    crashed(vm)
    conf = vm.conf("100")
    conf.main["lock"] = word
    vm.write("100", conf)
    assert main(["recover", "--quiet"]) == 0
    assert vm.conf("100").main["lock"] == word


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"expected": ["x"]}', '{"expected": 1, "asked": 2}', "\x00"])
def test_mark_that_cannot_be_read_claims_no_lock(vm, text: str) -> None:
    crashed(vm)
    (mark,) = (load_settings().state_dir / DIRECTORY).iterdir()
    assert json.loads(mark.read_text())["expected"]
    mark.write_text(text)
    assert main(["recover", "--quiet"]) == 0
    assert vm.conf("100").main["lock"] == "create"
