# SPDX-License-Identifier: Apache-2.0
"""Guard and services are put in place and taken away whole, by systemd's own tool, and nothing of anybody else is touched."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from published import checked
from unxen.cli import hooks
from unxen.cli.main import main
from unxen.errors import Refused
from unxen.host import hook_files
from unxen.host.hook_files import PIECES, HookFiles, PieceState
from unxen.model.reason import ReasonKind

TOP = Path(__file__).resolve().parents[2]
GUARD = "etc/libvirt/hooks/qemu.d/50-unxen"
WATCH = "etc/systemd/system/unxen-watch-libvirt.service"
RECOVER = "etc/systemd/system/unxen-recover.service"
systemd = pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemctl is not installed")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HookFiles:
    """A root of its own, on which unxen is where hooks look for it."""
    binary = tmp_path / "bin" / "unxen"
    binary.parent.mkdir()
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    monkeypatch.setattr(hook_files, "SEARCHED", f"{binary.parent}:/usr/bin")
    (tmp_path / "root").mkdir()
    return HookFiles(TOP / "hooks", tmp_path / "state", "/opt/unxen/bin/unxen", tmp_path / "root")


def files(host: HookFiles) -> set[str]:
    return {str(each.relative_to(host.root)) for each in host.root.rglob("*") if not each.is_dir() or each.is_symlink()}


def states(host: HookFiles, platform: str = "libvirt") -> list[PieceState]:
    return [each.state for each in host.status(platform)]


@systemd
def test_everything_is_put_in_place_and_enabled(host: HookFiles) -> None:
    assert len(host.install("libvirt")) == 3
    assert states(host) == [PieceState.INSTALLED] * 3
    assert [each.enabled for each in host.status("libvirt")] == [True, None, True]
    assert stat.S_IMODE((host.root / GUARD).stat().st_mode) == 0o755
    assert "ExecStart=/opt/unxen/bin/unxen watch libvirt" in (host.root / WATCH).read_text()
    assert host.install("libvirt") == ()


@systemd
def test_taking_away_leaves_nothing_behind(host: HookFiles) -> None:
    host.install("libvirt")
    assert len(host.remove("libvirt")) == 3
    assert files(host) == set()
    assert states(host) == [PieceState.ABSENT] * 3
    assert host.remove("libvirt") == ()


@systemd
def test_recovery_stays_while_the_other_platform_needs_it(host: HookFiles) -> None:
    host.install("libvirt")
    host.install("proxmox")
    host.remove("libvirt")
    assert states(host, "proxmox") == [PieceState.INSTALLED] * 2
    assert not (host.root / GUARD).exists()
    host.remove("proxmox")
    assert files(host) == set()


@systemd
def test_hook_of_somebody_else_is_left_and_nothing_is_begun(host: HookFiles) -> None:
    place = host.root / GUARD
    place.parent.mkdir(parents=True)
    place.write_text("#!/bin/sh\n# ours\n")
    with pytest.raises(Refused) as caught:
        host.install("libvirt")
    assert caught.value.first.kind is ReasonKind.FOREIGN_FILE
    assert files(host) == {GUARD}
    host.remove("libvirt")
    assert place.read_text() == "#!/bin/sh\n# ours\n"


@systemd
def test_hook_that_an_administrator_changed_is_theirs(host: HookFiles) -> None:
    host.install("libvirt")
    (host.root / GUARD).write_text("#!/bin/sh\nexit 0\n")
    assert states(host)[1] is PieceState.FOREIGN
    with pytest.raises(Refused):
        host.install("libvirt")
    host.remove("libvirt")
    assert files(host) == {GUARD}


@systemd
def test_hook_of_an_older_version_is_replaced(host: HookFiles, tmp_path: Path) -> None:
    older = shutil.copytree(TOP / "hooks", tmp_path / "older")
    (older / "libvirt" / "50-unxen").write_text("#!/bin/sh\n# an older one\n")
    HookFiles(older, host.state_dir, host.program, host.root).install("libvirt")
    assert states(host)[1] is PieceState.OUTDATED
    assert [each.state for each in host.install("libvirt")] == [PieceState.OUTDATED]
    assert states(host) == [PieceState.INSTALLED] * 3


@systemd
def test_units_of_the_package_are_used_as_they_are(host: HookFiles) -> None:
    packaged = host.root / "usr/lib/systemd/system"
    packaged.mkdir(parents=True)
    for piece in PIECES["proxmox"]:
        shutil.copy(TOP / "hooks" / piece.source, packaged)
    host.install("proxmox")
    assert [(each.place.parent, each.enabled) for each in host.status("proxmox")] == [(packaged, True)] * 2
    host.remove("proxmox")
    assert [each.enabled for each in host.status("proxmox")] == [False] * 2
    assert len(list(packaged.iterdir())) == 2


def test_without_an_unxen_that_hooks_find_nothing_is_installed(host: HookFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_files, "SEARCHED", "/nowhere")
    with pytest.raises(Refused) as caught:
        host.install("libvirt")
    assert caught.value.first.kind is ReasonKind.TOOL_MISSING
    assert files(host) == set()


def test_guard_never_runs_half_written(host: HookFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """libvirt runs every executable file of the directory, so a part that lies there must not be one."""
    seen = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        if "qemu.d" in str(self):
            seen.append((self.name, self.read_bytes() == (TOP / "hooks/libvirt/50-unxen").read_bytes()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    monkeypatch.setattr(HookFiles, "_systemctl", lambda *_: None)
    host.install("libvirt")
    assert seen == [(".50-unxen.part", True)]


@pytest.mark.parametrize("platform", PIECES)
def test_every_piece_is_in_the_sources(platform: str) -> None:
    for piece in PIECES[platform]:
        source = TOP / "hooks" / piece.source
        assert source.is_file()
        assert piece.unit or os.access(source, os.X_OK)


def test_command_line_tells_each_place(host: HookFiles, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("unxen.cli.hooks.ROOT", host.root)
    assert main(["hooks", "status", "libvirt"]) == 0
    assert f"{host.root / GUARD}: absent" in capsys.readouterr().out
    assert main(["hooks", "install", "libvirt", "win10"]) == 2
    assert main(["hooks", "install", "libvirt"]) == 0
    assert f"{host.root / GUARD}: installed" in capsys.readouterr().out
    assert main(["hooks", "remove", "libvirt"]) == 0
    assert f"{host.root / GUARD}: removed" in capsys.readouterr().out


@systemd
def test_programs_are_told_what_was_done(host: HookFiles, monkeypatch, capsys) -> None:
    monkeypatch.setattr(hooks, "ROOT", host.root)
    monkeypatch.setattr(hooks, "program_here", lambda _: host.program)
    seen = []
    for action in ("install", "status", "remove"):
        assert main(["hooks", action, "libvirt", "--json"]) == 0
        document = checked("hooks", capsys.readouterr().out)
        assert (document["action"], document["platform"], document["exit_code"]) == (action, "libvirt", 0)
        seen.append({row["what"]: row["state"] for row in document["rows"]}[str(host.root / GUARD)])
    assert seen == ["installed", "installed", "removed"]
    assert not (host.root / GUARD).exists()
