# SPDX-License-Identifier: Apache-2.0
"""Programs are started with little, end in time, and leave nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from unxen.errors import Refused
from unxen.host import process
from unxen.model.reason import ReasonKind


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, seconds: float = 3.0) -> bool:
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


def test_output_code_and_messages_come_back() -> None:
    finished = process.run(["sh", "-c", "cat; echo said >&2; exit 3"], timeout=10, stdin=b"heard", good=(3,))
    assert finished == process.Finished(3, b"heard", "said\n")


def test_a_wrong_exit_code_is_a_failure_with_what_was_said() -> None:
    with pytest.raises(Refused) as caught:
        process.run(["sh", "-c", "echo why >&2; exit 3"], timeout=10)
    assert caught.value.first.kind is ReasonKind.TOOL_FAILED
    assert (caught.value.first.subject, caught.value.first.detail("cause"), caught.value.first.detail("code")) == ("sh", "why", "3")


def test_a_missing_program_names_the_package_that_brings_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(process, "PATH", str(tmp_path))
    with pytest.raises(Refused) as caught:
        process.run(["qemu-img", "--version"], timeout=10)
    assert (caught.value.first.kind, caught.value.first.detail("package")) == (ReasonKind.TOOL_MISSING, "qemu-utils")


def test_a_program_of_the_callers_path_is_not_taken(monkeypatch, tmp_path) -> None:
    decoy = tmp_path / "true"
    decoy.write_text("#!/bin/sh\nexit 7\n")
    decoy.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert process.run(["true"], timeout=10).code == 0


def test_one_that_never_ends_is_killed_with_its_children(tmp_path) -> None:
    note = tmp_path / "pid"
    begin = time.monotonic()
    with pytest.raises(Refused) as caught:
        process.run(["sh", "-c", f"sleep 60 & echo $! > {note}; wait"], timeout=0.5)
    assert caught.value.first.kind is ReasonKind.TOOL_FAILED
    assert time.monotonic() - begin < 5
    assert gone(int(note.read_text()))


def test_environment_and_descriptors_are_not_inherited(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("LD_PRELOAD_OF_CALLER", "1")
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        said = process.run(["sh", "-c", "env; ls /proc/self/fd"], timeout=10).stdout.decode()
    finally:
        os.close(secret)
    assert "OF_CALLER" not in said
    assert str(secret) not in said.split()


def test_stopping_is_quick_though_a_survivor_holds_the_pipe_of_messages(tmp_path) -> None:
    note = tmp_path / "pid"
    running = process.start(["sh", "-c", f"echo last words >&2; setsid sleep 60 & echo $! > {note}; wait"])
    while not note.exists() or not note.read_text():
        time.sleep(0.01)
    begin = time.monotonic()
    try:
        assert process.stop(running, 1.0) == "last words\n"
        assert time.monotonic() - begin < 3
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)


def test_one_that_ignores_the_polite_signal_is_killed() -> None:
    running = process.start(["sh", "-c", "trap '' TERM; echo up >&2; while :; do sleep 0.1; done"])
    while not os.read(running.stderr.fileno(), 3):
        pass
    begin = time.monotonic()
    process.stop(running, 0.3)
    assert running.returncode == -signal.SIGKILL
    assert time.monotonic() - begin < 3


def test_babble_is_kept_in_part_only() -> None:
    running = process.start(["sh", "-c", "yes 'no end' >&2"])
    time.sleep(0.2)
    assert 0 < len(process.stop(running, 1.0)) <= process.MOST_STDERR


def test_programs_die_when_unxen_is_killed(tmp_path) -> None:
    script = "import time; from unxen.host.process import start; print(start(['sleep', '60']).pid, flush=True); time.sleep(60)"
    paths = os.pathsep.join(path for path in sys.path if path)
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths})
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    assert gone(child)


@pytest.mark.parametrize(
    ("system", "node", "package"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, False, "qemu-system-common"),
        ({"ID": "debian", "VERSION_ID": "13"}, False, "qemu-utils"),
        ({"ID": "debian", "VERSION_ID": "12"}, True, "pve-qemu-kvm"),
        ({"ID": "debian"}, False, "qemu-utils"),
    ],
)
def test_program_is_in_another_package_on_another_system(
    system: dict[str, str], node: bool, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: system)
    monkeypatch.setattr(process, "PROXMOX", tmp_path if node else tmp_path / "none")
    assert process.package_of("qemu-storage-daemon") == package
    assert process.package_of("bwrap") == "bubblewrap"


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="no Debian")
@pytest.mark.parametrize("program", process.PACKAGES)
def test_package_that_is_named_owns_the_program_here(program: str) -> None:
    path = process.find(program)
    owners = [
        subprocess.run(["dpkg", "-S", each], capture_output=True, text=True).stdout
        for each in (path, f"/usr{path}", path.removeprefix("/usr"))
    ]
    assert any(each.startswith(f"{process.package_of(program)}:") for each in owners)
