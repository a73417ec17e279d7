# SPDX-License-Identifier: Apache-2.0
"""libvirt keeps a domain locked, and Proxmox a task open, while anybody holds the output of a hook: no child of ours may."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HOOKS = Path(__file__).resolve().parents[2] / "hooks"
REFUSES = """#!/bin/sh
case "$*" in
*after-refusal*) echo $$ >"$PLACE/worker"; exec sleep 60 ;;
esac
echo "unxen: it would stop" >&2
exit 1
"""
SECONDS = 20.0


def hook(script: str, *arguments: str, place: Path) -> subprocess.Popen:
    """The script with a stand-in for the program; without systemd's directory the worker is a process of its own."""
    program = place / "unxen"
    program.write_text(REFUSES)
    program.chmod(0o755)
    environment = {"PATH": f"{place}:/usr/bin:/bin", "PLACE": str(place)}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([HOOKS / script, *arguments], env=environment, **pipes)


@pytest.fixture
def worker(tmp_path: Path):
    """Its process id, once it runs; ended afterwards."""

    def pid() -> int:
        end = time.monotonic() + SECONDS
        while not (said := _read(tmp_path / "worker")):
            assert time.monotonic() < end
            time.sleep(0.02)
        return int(said)

    yield pid
    os.kill(pid(), signal.SIGKILL)


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


@pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="systemd starts the worker, which then has no pipe of ours at all")
def test_worker_after_a_refusal_holds_nothing_of_the_task(tmp_path: Path, worker) -> None:
    started = hook("proxmox/unxen-hookscript", "100", "pre-start", place=tmp_path)
    # Ends only when the last holder of either pipe has gone.
    _, said = started.communicate(timeout=SECONDS)
    assert (started.returncode, said) == (1, b"unxen: it would stop\n")
    held = {str(each.readlink()) for each in Path(f"/proc/{worker()}/fd").iterdir()}
    assert not any(each.startswith("pipe:") for each in held), held


LEAVES = """
import sys
from pathlib import Path
from unxen.host.process import start
Path(sys.argv[1]).write_text(str(start(["sleep", "60"], tied=False).pid))
"""


def test_program_that_unxen_starts_does_not_hold_its_output(tmp_path: Path, worker) -> None:
    """As in a hook that died in the middle of a look: what it started may go on for a moment, without the hook's pipes."""
    command = [sys.executable, "-c", LEAVES, str(tmp_path / "worker")]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert started.communicate(timeout=SECONDS) == (b"", b"")
    assert Path(f"/proc/{worker()}").is_dir()
