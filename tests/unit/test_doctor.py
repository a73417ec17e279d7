# SPDX-License-Identifier: Apache-2.0
"""`doctor` finds what is missing on a host, tells the command that mends it, and changes nothing."""

import sqlite3
from pathlib import Path

import pytest
from published import checked
from unxen.cli.main import main
from unxen.errors import refused
from unxen.host.hook_files import HookFiles
from unxen.host.process import PACKAGES
from unxen.journal.records import DiskRow, EntryKind, EntryState
from unxen.journal.store import open_journal
from unxen.model.checkup import Check, CheckState
from unxen.model.ids import DiskNumber, ImageFormat
from unxen.model.reason import ReasonKind
from unxen.model.settings import Settings
from unxen.report.layout import Style
from unxen.report.text_doctor import check_lines
from unxen.workflow import doctor


def checks(state_dir: Path) -> dict[str, Check]:
    return {each.name: each for each in doctor.examine(Settings(state_dir))}


def test_host_of_the_tests_has_everything_and_nothing_is_made(own_state: Path) -> None:
    found = checks(own_state)
    assert not [each for each in found.values() if each.state is CheckState.FAILED]
    assert set(PACKAGES) | set(doctor.MODULES) < set(found)
    assert not own_state.exists()


def test_begun_commit_comes_first_and_decides_the_exit_code(own_state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_journal(own_state) as journal:
        disk = DiskRow(DiskNumber(1), "key", "/images/win.raw", ImageFormat.RAW, 1, 1)
        entry = journal.begin(EntryKind.REPAIR, ["/images/win.raw"], "", "", [disk])
        for before, after in zip(list(EntryState)[:4], list(EntryState)[1:5], strict=True):
            journal.move(entry, before, after)
    assert main(["doctor", "--json"]) == 44
    document = checked("doctor", capsys.readouterr().out)
    first = document["checks"][0]
    assert (first["name"], first["state"], first["reason"]["kind"]) == ("unfinished commits", "failed", "commit-unfinished")
    assert "/images/win.raw" in first["reason"]["what"]


def test_journal_that_cannot_be_read_is_not_called_fine(own_state: Path) -> None:
    own_state.mkdir()
    with sqlite3.connect(own_state / "journal.sqlite3") as connection:
        connection.execute("pragma user_version = 1")
    assert checks(own_state)["unfinished commits"].state is CheckState.FAILED


def test_missing_program_is_told_with_its_package(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unxen.host.process.PATH", str(own_state))
    found = checks(own_state)["qemu-nbd"]
    assert found.state is CheckState.FAILED
    assert any("apt install qemu-utils" in line for line in check_lines(found, Style(width=200)))


def test_module_that_only_some_work_needs_is_no_failure(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"no_such_module": ("python3-some", "some work"), "neither_this": ("python3-all", "")}
    monkeypatch.setattr(doctor, "MODULES", rows)
    found = checks(own_state)
    assert found["no_such_module"].state is CheckState.ABSENT
    assert found["neither_this"].state is CheckState.FAILED
    assert any("some work only" in line for line in check_lines(found["no_such_module"], Style(width=200)))


def test_little_room_is_a_failure(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "free_bytes", lambda _: 1 << 20)
    why = checks(own_state)["state"].why
    assert why is not None
    assert why.kind is ReasonKind.NO_SPACE


def test_box_that_cannot_be_made_says_what_allows_it(own_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise refused(ReasonKind.TOOL_FAILED, "bwrap", tool="bwrap", cause="No permissions to create new namespace")

    monkeypatch.setattr(doctor.Box, "open", fails)
    found = checks(own_state)["box"]
    text = " ".join(" ".join(check_lines(found, Style(width=200))).split())
    assert found.state is CheckState.FAILED
    assert "No permissions to create new namespace" in text
    assert "sysctl kernel.unprivileged_userns_clone=1" in text


def test_platform_that_does_not_answer_is_told_with_its_unit(own_state: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "SIGNS", {"libvirt": tmp_path, "proxmox": tmp_path})
    settings = Settings(own_state, libvirt_uri=f"qemu+unix:///system?socket={tmp_path}/none")
    found = {each.name: each for each in doctor.examine(settings)}
    for name, unit in (("libvirt:", "libvirtd"), ("proxmox:", "pve-cluster")):
        text = " ".join(" ".join(check_lines(found[name], Style(width=200))).split())
        assert found[name].state is CheckState.ABSENT
        assert f"systemctl start {unit};" in text


@pytest.mark.parametrize(("there", "said"), [(True, "adduser USER kvm"), (False, "modprobe kvm_intel")])
def test_missing_kvm_is_no_failure_and_says_what_brings_it(
    there: bool, said: str, own_state: Path, tmp_path: Path, monkeypatch
) -> None:
    device = tmp_path / "kvm"
    if there:
        device.touch()
    monkeypatch.setattr(doctor, "KVM", device)
    monkeypatch.setattr(doctor.os, "access", lambda *_: False)
    check = doctor._accelerator()
    assert check.state is CheckState.ABSENT
    assert said in " ".join(check_lines(check, Style(width=200)))


def test_what_was_found_cannot_steer_a_terminal() -> None:
    lines = check_lines(Check("\x1b[2J", CheckState.FINE, "a\x1b]0;b\x07"), Style())
    assert "\x1b" not in "".join(lines)
    hidden = refused(ReasonKind.TOOL_FAILED, "x", tool="x", cause="\x1b[31m").first
    assert "\x1b" not in "".join(check_lines(Check("x", CheckState.FAILED, why=hidden), Style()))


def test_platform_that_is_here_is_asked_and_its_hooks_are_looked_at(own_state: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "SIGNS", {"libvirt": tmp_path, "proxmox": tmp_path / "none"})
    root = tmp_path / "root"
    hooks = HookFiles(Path(__file__).resolve().parents[2] / "hooks", own_state, "/usr/bin/unxen", root)
    settings = Settings(own_state, libvirt_uri="test:///default")
    found = {each.name: each for each in doctor.examine(settings, hooks)}
    assert found["libvirt:"].state is CheckState.FINE
    assert not {"proxmox:", "hooks proxmox"} & set(found)
    assert found["hooks libvirt"].state is CheckState.ABSENT
    assert any("unxen hooks install libvirt" in line for line in check_lines(found["hooks libvirt"], Style(width=200)))
    (root / "etc/libvirt/hooks/qemu.d").mkdir(parents=True)
    (root / "etc/libvirt/hooks/qemu.d/50-unxen").write_text("somebody else's")
    found = {each.name: each for each in doctor.examine(settings, hooks)}
    assert found["hooks libvirt"].state is CheckState.FAILED
