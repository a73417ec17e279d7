# SPDX-License-Identifier: Apache-2.0
"""The recovery comes before whatever starts machines by itself, and after whatever brings their disks."""

from configparser import ConfigParser
from pathlib import Path

import pytest
from unxen.cli.arguments import VERBS
from unxen.host.config import ROOT_STATE
from unxen.journal.place import FILE

UNIT = Path(__file__).resolve().parents[2] / "hooks" / "systemd" / "unxen-recover.service"
STARTERS = {"libvirtd.service", "virtqemud.service", "libvirt-guests.service", "pve-guests.service", "pve-ha-lrm.service"}


@pytest.fixture(scope="module")
def unit() -> dict[str, dict[str, str]]:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(UNIT)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_recovery_is_over_before_anything_starts_a_machine(unit) -> None:
    assert set(unit["Unit"]["Before"].split()) >= STARTERS
    assert unit["Service"]["Type"] == "oneshot", "others wait for its end, not for its start"


def test_recovery_waits_for_the_places_where_disks_lie(unit) -> None:
    assert set(unit["Unit"]["After"].split()) >= {"local-fs.target", "remote-fs.target"}
    assert unit["Unit"]["RequiresMountsFor"] == str(ROOT_STATE)
    assert unit["Unit"]["ConditionPathExists"] == str(ROOT_STATE / FILE)


def test_recovery_that_fails_keeps_no_other_machine_from_its_start(unit) -> None:
    """Guards refuse the one disk; nothing requires the unit, and it does not run for ever."""
    assert not any(word in unit["Unit"] for word in ("RequiredBy", "OnFailure"))
    assert set(unit["Install"]) == {"WantedBy"}
    assert 0 < int(unit["Service"]["TimeoutStartSec"]) <= 3600


def test_recovery_calls_a_verb_that_is_there(unit) -> None:
    program, verb = unit["Service"]["ExecStart"].split()
    assert program == "/usr/bin/unxen"
    assert verb in VERBS
