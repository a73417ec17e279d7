# SPDX-License-Identifier: Apache-2.0
"""What a watcher did can be counted by a monitoring system and read in a report, and keeping it never gets in the way."""

from dataclasses import replace
from pathlib import Path

import pytest
from generators import outcomes
from prometheus_client.parser import text_string_to_metric_families
from unxen.model.judgement import Verdict
from unxen.model.outcome import Outcome
from unxen.model.reason import ReasonKind, reason
from unxen.model.settings import Settings
from unxen.services.keeping import Keeper
from unxen.workflow.history import history

HIBERNATED = replace(outcomes.refused(reason(ReasonKind.HIBERNATED, "x")), target=("libvirt:win",))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "metrics").mkdir()
    return Settings(tmp_path / "state", metrics_dir=tmp_path / "metrics")


def samples(settings: Settings) -> dict[tuple[str, str, str], float]:
    """(name, verdict, cause) of every sample in the file."""
    assert settings.metrics_dir
    text = (settings.metrics_dir / "unxen-libvirt.prom").read_text()
    found = [each for family in text_string_to_metric_families(text) for each in family.samples]
    return {(each.name, each.labels.get("verdict", ""), each.labels.get("cause", "")): each.value for each in found}


def test_every_guest_is_counted_by_what_came_of_it(settings: Settings) -> None:
    keep = Keeper("libvirt", settings)
    for outcome, seconds in ((outcomes.healthy(), 0.25), (outcomes.repaired(), 1.0), (HIBERNATED, 0.25), (HIBERNATED, 0.25)):
        keep(outcome, seconds)
    found = samples(settings)
    assert found["unxen_guests_total", "healthy", ""] == 1
    assert found["unxen_guests_total", "refused", "hibernated"] == 2
    assert found["unxen_disks_repaired_total", "", ""] == 1
    assert (found["unxen_treatment_seconds_count", "", ""], found["unxen_treatment_seconds_sum", "", ""]) == (4, 1.75)


def test_same_refusal_again_is_remembered_once(settings: Settings) -> None:
    keep = Keeper("libvirt", settings)
    other = replace(HIBERNATED, reasons=(reason(ReasonKind.VOLUME_DIRTY, "x"),))
    for each in (HIBERNATED, HIBERNATED, other, HIBERNATED, outcomes.healthy()):
        keep(each, 0.1)
    assert [each.document["reasons"][0]["kind"] for each in history(settings)] == ["hibernated", "volume-dirty", "hibernated"]


def test_directory_that_is_not_there_fails_nothing(settings: Settings) -> None:
    keep = Keeper("libvirt", replace(settings, metrics_dir=settings.state_dir / "nowhere"))
    keep(HIBERNATED, 0.1)
    assert len(history(settings)) == 1


def test_without_configuration_no_file_is_made(settings: Settings, tmp_path: Path) -> None:
    Keeper("libvirt", replace(settings, metrics_dir=None))(Outcome("watch", ("libvirt:win",), outcomes.healthy().verdict), 0.1)
    assert list((tmp_path / "metrics").iterdir()) == []


def test_each_round_ends_with_a_line_in_the_log(settings, caplog) -> None:
    caplog.set_level("INFO")
    keep = Keeper("proxmox", settings)
    keep.summary()
    assert not caplog.messages
    keep(Outcome("watch", ("proxmox:100",), Verdict.HEALTHY), 1.0)
    keep(Outcome("repair", ("proxmox:101",), Verdict.REPAIRED), 1.0)
    keep(Outcome("watch", ("proxmox:102",), Verdict.HEALTHY), 1.0)
    keep.summary()
    keep.summary()
    (line,) = [each for each in caplog.messages if "looked at" in each]
    assert line.startswith("proxmox on ")
    assert line.endswith(": 3 looked at (2 healthy, 1 repaired)")
